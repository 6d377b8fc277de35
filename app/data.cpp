// calor data: which named sets there are and whether they are here, and what a set holds.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "app/command.h"
#include "calor/core/error.h"
#include "calor/data/loader.h"
#include "calor/data/open.h"
#include "calor/data/point_sets.h"
#include "calor/data/training_data.h"
#include "calor/io/npy.h"
#include "calor/io/picture.h"
#include "calor/policy/two_ways.h"
#include "calor/report/density_plot.h"
#include "calor/report/grid.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

nlohmann::ordered_json list_sets(const Globals& globals) {
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& set : data::known_datasets()) {
    const std::string place = set.files.empty() ? "made by Calor" : data::find_known(set).string();
    answer(globals, fmt::format("{:<16} {}\n{:<16}   {}", set.name, set.description, "",
                                place.empty() ? "not here; get it: " + set.how_to_get : place));
    list.push_back({{"name", set.name},
                    {"description", set.description},
                    {"found", place},
                    {"how_to_get", set.how_to_get}});
  }
  answer(globals, "\nlaws of points in the plane, made by Calor:");
  nlohmann::ordered_json laws = nlohmann::json::array();
  for (const auto& set : data::known_point_sets()) {
    answer(globals, fmt::format("{:<16} {}", set.name, set.description));
    laws.push_back({{"name", set.name}, {"description", set.description}});
  }
  return {{"datasets", list}, {"points", laws}};
}

void write_preview(const data::ImageDataset& set, const std::string& file) {
  std::vector<at::Tensor> pictures;
  const std::int64_t count = std::min<std::int64_t>(64, set.size());
  for (std::int64_t i = 0; i < count; ++i) pictures.push_back(set.picture(i * set.size() / count));
  io::write_png(file, report::tile(at::stack(pictures), 0, 48));
}

nlohmann::ordered_json inspect(const Globals& globals, const data::DataOptions& options,
                               const std::string& preview) {
  const auto set = data::open_dataset(options);
  const auto& spec = set->spec();
  std::vector<std::int64_t> counts(
      static_cast<std::size_t>(std::max<std::int64_t>(1, spec.classes())));
  for (std::int64_t i = 0; i < set->size(); ++i) ++counts[static_cast<std::size_t>(set->label(i))];
  answer(globals, fmt::format("{} pictures, {} channel{}, {} x {} pixels (height x width)",
                              report::grouped(set->size()), spec.channels,
                              spec.channels == 1 ? "" : "s", spec.height, spec.width));
  nlohmann::ordered_json classes = nlohmann::json::array();
  for (std::size_t k = 0; k < spec.class_names.size(); ++k) {
    answer(globals, fmt::format("  class {:>3}  {:<20} {:>9}", k, spec.class_names[k],
                                report::grouped(counts[k])));
    classes.push_back({{"name", spec.class_names[k]}, {"count", counts[k]}});
  }
  if (!preview.empty()) {
    write_preview(*set, preview);
    say(globals, "preview: " + preview);
  }
  return {{"size", set->size()}, {"channels", spec.channels}, {"height", spec.height},
          {"width", spec.width}, {"classes", classes},        {"fingerprint", set->fingerprint()},
          {"preview", preview}};
}

// What the columns of a table are taken for.
nlohmann::ordered_json inspect_table(const Globals& globals, const data::DataOptions& options) {
  const data::Table table = data::read_table(options.source, options.table);
  const auto codec = data::TableCodec::fit(table, options.table);
  answer(globals, fmt::format("{} rows, {} columns",
                              report::grouped(static_cast<std::int64_t>(table.rows())),
                              table.columns.size()));
  answer(globals, codec.describe());
  nlohmann::ordered_json columns = nlohmann::json::array();
  for (const auto& column : table.columns) {
    std::int64_t missing = 0;
    for (std::size_t i = 0; i < column.rows(); ++i) missing += column.is_missing(i) ? 1 : 0;
    columns.push_back({{"name", column.name},
                       {"type", data::to_text(column.type)},
                       {"missing", missing},
                       {"categories", column.words.size()}});
  }
  return {{"rows", table.rows()},
          {"columns", columns},
          {"numbers", codec.width()},
          {"likelihood", codec.likelihood_note()}};
}

nlohmann::ordered_json inspect_points(const Globals& globals, data::DataOptions options,
                                      const std::string& preview) {
  options.count = 200'000;
  const auto set = data::open_training_data(options);
  answer(globals, set.description);
  if (!preview.empty()) {
    const data::Batch batch = data::batch_of(*set.train, 0, set.train->size());
    io::write_png(preview, report::scatter_picture(batch.items.flatten(1), data::point_box, 512));
    say(globals, "preview: " + preview);
  }
  return {{"points", options.source},
          {"class_names", set.train->spec().class_names},
          {"preview", preview}};
}

// Pictures of demonstrations, uint8 [steps, H, W, C], from all over them.
void write_pictures(const Globals& globals, const at::Tensor& pictures, const std::string& file) {
  require_usage(pictures.defined(), "pictures among the observations for --out", "none",
                "name their array in --observations, or leave --out out");
  const std::int64_t count = std::min<std::int64_t>(64, pictures.size(0));
  const at::Tensor steps = at::arange(count, at::kLong) * pictures.size(0) / count;
  const at::Tensor shown = pictures.index_select(0, steps.to(at::kLong)).permute({0, 3, 1, 2});
  io::write_png(file, report::tile(shown.contiguous(), 0, 48));
  say(globals, "preview: " + file);
}

nlohmann::ordered_json inspect_demonstrations(const Globals& globals,
                                              const data::DataOptions& options,
                                              const std::string& preview) {
  nlohmann::ordered_json arrays = nlohmann::json::array();
  for (const auto& array : data::list_demonstrations(data::path_of_source(options.source))) {
    const char* type =
        array.type == at::ScalarType::Undefined ? "not read" : c10::toString(array.type);
    answer(globals,
           fmt::format("  {:<16} {:<8} [{}]{}", array.name, type, fmt::join(array.shape, ", "),
                       array.is_pictures() ? "  pictures" : ""));
    arrays.push_back({{"name", array.name},
                      {"type", type},
                      {"shape", array.shape},
                      {"pictures", array.is_pictures()}});
  }
  const data::Demonstrations all = data::open_demonstrations(options);
  const at::Tensor& seen = all.pictures;
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < all.episodes(); ++i) lengths.push_back(all.end(i) - all.begin(i));
  std::ranges::sort(lengths);
  answer(globals,
         fmt::format("{} episodes of {} to {} steps (median {}), {} in all; actions of {} numbers; "
                     "observed: {}, {} numbers{}",
                     lengths.size(), lengths.front(), lengths.back(), lengths[lengths.size() / 2],
                     report::grouped(all.ends.back()), all.actions.size(1),
                     options.demonstrations.observations, all.observations.size(1),
                     seen.defined() ? fmt::format(" and a picture of {} x {} x {}", seen.size(1),
                                                  seen.size(2), seen.size(3))
                                    : std::string()));
  if (!preview.empty()) write_pictures(globals, seen, preview);
  return {{"arrays", arrays},
          {"episodes", lengths.size()},
          {"steps", all.ends.back()},
          {"preview", preview}};
}

// Flags that say how another kind of data is read.
void refuse_others(const SaidFlags& said, data::SourceKind kind, const std::string& source) {
  using data::SourceKind;
  if (kind != SourceKind::pictures) said.refuse({"--size"}, "pictures", source);
  if (kind != SourceKind::table) said.refuse({"--columns"}, "a table", source);
  if (kind == SourceKind::table) {
    said.refuse({"--out"}, "pictures, points or demonstrations", source + ", a table");
  }
  if (kind != SourceKind::demonstrations) {
    said.refuse({"--observations", "--actions"}, "demonstrations", source);
  }
}

nlohmann::ordered_json inspect_any(const Globals& globals, const SaidFlags& said,
                                   const data::DataOptions& options, const std::string& preview) {
  check_place("--out", preview, {".png"});
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::is_directory(options.source, ignored) && !preview.empty()) {
    check_apart("--out", fs::absolute(preview).parent_path(), {options.source});
  }
  const data::SourceKind kind = data::source_kind(options);
  refuse_others(said, kind, options.source);
  switch (kind) {
    case data::SourceKind::table:
      return inspect_table(globals, options);
    case data::SourceKind::points:
      return inspect_points(globals, options, preview);
    case data::SourceKind::demonstrations:
      return inspect_demonstrations(globals, options, preview);
    case data::SourceKind::pictures:
      break;
  }
  return inspect(globals, options, preview);
}

void add_record(CLI::App& command, Globals& globals) {
  struct Recording {
    std::string out;
    std::int64_t episodes = 200, seed = 0, pictures = 0;
    double disturbance = 0.02;
  };
  const auto recording = std::make_shared<Recording>();
  CLI::App& record = add_command(
      command, globals, "record",
      "Demonstrations of the task with two ways, by an expert that tosses a coin each time.",
      "  calor data record two-ways.npz --episodes 200");
  record.add_option("out", recording->out, "FILE.npz")->required();
  record.add_option("--episodes", recording->episodes, "how many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  record.add_option("--seed", recording->seed, "of the first; the others follow")
      ->check(CLI::Range(0, 2'000'000'000))
      ->capture_default_str();
  record
      .add_option("--disturbance", recording->disturbance,
                  "deviation of the noise that moves the point off the expert's way")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  record
      .add_option("--pictures", recording->pictures,
                  "side in pixels of pictures of each step, in the array \"img\"; 0: none")
      ->check(CLI::Range(0, 512))
      ->capture_default_str();
  set_work(record, globals, [&globals, recording] {
    check_place("the file", recording->out, {".npz"});
    const auto arrays = policy::two_ways_demonstrations(static_cast<std::uint32_t>(recording->seed),
                                                        recording->episodes, recording->disturbance,
                                                        recording->pictures);
    io::write_npz(recording->out, arrays);
    say(globals, fmt::format("{} episodes, {} steps: {}", recording->episodes,
                             arrays.front().second.size(0), recording->out));
    return nlohmann::ordered_json{{"file", recording->out},
                                  {"episodes", recording->episodes},
                                  {"steps", arrays.front().second.size(0)}};
  });
}

void add_inspect(CLI::App& command, Globals& globals) {
  auto options = std::make_shared<data::DataOptions>();
  auto settings = std::make_shared<std::vector<std::string>>();
  auto preview = std::make_shared<std::string>();
  auto declared = std::make_shared<config::Options>();
  options->declare(*declared);
  CLI::App& look = add_command(
      command, globals, "inspect", "Count, sizes, classes or columns of a set.",
      "  calor data inspect mnist\n"
      "  calor data inspect houses.csv --columns \"zip:categorical\"\n"
      "  calor data inspect rose --out rose.png\n"
      "  calor data inspect pusht-pictures --observations \"img state[0:2]\" --out frames.png\n"
      "  calor data inspect pictures/ --size 64 --out preview.png");
  look.add_option("path", options->source, "a known name or a path")->required();
  const config::Option& size = *declared->find("data.size");
  add_setting(look, *settings, "--size", size, size.default_text);
  look.add_option("--columns", options->table.columns,
                  "table: types, as \"age:integer, zip:categorical, id:ignore\"");
  look.add_option("--observations", options->demonstrations.observations,
                  "demonstrations: arrays, as \"keypoint state[0:2]\" or \"img\"");
  look.add_option("--actions", options->demonstrations.actions, "demonstrations: the array");
  look.add_option("--out", *preview, "write a grid of pictures, or the points, to this PNG");
  set_work(look, globals, [&globals, said = SaidFlags(look), options, settings, declared, preview] {
    assign_all(*declared, *settings);
    return inspect_any(globals, said, *options, *preview);
  });
}

}  // namespace

void add_data(CLI::App& program, Globals& globals) {
  CLI::App& command =
      add_command(program, globals, "data", "List known data sets, or look into one.",
                  "  calor data list\n  calor data inspect fashion-mnist --out preview.png\n"
                  "  calor data inspect pictures/ --size 64");
  command.require_subcommand(1);
  CLI::App& list = add_command(command, globals, "list", "Known data sets and where they are.",
                               "  calor data list");
  set_work(list, globals, [&globals] { return list_sets(globals); });
  add_record(command, globals);
  add_inspect(command, globals);
}

}  // namespace calor::app
