// The JSON of a column's code. Numbers are written with as many digits as bring back the same bits.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "calor/core/error.h"
#include "calor/data/table_column_code.h"

namespace calor::data {
namespace {

using nlohmann::json;

constexpr std::int64_t largest_mantissa = 1'000'000'000'000'000;
constexpr int most_step_decimals = 15;
constexpr int most_printed_decimals = 17;

[[noreturn]] void refuse(const std::string& file, const std::string& what) {
  throw Error("the description of a table's column as a model file holds it",
              fmt::format("{}: {}", file, what), "the file is damaged: take another copy");
}

json to_json(const NumberCode& code) {
  json out{{"step_mantissa", code.grid.step.mantissa},
           {"step_decimals", code.grid.step.decimals},
           {"exceptions", code.grid.exceptions},
           {"least_decimals", code.format.least_decimals},
           {"most_decimals", code.format.most_decimals},
           {"fixed", code.format.fixed},
           {"single", code.format.single},
           {"dequantised", code.dequantised},
           {"mean", code.mean},
           {"deviation", code.deviation},
           {"repeated_share", code.repeated_share}};
  if (code.quantiles) {
    const QuantileParts& parts = code.quantiles->parts();
    out["quantiles"] = {{"knots", parts.knots},         {"masses", parts.masses},
                        {"low_mass", parts.low_mass},   {"high_mass", parts.high_mass},
                        {"low_scale", parts.low_scale}, {"high_scale", parts.high_scale}};
  }
  return out;
}

QuantileMap quantiles_from_json(const json& in, const std::string& file) {
  QuantileParts parts;
  in.at("knots").get_to(parts.knots);
  in.at("masses").get_to(parts.masses);
  in.at("low_mass").get_to(parts.low_mass);
  in.at("high_mass").get_to(parts.high_mass);
  in.at("low_scale").get_to(parts.low_scale);
  in.at("high_scale").get_to(parts.high_scale);
  return {std::move(parts), file};
}

// From 0 to `most`.
std::int64_t whole_number(const json& in, const char* key, std::int64_t most,
                          const std::string& file) {
  const json& value = in.at(key);
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(most)) {
    refuse(file, fmt::format("{} that is no whole number from 0 to {}", key, most));
  }
  return value.get<std::int64_t>();
}

bool are_rising(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double x) { return std::isfinite(x); }) &&
         std::ranges::adjacent_find(values, std::greater_equal<>()) == values.end();
}

bool is_valid(const NumberCode& code) {
  const DecimalStep& step = code.grid.step;
  const NumberFormat& format = code.format;
  return code.grid.exceptions.size() <= 100 && are_rising(code.grid.exceptions) &&
         format.least_decimals <= format.most_decimals && (step || !code.dequantised) &&
         std::isfinite(code.mean) && code.deviation > 0 && std::isfinite(code.deviation) &&
         code.repeated_share >= 0 && code.repeated_share <= 1;
}

NumberCode number_from_json(const json& in, const std::string& file) {
  NumberCode code;
  code.grid.step.mantissa = whole_number(in, "step_mantissa", largest_mantissa, file);
  code.grid.step.decimals =
      static_cast<int>(whole_number(in, "step_decimals", most_step_decimals, file));
  in.at("exceptions").get_to(code.grid.exceptions);
  code.format.least_decimals =
      static_cast<int>(whole_number(in, "least_decimals", most_printed_decimals, file));
  code.format.most_decimals =
      static_cast<int>(whole_number(in, "most_decimals", most_printed_decimals, file));
  in.at("fixed").get_to(code.format.fixed);
  in.at("single").get_to(code.format.single);
  in.at("dequantised").get_to(code.dequantised);
  in.at("mean").get_to(code.mean);
  in.at("deviation").get_to(code.deviation);
  in.at("repeated_share").get_to(code.repeated_share);
  if (in.contains("quantiles")) code.quantiles = quantiles_from_json(in.at("quantiles"), file);
  if (!is_valid(code)) refuse(file, "numbers out of their range");
  return code;
}

CategoryCode categories_from_json(const json& in, const std::string& file) {
  CategoryCode code{.words = in.at("words").get<std::vector<std::string>>(),
                    .map = {in.at("shares").get<std::vector<double>>(), file}};
  const std::set<std::string> distinct(code.words.begin(), code.words.end());
  if (distinct.size() != code.words.size() || code.words.size() != code.map.size()) {
    refuse(file, "categories that are not distinct, or not one for each share");
  }
  return code;
}

ColumnType type_from_text(const std::string& text, const std::string& file) {
  for (const ColumnType type :
       {ColumnType::numeric, ColumnType::integer, ColumnType::categorical, ColumnType::ordinal}) {
    if (text == to_text(type)) return type;
  }
  refuse(file, "a column of an unknown type");
}

}  // namespace

json to_json(const ColumnCode& code) {
  json out{{"name", code.name}, {"type", to_text(code.type)}, {"missing_word", code.missing_word}};
  if (code.number) {
    out["number"] = to_json(*code.number);
  } else {
    out["categories"] = {{"words", code.category->words}, {"shares", code.category->map.shares()}};
  }
  if (code.missing) out["missing"] = code.missing->shares();
  return out;
}

ColumnCode column_code_from_json(const json& in, const std::string& file) {
  ColumnCode code;
  in.at("name").get_to(code.name);
  in.at("missing_word").get_to(code.missing_word);
  code.type = type_from_text(in.at("type").get<std::string>(), file);
  if (code.type == ColumnType::numeric || code.type == ColumnType::integer) {
    code.number = number_from_json(in.at("number"), file);
  } else {
    code.category = categories_from_json(in.at("categories"), file);
  }
  if (in.contains("missing")) {
    code.missing.emplace(in.at("missing").get<std::vector<double>>(), file);
    if (code.missing->size() != 2) refuse(file, "missing cells with other than two shares");
  }
  return code;
}

}  // namespace calor::data
