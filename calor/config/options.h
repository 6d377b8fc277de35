// One declaration per option: key, range, unit, text, and the variable that holds it (whose value
// at declaration is the default). Reading TOML and key=value, checks, the saved config, --help and
// the documentation all follow from the declarations.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace calor::config {

using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<double>>;

// A closed interval that a number must lie in.
template <class T>
struct Range {
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
};

// What a person may write for an enumeration, and what it means.
template <class E>
struct Choice {
  const char* name;
  E value;
  const char* text;
};

// The name of a value; empty where no choice has it.
template <class E, std::size_t n>
std::string name_of(const Choice<E> (&choices)[n], E value) {
  for (const auto& choice : choices) {
    if (choice.value == value) return choice.name;
  }
  return {};
}

// The value of a name that is known to be one of names_of(choices): the command line has checked
// it.
template <class E, std::size_t n>
E value_of(const Choice<E> (&choices)[n], const std::string& name) {
  for (const auto& choice : choices) {
    if (name == choice.name) return choice.value;
  }
  return choices[0].value;
}

template <class E, std::size_t n>
std::vector<std::string> names_of(const Choice<E> (&choices)[n]) {
  std::vector<std::string> names;
  for (const auto& choice : choices) names.emplace_back(choice.name);
  return names;
}

struct Option {
  std::string key;   // dotted, e.g. "path.a"
  std::string type;  // "true|false", "integer", "number", "numbers", "text", or the choices "a|b|c"
  std::string range;                      // in words, empty where there is none
  std::string unit;                       // empty where there is none
  std::string text;                       // one sentence
  std::string default_text;               // as TOML
  bool run_only = false;                  // may differ when a run is resumed (it changes no result)
  std::function<void(const Value&)> set;  // throws std::string with what was expected
  std::function<Value()> get;
};

class Options {
 public:
  Option& add(std::string key, bool& variable, std::string text);
  Option& add(std::string key, std::int64_t& variable, Range<std::int64_t> range, std::string unit,
              std::string text);
  Option& add(std::string key, double& variable, Range<double> range, std::string unit,
              std::string text);
  Option& add(std::string key, std::string& variable, std::string text);
  // A list; on the command line also as "0.1 0.2" or "0.1,0.2".
  Option& add(std::string key, std::vector<double>& variable, Range<double> range, std::string unit,
              std::string text);
  template <class E, std::size_t n>
  Option& add(std::string key, E& variable, const Choice<E> (&choices)[n], std::string text);

  const std::vector<Option>& all() const { return options_; }
  const Option* find(std::string_view key) const;

  // Sets from a TOML file's text or from "key=value" (the value in TOML's spelling; bare words are
  // text). `origin` names the file or "command line" in errors. Unknown keys are refused with the
  // nearest known name; types and ranges are checked. UsageError on anything wrong.
  void load_toml(std::string_view toml, const std::string& origin);
  void assign(std::string_view key_equals_value, const std::string& origin);

  // The resolved configuration, grouped by section, each option with its text as a comment where
  // `with_comments`. load_toml(to_toml()) gives the same values, bit for bit.
  std::string to_toml(bool with_comments = false) const;

  // Keys whose values differ, leaving out those marked run_only.
  static std::vector<std::string> differing_keys(const Options& a, const Options& b);

 private:
  Option& add_option(Option option);
  template <class T>
  Option& add_number(std::string key, const char* type, T& variable, Range<T> range,
                     std::string unit, std::string text, std::optional<T> (*convert)(const Value&));
  void set(std::string_view key, const Value& value, const std::string& origin);
  std::vector<Option> options_;
};

// Whether a TOML text has a section of that name. UsageError where it is no TOML.
bool has_section(std::string_view toml, std::string_view name, const std::string& origin);

// A value as TOML text: shortest decimal that reads back to the same number.
std::string to_text(const Value& value);

namespace detail {
Option choice_option(std::string key, std::vector<std::pair<std::string, std::string>> names_texts,
                     std::string text, std::function<void(std::size_t)> set_index,
                     std::function<std::size_t()> get_index);
}

template <class E, std::size_t n>
Option& Options::add(std::string key, E& variable, const Choice<E> (&choices)[n],
                     std::string text) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const auto& choice : choices) names.emplace_back(choice.name, choice.text);
  const Choice<E>* first = choices;
  auto index_of = [first, &variable] {
    std::size_t i = 0;
    while (i < n && first[i].value != variable) ++i;
    return i;
  };
  return add_option(detail::choice_option(
      std::move(key), std::move(names), std::move(text),
      [first, &variable](std::size_t i) { variable = first[i].value; }, index_of));
}

}  // namespace calor::config
