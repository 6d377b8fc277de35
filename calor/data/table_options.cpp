#include "calor/data/table_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "calor/core/error.h"

namespace calor::data {
namespace {

constexpr std::array<std::pair<const char*, ColumnType>, 5> types{
    {{"numeric", ColumnType::numeric},
     {"integer", ColumnType::integer},
     {"categorical", ColumnType::categorical},
     {"ordinal", ColumnType::ordinal},
     {"ignore", ColumnType::ignore}}};

constexpr config::Choice<io::CsvHeader> header_choices[] = {
    {"auto", io::CsvHeader::automatic, "found from the first row"},
    {"yes", io::CsvHeader::yes, "the first row holds the columns' names"},
    {"no", io::CsvHeader::no, "the first row is data"}};

constexpr config::Choice<char> separator_choices[] = {{"auto", '\0', "found from the first rows"},
                                                      {"comma", ',', ","},
                                                      {"semicolon", ';', ";"},
                                                      {"tab", '\t', "a tabulator"}};

constexpr config::Choice<NumberEncoding> encoding_choices[] = {
    {"quantile", NumberEncoding::quantile, "each column made normal by its distribution"},
    {"standardise", NumberEncoding::standardise, "each column less its mean, over its deviation"}};

// Cuts an option's text into words and signs.
class Scanner {
 public:
  Scanner(std::string_view text, const char* key, const char* form)
      : text_(text), whole_(text), key_(key), form_(form) {}

  bool at_end() {
    skip_blanks();
    return text_.empty();
  }

  bool take(char sign) {
    skip_blanks();
    if (!text_.starts_with(sign)) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char sign) {
    if (!take(sign)) refuse(fmt::format("no '{}' before \"{}\"", sign, text_.substr(0, 20)));
  }

  // A text in quotation marks, or everything up to one of `signs`.
  std::string word(std::string_view signs) {
    skip_blanks();
    if (take('"')) return quoted();
    const std::size_t end = std::min(text_.find_first_of(signs), text_.size());
    std::string word(text_.substr(0, end));
    text_.remove_prefix(end);
    while (word.ends_with(' ')) word.pop_back();
    if (word.empty()) refuse(fmt::format("nothing before \"{}\"", text_.substr(0, 20)));
    return word;
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw usage_error(fmt::format("{} as {}", key_, form_),
                      fmt::format("{}=\"{}\": {}", key_, whole_, what),
                      "correct it; names that hold one of , : ( ) < need quotation marks");
  }

 private:
  void skip_blanks() {
    while (text_.starts_with(' ')) text_.remove_prefix(1);
  }

  std::string quoted() {
    std::string word;
    while (true) {
      const std::size_t end = text_.find('"');
      if (end == std::string_view::npos) refuse("a quotation mark that is not closed");
      word += text_.substr(0, end);
      text_.remove_prefix(end + 1);
      if (!text_.starts_with('"')) return word;
      word += '"';
      text_.remove_prefix(1);
    }
  }

  std::string_view text_, whole_;
  const char* key_;
  const char* form_;
};

constexpr const char* form = "\"NAME:TYPE, NAME:TYPE, ...\"";

ColumnType type_named(const std::string& name, const Scanner& scanner) {
  std::vector<std::string> names;
  for (const auto& [known, type] : types) {
    if (name == known) return type;
    names.emplace_back(known);
  }
  const std::string nearest = nearest_name(name, names);
  scanner.refuse(
      fmt::format("the type \"{}\"{}; there are numeric, integer, categorical, ordinal, "
                  "ignore",
                  name, nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest)));
}

void parse_step_of(Scanner& scanner, ColumnDeclaration& declaration) {
  const std::string setting = scanner.word("=)");
  if (setting != "quantum") scanner.refuse(fmt::format("\"{}\" in place of quantum", setting));
  scanner.expect('=');
  const std::string value = scanner.word(")");
  declaration.step = parse_step(value);
  if (!declaration.step) {
    scanner.refuse(fmt::format("the quantum \"{}\" is no decimal number such as 0.01 or 0", value));
  }
}

void parse_order_of(Scanner& scanner, ColumnDeclaration& declaration) {
  do {
    std::string category = scanner.word("<)");
    if (std::ranges::count(declaration.order, category) > 0) {
      scanner.refuse(fmt::format("the category \"{}\" twice", category));
    }
    declaration.order.push_back(std::move(category));
  } while (scanner.take('<'));
}

ColumnDeclaration parse_declaration(Scanner& scanner) {
  ColumnDeclaration declaration;
  declaration.name = scanner.word(":");
  scanner.expect(':');
  declaration.type = type_named(scanner.word("(,"), scanner);
  if (scanner.take('(')) {
    if (declaration.type == ColumnType::ordinal) {
      parse_order_of(scanner, declaration);
    } else if (declaration.type == ColumnType::numeric || declaration.type == ColumnType::integer) {
      parse_step_of(scanner, declaration);
    } else {
      scanner.refuse(fmt::format("{} takes nothing in brackets", to_text(declaration.type)));
    }
    scanner.expect(')');
  }
  return declaration;
}

}  // namespace

const char* to_text(ColumnType type) {
  return std::ranges::find(types, type, [](const auto& entry) { return entry.second; })->first;
}

void TableOptions::declare(config::Options& options) {
  options.add("data.columns", columns,
              "a table's columns where not as found: \"age:integer, size:ordinal(small<large), "
              "price:numeric(quantum=0.01), code:categorical, id:ignore\"");
  options.add("data.header", header, header_choices, "whether a table's first row is a header");
  options.add("data.separator", separator, separator_choices, "between a table's cells");
  options.add("data.missing", missing,
              "a table's cells that mean a missing value, besides empty ones");
  options.add("data.encoding", encoding, encoding_choices, "how columns of numbers are encoded");
  options.add("data.knots", knots, {2, 4096}, "",
              "knots of a column's distribution (encoding quantile); fewer for few rows");
  options.add("data.dequantise", dequantise,
              "make numeric columns with a step continuous by noise within the step (integer "
              "columns always are)");
  options.add("data.condition", condition,
              "columns that condition a table's model: \"colA, colB\"");
}

std::vector<std::string> TableOptions::missing_words() const {
  std::vector<std::string> words = parse_names(missing, "data.missing");
  words.emplace_back();
  return words;
}

std::vector<ColumnDeclaration> parse_declarations(std::string_view text) {
  Scanner scanner(text, "data.columns", form);
  std::vector<ColumnDeclaration> declarations;
  while (!scanner.at_end()) {
    ColumnDeclaration declaration = parse_declaration(scanner);
    for (const auto& other : declarations) {
      if (other.name == declaration.name) {
        scanner.refuse(fmt::format("the column \"{}\" twice", other.name));
      }
    }
    declarations.push_back(std::move(declaration));
    if (!scanner.at_end()) scanner.expect(',');
  }
  return declarations;
}

std::vector<std::string> parse_names(std::string_view text, const char* key) {
  Scanner scanner(text, key, "\"NAME, NAME, ...\"");
  std::vector<std::string> names;
  while (!scanner.at_end()) {
    std::string name = scanner.word(",");
    if (std::ranges::count(names, name) > 0) scanner.refuse(fmt::format("\"{}\" twice", name));
    names.push_back(std::move(name));
    if (!scanner.at_end()) scanner.expect(',');
  }
  return names;
}

}  // namespace calor::data
