// calor data: which named sets there are and whether they are here, and what a set holds.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/command.h"
#include "calor/data/open.h"
#include "calor/io/picture.h"
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
  return {{"datasets", list}};
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

  auto options = std::make_shared<data::DataOptions>();
  auto preview = std::make_shared<std::string>();
  CLI::App& look = add_command(command, globals, "inspect", "Count, sizes and classes of a set.",
                               "  calor data inspect mnist\n"
                               "  calor data inspect pictures/ --size 64 --out preview.png");
  look.add_option("path", options->source, "a known name or a path")->required();
  look.add_option("--size", options->size, "side in pixels after resize and centre crop")
      ->check(CLI::Range(0, 16384));
  look.add_option("--out", *preview, "write a grid of pictures to this PNG");
  set_work(look, globals,
           [&globals, options, preview] { return inspect(globals, *options, *preview); });
}

}  // namespace calor::app
