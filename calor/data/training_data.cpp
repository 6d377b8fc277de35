#include "calor/data/training_data.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "calor/core/error.h"
#include "calor/data/dequantise.h"
#include "calor/data/picture_density.h"
#include "calor/data/plane.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/ending.h"
#include "calor/io/npy.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view picture_prefix = "picture:";
constexpr const char* table_key = "calor.table";
constexpr const char* condition_key = "calor.condition";
constexpr const char* points_key = "calor.points";
constexpr const char* plane_key = "calor.plane";
constexpr const char* policy_key = "calor.policy";

bool is_point_set(const std::string& source) {
  const auto& sets = known_point_sets();
  return source.starts_with(picture_prefix) ||
         std::ranges::any_of(sets, [&](const PointSetInfo& set) { return set.name == source; });
}

// .npy and .npz hold pictures, too: those have three dimensions or more.
bool holds_table(const fs::path& path) {
  std::error_code ignored;
  if (!is_table_name(path) || !fs::is_regular_file(path, ignored)) return false;
  const std::string ending = io::ending_of(path);
  if (ending == ".npy") return io::read_npy_shape(path).size() <= 2;
  if (ending != ".npz") return true;
  const auto shapes = io::read_npz_shapes(path);
  return std::ranges::any_of(shapes, [](const auto& entry) {
    return (entry.first == "x" || entry.first == "arr_0") && entry.second.size() <= 2;
  });
}

RandomKey key_of(const DataOptions& options, RandomUse use) {
  return random_key(static_cast<std::uint64_t>(options.seed), use);
}

ItemSpec row_spec(std::int64_t numbers) {
  return {.channels = numbers, .height = 1, .width = 1, .class_names = {}, .kind = ItemKind::rows};
}

TrainingData open_points(const DataOptions& options) {
  const Points drawn =
      draw_source_points(options, options.count, key_of(options, RandomUse::points));
  ItemSpec spec = row_spec(2);
  TrainingData data;
  data.notes[points_key] = options.source;
  data.description = fmt::format("{} points of {}", options.count, options.source);
  if (options.dimensions > 0) {
    spec.channels = 1;
    std::tie(spec.height, spec.width) = plane_sides(options.dimensions);
    data.notes[plane_key] = std::to_string(options.dimensions);
    data.description += fmt::format(" in {} dimensions", options.dimensions);
  }
  if (options.labels) spec.class_names = drawn.class_names;
  data.train = make_float_dataset(spec, drawn.points, drawn.labels);
  return data;
}

// About 100,000 encoded rows: enough for a network not to see the same dequantisation often, few
// enough to be carried from stage to stage soon.
std::int64_t copies_of(const DataOptions& options, std::size_t rows, bool random) {
  if (options.copies > 0) return options.copies;
  if (!random) return 1;
  return std::clamp<std::int64_t>(100'000 / static_cast<std::int64_t>(rows), 1, 16);
}

std::shared_ptr<const Dataset> encode_rows(const Table& table, const TableCodecs& codecs,
                                           std::int64_t copies, RandomKey key) {
  std::vector<at::Tensor> rows;
  for (std::int64_t c = 0; c < copies; ++c) {
    const auto encoded = codecs.targets.encode(table, key.child(static_cast<std::uint64_t>(c)));
    rows.push_back(encoded.rows.to(at::kFloat));
  }
  ItemSpec spec = row_spec(codecs.targets.width());
  at::Tensor condition;
  if (codecs.condition) {
    spec.condition_width = codecs.condition->width();
    condition = codecs.condition->encode(table).to(at::kFloat).repeat({copies, 1});
  }
  return make_float_dataset(spec, at::cat(rows), {}, condition);
}

TableCodecs fit_codecs(const Table& train, const TableOptions& options) {
  TableCodecs codecs{.targets = TableCodec::fit(train, options), .condition = std::nullopt};
  if (!options.condition.empty()) codecs.condition = ConditionCodec::fit(train, options);
  return codecs;
}

TrainingData open_rows(const DataOptions& options) {
  const TableSplit parts = open_table_split(options);
  const TableCodecs codecs = fit_codecs(parts.train, options.table);
  const RandomKey key = key_of(options, RandomUse::dequantisation);
  const std::int64_t copies = copies_of(options, parts.train.rows(), codecs.targets.is_bound());
  TrainingData data;
  data.train = encode_rows(parts.train, codecs, copies, key.child(0));
  if (parts.validation.rows() > 0) {
    data.validation = encode_rows(parts.validation, codecs, 1, key.child(1));
  }
  data.notes[table_key] = codecs.targets.to_json();
  if (codecs.condition) data.notes[condition_key] = codecs.condition->to_json();
  data.description =
      fmt::format("{} rows of {} numbers, {} copies each; held out: {} for validation, {} for test",
                  parts.train.rows(), codecs.targets.width(), copies, parts.validation.rows(),
                  parts.test.rows());
  return data;
}

// Every episode, or the share of them that is held out, in an order of its own.
std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> split_episodes(
    const DataOptions& options, std::int64_t episodes) {
  auto order = random_permutation(key_of(options, RandomUse::split), episodes);
  const auto held =
      static_cast<std::int64_t>(std::llround(options.validation * static_cast<double>(episodes)));
  const auto cut = order.begin() + std::min(held, episodes - 1);
  std::vector<std::int64_t> validation(order.begin(), cut), train(cut, order.end());
  std::ranges::sort(validation);
  std::ranges::sort(train);
  return {train, validation};
}

ObservedShape shape_of_pictures(const Demonstrations& all, const DemonstrationOptions& options) {
  if (!all.pictures.defined()) return {};
  const auto sizes = all.pictures.sizes();
  return {.count = options.history, .channels = sizes[3], .height = sizes[1], .width = sizes[2]};
}

TrainingData open_windows(const DataOptions& options) {
  const Demonstrations all = open_demonstrations(options);
  const auto [train, validation] = split_episodes(options, all.episodes());
  const PolicyCodec codec{.options = options.demonstrations,
                          .actions = RangeScaler::fit(all.actions),
                          .observations = RangeScaler::fit(all.observations)};
  const ObservedShape observed = shape_of_pictures(all, codec.options);
  const std::string checksum =
      observed.count > 0 ? io::checksum(io::bytes_of(all.pictures)) : std::string();
  const auto windows_of = [&](const std::vector<std::int64_t>& episodes) {
    const Windows w = cut_windows(all, episodes, codec.options, codec.actions, codec.observations);
    const ItemSpec spec{.channels = all.actions.size(1),
                        .height = 1,
                        .width = codec.options.chunk,
                        .class_names = {},
                        .kind = ItemKind::rows,
                        .condition_width = w.observations.size(1),
                        .observed = observed};
    return make_float_dataset(spec, w.chunks, {}, w.observations,
                              {.frames = all.pictures, .rows = w.rows, .checksum = checksum});
  };
  TrainingData data;
  data.train = windows_of(train);
  if (!validation.empty()) data.validation = windows_of(validation);
  data.notes[policy_key] = codec.to_json();
  data.description =
      fmt::format("{} windows of {} steps of {} numbers from {} episodes; held out: {} episodes",
                  data.train->size(), codec.options.chunk, all.actions.size(1), train.size(),
                  validation.size());
  return data;
}

const char* text_of(SourceKind kind) {
  switch (kind) {
    case SourceKind::points:
      return "points";
    case SourceKind::table:
      return "a table";
    case SourceKind::demonstrations:
      return "demonstrations";
    case SourceKind::pictures:
      break;
  }
  return "pictures";
}

// Nobody shall believe items to be held out that are trained on. The default of data.validation
// stands in every configuration, so it promises nothing.
void require_used_shares(const DataOptions& options, SourceKind kind) {
  const bool table = kind == SourceKind::table;
  const bool validates = table || kind == SourceKind::demonstrations;
  const auto require = [&](bool holds, const char* key, double share) {
    require_usage(holds, fmt::format("a source that {} holds something out of", key),
                  fmt::format("{} = {} for data.source = \"{}\": {}", key, share, options.source,
                              text_of(kind)),
                  kind == SourceKind::points
                      ? "leave it out: calor draws fresh points to measure with"
                      : "leave it out, and keep what is to be held out in a place of its own");
  };
  const bool said = options.validation != DataOptions{}.validation && options.validation != 0;
  require(validates || !said, "data.validation", options.validation);
  require(table || options.test == 0, "data.test", options.test);
}

}  // namespace

SourceKind source_kind(const DataOptions& options) {
  if (is_point_set(options.source)) return SourceKind::points;
  if (holds_demonstrations(path_of_source(options.source))) return SourceKind::demonstrations;
  return holds_table(options.source) ? SourceKind::table : SourceKind::pictures;
}

bool is_known_source(const std::string& name) {
  return is_point_set(name) || std::ranges::any_of(known_datasets(), [&](const KnownDataset& set) {
           return set.name == name;
         });
}

TrainingData open_training_data(const DataOptions& options) {
  const SourceKind kind = source_kind(options);
  if (options.dequantise_pictures && kind != SourceKind::pictures) {
    throw usage_error("pictures for data.dequantise_pictures = true",
                      fmt::format("data.source = \"{}\": {}", options.source, text_of(kind)),
                      "leave it out; data.dequantise is the setting of tables");
  }
  require_used_shares(options, kind);
  switch (kind) {
    case SourceKind::points:
      return open_points(options);
    case SourceKind::table:
      return open_rows(options);
    case SourceKind::demonstrations:
      return open_windows(options);
    case SourceKind::pictures:
      break;
  }
  const auto set = open_dataset(options);
  const ItemSpec& spec = set->spec();
  TrainingData data;
  data.train = set;
  if (options.dequantise_pictures) data.train = with_dequantised(set);
  data.description =
      fmt::format("{} pictures of {}, {} classes{}", set->size(), spec.shape_text(), spec.classes(),
                  options.dequantise_pictures ? ", dequantised" : "");
  return data;
}

Points draw_source_points(const DataOptions& options, std::int64_t count, RandomKey key) {
  Points drawn;
  if (options.source.starts_with(picture_prefix)) {
    const fs::path file = options.source.substr(picture_prefix.size());
    drawn.points = read_picture_density(file, options.dark_is_mass).draw(count, key);
  } else {
    drawn = draw_labelled_points(options.source, count, key);
  }
  if (options.dimensions > 0) {
    require_usage(options.dimensions >= 2, "data.dimensions of 2 or more (or 0: the plane itself)",
                  std::to_string(options.dimensions), "a plane has two dimensions");
    drawn.points = drawn.points.matmul(plane_map(options.dimensions).t().to(at::kFloat));
  }
  return drawn;
}

TableSplit open_table_split(const DataOptions& options) {
  return split(read_table(options.source, options.table), static_cast<std::uint64_t>(options.seed),
               options.validation, options.test);
}

std::optional<TableCodecs> table_codecs(const std::map<std::string, std::string>& notes,
                                        const std::string& origin) {
  const auto targets = notes.find(table_key);
  if (targets == notes.end()) return std::nullopt;
  TableCodecs codecs{.targets = TableCodec::from_json(targets->second, origin),
                     .condition = std::nullopt};
  const auto condition = notes.find(condition_key);
  if (condition != notes.end()) {
    codecs.condition = ConditionCodec::from_json(condition->second, origin);
  }
  return codecs;
}

fs::path path_of_source(const std::string& source) {
  for (const KnownDataset& set : known_datasets()) {
    if (set.name == source) return find_known(set);
  }
  return source;
}

Demonstrations open_demonstrations(const DataOptions& options) {
  return read_demonstrations(path_of_source(options.source), options.demonstrations);
}

std::optional<PolicyCodec> policy_codec(const std::map<std::string, std::string>& notes,
                                        const std::string& origin) {
  const auto note = notes.find(policy_key);
  if (note == notes.end()) return std::nullopt;
  return PolicyCodec::from_json(note->second, origin);
}

}  // namespace calor::data
