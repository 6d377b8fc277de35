#include "calor/data/item_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "calor/core/error.h"

namespace calor::data {
namespace {

using nlohmann::json;

bool in_range(std::int64_t v) { return v >= 1 && v <= 65536; }

// Of the pictures that are observed, where there are.
ObservedShape observed_from_json(const json& items) {
  const auto found = items.find("observed_pictures");
  if (found == items.end()) return {};
  return {.count = found->at("count").get<std::int64_t>(),
          .channels = found->at("channels").get<std::int64_t>(),
          .height = found->at("height").get<std::int64_t>(),
          .width = found->at("width").get<std::int64_t>()};
}

bool is_whole(const ObservedShape& s) {
  return s == ObservedShape{} ||
         (in_range(s.count) && in_range(s.channels) && in_range(s.height) && in_range(s.width));
}

}  // namespace

std::string to_json(const ItemSpec& items) {
  json object{{"channels", items.channels},
              {"height", items.height},
              {"width", items.width},
              {"class_names", items.class_names}};
  if (items.kind == ItemKind::pictures) {
    object["dequantised"] = items.dequantised;
    object["range"] = items.dequantised ? "x = (u + n) / 128 - 1, u = 0..255, n uniform in [0, 1)"
                                        : "x = u / 127.5 - 1, u = 0..255";
  }
  if (items.condition_width > 0) object["condition_width"] = items.condition_width;
  if (items.observed.count > 0) {
    const auto& [count, channels, height, width] = items.observed;
    object["observed_pictures"] = {
        {"count", count}, {"channels", channels}, {"height", height}, {"width", width}};
  }
  return object.dump();
}

ItemSpec items_from_json(const std::string& text, ItemKind kind, const std::string& origin) {
  try {
    const json j = json::parse(text);
    ItemSpec items{.channels = j.at("channels").get<std::int64_t>(),
                   .height = j.at("height").get<std::int64_t>(),
                   .width = j.at("width").get<std::int64_t>(),
                   .class_names = j.at("class_names").get<std::vector<std::string>>(),
                   .kind = kind,
                   .condition_width = j.value("condition_width", std::int64_t{0}),
                   .dequantised = j.value("dequantised", false),
                   .observed = observed_from_json(j)};
    if (is_whole(items.observed) && in_range(items.channels) && in_range(items.height) &&
        in_range(items.width) && items.condition_width >= 0 && items.condition_width <= 65536) {
      return items;
    }
  } catch (const json::exception&) {
    // Said below.
  }
  throw Error("channels, height, width (1 to 65536) and class_names in the model's metadata",
              fmt::format("{} is {}", origin, text.substr(0, 200)),
              "the file is damaged: take another copy");
}

}  // namespace calor::data
