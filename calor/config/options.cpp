#include "calor/config/options.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>
#include <locale>
#include <optional>
#include <sstream>

#include "calor/core/error.h"

namespace calor::config {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <class T>
std::string range_text(const Range<T>& range) {
  const bool low = range.low != std::numeric_limits<T>::lowest();
  const bool high = range.high != std::numeric_limits<T>::max();
  if (low && high) return fmt::format("{} to {}", range.low, range.high);
  if (low) return fmt::format("at least {}", range.low);
  if (high) return fmt::format("at most {}", range.high);
  return {};
}

// Whole doubles (1e5, 64.0) are accepted where an integer is asked for, and integers for numbers.
std::optional<std::int64_t> as_integer(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* number = std::get_if<double>(&value)) {
    if (*number == std::floor(*number) && std::abs(*number) < 0x1p53) {
      return static_cast<std::int64_t>(*number);
    }
  }
  return std::nullopt;
}

std::optional<double> as_number(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return static_cast<double>(*integer);
  }
  return std::nullopt;
}

// A text of numbers between spaces, commas and brackets, as people type lists on a command line.
std::optional<std::vector<double>> numbers_in(std::string text) {
  const auto first = text.find_first_not_of(' ');
  const auto last = text.find_last_not_of(' ');
  const bool opened = first != std::string::npos && text[first] == '[';
  const bool closed = last != std::string::npos && text[last] == ']';
  if (opened != closed) return std::nullopt;
  if (opened) text = text.substr(first + 1, last - first - 1);
  std::ranges::replace(text, ',', ' ');
  std::vector<double> numbers;
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  for (double number = 0; stream >> number;) numbers.push_back(number);
  if (!stream.eof()) return std::nullopt;
  return numbers;
}

std::optional<std::vector<double>> as_numbers(const Value& value) {
  if (const auto* list = std::get_if<std::vector<double>>(&value)) return *list;
  if (const auto* text = std::get_if<std::string>(&value)) return numbers_in(*text);
  if (const auto number = as_number(value)) return std::vector<double>{*number};
  return std::nullopt;
}

// An option without range or unit.
Option make_option(std::string key, std::string type, std::string text,
                   std::function<void(const Value&)> set, std::function<Value()> get) {
  Option option;
  option.key = std::move(key);
  option.type = std::move(type);
  option.text = std::move(text);
  option.set = std::move(set);
  option.get = std::move(get);
  return option;
}

std::optional<Value> scalar(const toml::node& node) {
  if (const auto* v = node.as_boolean()) return Value{v->get()};
  if (const auto* v = node.as_integer()) return Value{v->get()};
  if (const auto* v = node.as_floating_point()) return Value{v->get()};
  if (const auto* v = node.as_string()) return Value{v->get()};
  if (const auto* list = node.as_array()) {
    std::vector<double> numbers;
    for (const auto& entry : *list) {
      const auto number = entry.value<double>();
      if (!number) return std::nullopt;
      numbers.push_back(*number);
    }
    return Value{numbers};
  }
  return std::nullopt;
}

// The parser takes a level of the stack for each part of a key, however many there are.
void check_keys(std::string_view text, const std::string& origin) {
  constexpr std::int64_t most_points = 1000;
  std::int64_t points = 0;  // since something that no key goes over
  for (const char c : text) {
    if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) points = 0;
    if (c == '.' && ++points > most_points) {
      throw usage_error("keys of a few parts, section.name", origin + ": one of more than 1,000",
                        "correct that line");
    }
  }
}

toml::table parse_toml(std::string_view text, const std::string& origin) {
  check_keys(text, origin);
  try {
    return toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    throw usage_error("a TOML file",
                      fmt::format("{}, line {}, column {}: {}", origin, error.source().begin.line,
                                  error.source().begin.column, error.description()),
                      "correct that line (texts need quotation marks)");
  }
}

// Calls visit(dotted key, value) for each entry of the table, sorted by key whatever the file's
// order.
void for_each_value(const toml::table& table, const std::string& prefix, const std::string& origin,
                    const std::function<void(const std::string&, const Value&)>& visit) {
  for (const auto& [name, node] : table) {
    const std::string key =
        prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
    if (const auto* inner = node.as_table()) {
      for_each_value(*inner, key, origin, visit);
    } else if (const auto value = scalar(node)) {
      visit(key, *value);
    } else {
      throw usage_error("one value, or a list of numbers",
                        fmt::format("{}: '{}' is another kind of list, or a date", origin, key),
                        "give a number, a text in quotation marks, true or false");
    }
  }
}

std::string section_of(const std::string& key) {
  const auto dot = key.rfind('.');
  return dot == std::string::npos ? std::string{} : key.substr(0, dot);
}

std::string name_of(const std::string& key) {
  const auto dot = key.rfind('.');
  return dot == std::string::npos ? key : key.substr(dot + 1);
}

}  // namespace

bool has_section(std::string_view toml, std::string_view name, const std::string& origin) {
  return parse_toml(toml, origin)[name].is_table();
}

std::string to_text(const Value& value) {
  if (const auto* v = std::get_if<bool>(&value)) return *v ? "true" : "false";
  if (const auto* v = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *v);
  if (const auto* v = std::get_if<std::string>(&value)) return quoted(*v);
  if (const auto* v = std::get_if<std::vector<double>>(&value)) {
    std::string list;
    for (const double number : *v) list += (list.empty() ? "" : ", ") + to_text(Value{number});
    return "[" + list + "]";
  }
  const double number = std::get<double>(value);
  std::string text = fmt::format("{}", number);
  // TOML tells numbers from integers by the point or the exponent.
  if (text.find_first_of(".einf") == std::string::npos) text += ".0";
  return text;
}

Option& Options::add_option(Option option) {
  option.default_text = to_text(option.get());
  options_.push_back(std::move(option));
  return options_.back();
}

Option& Options::add(std::string key, bool& variable, std::string text) {
  return add_option(make_option(
      std::move(key), "true|false", std::move(text),
      [&variable](const Value& value) {
        const auto* v = std::get_if<bool>(&value);
        if (v == nullptr) throw std::string("true or false");
        variable = *v;
      },
      [&variable] { return Value{variable}; }));
}

Option& Options::add(std::string key, std::int64_t& variable, Range<std::int64_t> range,
                     std::string unit, std::string text) {
  return add_number(std::move(key), "integer", variable, range, std::move(unit), std::move(text),
                    as_integer);
}

Option& Options::add(std::string key, double& variable, Range<double> range, std::string unit,
                     std::string text) {
  return add_number(std::move(key), "number", variable, range, std::move(unit), std::move(text),
                    as_number);
}

template <class T>
Option& Options::add_number(std::string key, const char* type, T& variable, Range<T> range,
                            std::string unit, std::string text,
                            std::optional<T> (*convert)(const Value&)) {
  const std::string kind = std::string(type == std::string_view("integer") ? "an " : "a ") + type;
  Option option = make_option(
      std::move(key), type, std::move(text),
      [&variable, range, kind, convert](const Value& value) {
        const auto v = convert(value);
        // A NaN lies in no range.
        if (!v || !(*v >= range.low && *v <= range.high)) throw kind + " " + range_text(range);
        variable = *v;
      },
      [&variable] { return Value{variable}; });
  option.range = range_text(range);
  option.unit = std::move(unit);
  return add_option(std::move(option));
}

Option& Options::add(std::string key, std::string& variable, std::string text) {
  return add_option(make_option(
      std::move(key), "text", std::move(text),
      [&variable](const Value& value) {
        const auto* v = std::get_if<std::string>(&value);
        if (v == nullptr) throw std::string("a text in quotation marks");
        variable = *v;
      },
      [&variable] { return Value{variable}; }));
}

Option& Options::add(std::string key, std::vector<double>& variable, Range<double> range,
                     std::string unit, std::string text) {
  Option option = make_option(
      std::move(key), "numbers", std::move(text),
      [&variable, range](const Value& value) {
        const auto list = as_numbers(value);
        const auto inside = [&](double v) { return v >= range.low && v <= range.high; };
        if (!list || !std::all_of(list->begin(), list->end(), inside)) {
          throw "a list of numbers, each " + range_text(range);
        }
        variable = *list;
      },
      [&variable] { return Value{variable}; });
  option.range = range_text(range);
  option.unit = std::move(unit);
  return add_option(std::move(option));
}

Option detail::choice_option(std::string key,
                             std::vector<std::pair<std::string, std::string>> names_texts,
                             std::string text, std::function<void(std::size_t)> set_index,
                             std::function<std::size_t()> get_index) {
  std::string type;
  for (const auto& [name, meaning] : names_texts) {
    type += (type.empty() ? "" : "|") + name;
    text += fmt::format("; {}: {}", name, meaning);
  }
  auto set = [names_texts, type, set_index](const Value& value) {
    const auto* wanted = std::get_if<std::string>(&value);
    for (std::size_t i = 0; wanted != nullptr && i < names_texts.size(); ++i) {
      if (names_texts[i].first == *wanted) return set_index(i);
    }
    throw "one of " + type;
  };
  auto get = [names_texts, get_index] { return Value{names_texts.at(get_index()).first}; };
  return make_option(std::move(key), type, std::move(text), set, get);
}

const Option* Options::find(std::string_view key) const {
  const auto it = std::find_if(options_.begin(), options_.end(),
                               [&](const Option& option) { return option.key == key; });
  return it == options_.end() ? nullptr : &*it;
}

void Options::set(std::string_view key, const Value& value, const std::string& origin) {
  const Option* option = find(key);
  if (option == nullptr) {
    std::vector<std::string> names;
    for (const auto& known : options_) names.push_back(known.key);
    // A key without its section is most likely the option of that name.
    std::string nearest;
    for (const auto& name : names) {
      if (name_of(name) == key) nearest = name;
    }
    if (nearest.empty()) nearest = nearest_name(key, names);
    throw usage_error("a known setting", fmt::format("{}: unknown key '{}'", origin, key),
                      nearest.empty() ? "list all settings with: calor train --settings"
                                      : fmt::format("did you mean '{}'?", nearest));
  }
  try {
    option->set(value);
  } catch (const std::string& expected) {
    throw usage_error(fmt::format("{} for '{}'", expected, key),
                      fmt::format("{}: {} = {}", origin, key, to_text(value)),
                      fmt::format("{} (default {})", option->text, option->default_text));
  }
}

void Options::load_toml(std::string_view toml, const std::string& origin) {
  for_each_value(parse_toml(toml, origin), "", origin,
                 [&](const std::string& key, const Value& value) { set(key, value, origin); });
}

void Options::assign(std::string_view key_equals_value, const std::string& origin) {
  const auto equals = key_equals_value.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw usage_error("key=value", fmt::format("{}: '{}'", origin, key_equals_value),
                      "for example train.seed=1");
  }
  const std::string_view key = key_equals_value.substr(0, equals);
  const std::string text(key_equals_value.substr(equals + 1));
  // Numbers as people write them: TOML wants a digit before the point.
  std::string written = text;
  if (const auto point = text.find('.'); point == text.find_first_not_of("+-")) {
    if (point != std::string::npos && point <= 1) written.insert(point, "0");
  }
  // Bare words are texts: path.kind=heat needs no quotation marks, and data.source=2024 is a
  // folder.
  const Option* option = find(key);
  const bool quoted = text.starts_with('"') || text.starts_with('\'');
  if (option != nullptr && option->type == "text" && !quoted) return set(key, text, origin);
  check_keys(text, origin);
  toml::table table;
  try {
    table = toml::parse("value = " + written);
  } catch (const toml::parse_error&) {
    table.insert_or_assign("value", text);
  }
  const toml::node* node = table.get("value");
  const auto value = node != nullptr && table.size() == 1 ? scalar(*node) : std::nullopt;
  set(key, value.value_or(Value{text}), origin);
}

std::string Options::to_toml(bool with_comments) const {
  std::vector<std::string> sections;
  for (const auto& option : options_) {
    const std::string section = section_of(option.key);
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) {
      sections.push_back(section);
    }
  }
  std::string out;
  for (const auto& section : sections) {
    out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", section);
    for (const auto& option : options_) {
      if (section_of(option.key) != section) continue;
      if (with_comments) out += fmt::format("# {}\n", option.text);
      out += fmt::format("{} = {}\n", name_of(option.key), to_text(option.get()));
    }
  }
  return out;
}

std::vector<std::string> Options::differing_keys(const Options& a, const Options& b) {
  std::vector<std::string> keys;
  for (const auto& option : a.options_) {
    const Option* other = b.find(option.key);
    if (option.run_only || other == nullptr) continue;
    if (option.get() != other->get()) keys.push_back(option.key);
  }
  return keys;
}

}  // namespace calor::config
