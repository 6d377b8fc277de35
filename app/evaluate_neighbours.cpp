#include "app/evaluate_neighbours.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "app/evaluate_distances.h"
#include "app/nll.h"
#include "app/pictures_argument.h"
#include "calor/core/error.h"
#include "calor/io/picture.h"
#include "calor/metric/nearest_pictures.h"
#include "calor/metric/samples.h"
#include "calor/report/grid.h"
#include "calor/report/progress.h"
#include "calor/report/titles.h"

namespace calor::app {
namespace {

constexpr std::int64_t most = 1000;  // samples, and real pictures, whose neighbours are searched
constexpr std::int64_t neighbours = 3;
constexpr std::int64_t piece = 1000;  // pictures read at a time

// Real pictures whose nearest training pictures are found like the samples'.
struct Compared {
  at::Tensor pictures, own;  // own: their numbers in the training set, undefined: not in it
  std::string text;
};

std::vector<std::int64_t> random_items(const EvaluateArguments& a, std::int64_t size,
                                       std::int64_t count, std::uint64_t use) {
  auto items = random_permutation(a.key(use), size);
  items.resize(static_cast<std::size_t>(std::min(count, size)));
  return items;
}

std::string held_out_name(const EvaluateArguments& a, const RealSource& real) {
  if (!a.held_out.empty()) return a.held_out;
  const std::string test = real.training_source + "-test";
  const auto& known = data::known_datasets();
  const auto named = std::ranges::find(known, test, &data::KnownDataset::name);
  return named != known.end() && !data::find_known(*named).empty() ? test : "";
}

std::shared_ptr<const data::ImageDataset> open_held_out(const EvaluateArguments& a,
                                                        const RunModel* model,
                                                        const RealSource& real,
                                                        const std::string& name) {
  const auto set = model == nullptr ? data::open_dataset(a.data_options(name))
                                    : open_pictures(*model, name, "", 1, a.seed, false).set;
  if (set->spec().shape_text() == real.training->spec().shape_text()) return set;
  throw usage_error(
      fmt::format("--held-out pictures of {} (channels, height, width), as those of {}",
                  real.training->spec().shape_text(), real.training_source),
      fmt::format("{}: {}", name, set->spec().shape_text()), "name pictures of that shape");
}

Compared compared_pictures(const EvaluateArguments& a, const PictureSets& sets,
                           const NeighbourSearch& search, std::int64_t count) {
  Compared compared;
  if (search.held_out) {
    const data::ImageDataset& set = *search.held_out;
    compared.pictures = pictures_at(set, random_items(a, set.size(), count, 12));
    compared.text = fmt::format("held out: {}", search.held_out_name);
    return compared;
  }
  const std::vector<std::int64_t>& searched = search.items;
  std::vector<std::int64_t> items;
  for (const std::int64_t i :
       random_items(a, static_cast<std::int64_t>(searched.size()), count, 12)) {
    items.push_back(searched[static_cast<std::size_t>(i)]);
  }
  compared.pictures = pictures_at(*sets.real.training, items);
  compared.own = at::tensor(items, at::kLong);
  compared.text = "training pictures, each without itself";
  return compared;
}

// The numbers of the training pictures that are searched: all, or some at random.
std::vector<std::int64_t> searched_items(const EvaluateArguments& a, std::int64_t size) {
  if (a.searched > size) {
    throw usage_error(fmt::format("--searched of at most the {} training pictures", size),
                      fmt::format("--searched {}", a.searched), "lower it, or leave it out");
  }
  const std::int64_t count = a.searched < 0 ? size : a.searched;
  if (count < neighbours + 1) {
    throw usage_error(fmt::format("{} training pictures or more", neighbours + 1),
                      fmt::format("{}", count), "raise --searched; 0 leaves the search out");
  }
  auto items = random_items(a, size, count, 13);
  std::ranges::sort(items);
  return items;
}

// Shows each piece of the training set to both searches. The places of a piece are those in
// `items`; own numbers are turned into places before.
void search(const Globals& globals, const data::ImageDataset& set,
            const std::vector<std::int64_t>& items, metric::NearestPictures& samples,
            metric::NearestPictures& real) {
  const auto size = static_cast<std::int64_t>(items.size());
  report::ProgressBar bar(size, 0, "img", globals.quiet);
  for (std::int64_t start = 0; start < size; start += piece) {
    const std::int64_t count = std::min(piece, size - start);
    const at::Tensor pictures = pictures_at(
        set,
        std::span(items).subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(count)));
    samples.add(pictures, start);
    real.add(pictures, start);
    stop_if_asked();
    bar.update(start + count, "nearest training pictures");
  }
  bar.finish();
}

// The place in ascending `items` of each of `numbers`; -1 where it is not there.
at::Tensor places_of(const at::Tensor& numbers, const std::vector<std::int64_t>& items) {
  if (!numbers.defined()) return {};
  std::vector<std::int64_t> places;
  for (std::int64_t i = 0; i < numbers.size(0); ++i) {
    const auto number = numbers[i].item<std::int64_t>();
    const auto found = std::ranges::lower_bound(items, number);
    places.push_back(found != items.end() && *found == number ? found - items.begin() : -1);
  }
  return at::tensor(places, at::kLong);
}

// The samples nearest to their training pictures, each with its nearest ones to the right.
at::Tensor sheet_of(const at::Tensor& samples, const metric::NearestPictures& found,
                    const data::ImageDataset& set, const std::vector<std::int64_t>& items) {
  constexpr std::int64_t shown = 32;
  constexpr std::int64_t groups = 4;  // side by side
  constexpr std::int64_t least_side = 48;
  const at::Tensor order = found.distances().select(1, 0).argsort();
  const std::int64_t count = std::min(shown, samples.size(0)) / groups * groups;
  std::vector<at::Tensor> panels;
  for (std::int64_t g = 0; g < groups; ++g) {
    std::vector<at::Tensor> pictures;
    for (std::int64_t i = g * count / groups; i < (g + 1) * count / groups; ++i) {
      const auto n = order[i].item<std::int64_t>();
      pictures.push_back(samples[n]);
      for (std::int64_t k = 0; k < neighbours; ++k) {
        const auto place = found.numbers()[n][k].item<std::int64_t>();
        pictures.push_back(set.picture(items[static_cast<std::size_t>(place)]));
      }
    }
    const at::Tensor tiles = report::tile(at::stack(pictures), neighbours + 1, least_side);
    panels.push_back(report::with_title(tiles, "sample  nearest real pictures"));
  }
  return report::side_by_side(panels);
}

nlohmann::ordered_json scores_json(const metric::CopyScores& scores) {
  return {{"median", json_number(scores.median)},
          {"quantile_01", json_number(scores.lowest)},
          {"copied", json_number(scores.copied)}};
}

void print(const Globals& globals, const nlohmann::ordered_json& found) {
  print_heads(globals,
              fmt::format("nearest of {} training pictures",
                          report::grouped(found["searched"].get<std::int64_t>())),
              "real pictures");
  const auto line = [&](const char* text, const char* key) {
    print_line(globals, text, found["samples"], found["real"], key);
  };
  line("distance, 0 to 1, median", "median");
  line("distance, 1 % quantile", "quantile_01");
  line("copies (a third of the runner-up's)", "copied");
  answer(globals,
         fmt::format("nearer than 99 % of real pictures: {:.4f} of the samples (.01: equal)",
                     found["nearer_than_99_percent"].get<double>()));
  answer(globals,
         fmt::format("training pictures: {}; real pictures: {}",
                     found["training"].get<std::string>(), found["compared"].get<std::string>()));
}

}  // namespace

NeighbourSearch open_search(const EvaluateArguments& a, const RunModel* model,
                            const RealSource& real) {
  NeighbourSearch search;
  if (a.searched == 0) return search;
  search.items = searched_items(a, real.training->size());
  search.held_out_name = held_out_name(a, real);
  if (!search.held_out_name.empty()) {
    search.held_out = open_held_out(a, model, real, search.held_out_name);
  }
  return search;
}

nlohmann::ordered_json report_neighbours(const Globals& globals, const EvaluateArguments& a,
                                         const PictureSets& sets,
                                         const NeighbourSearch& neighbour_search) {
  const auto& items = neighbour_search.items;
  if (items.empty()) return {};
  const data::ImageDataset& set = *sets.real.training;
  const at::Tensor samples = sets.samples.pictures.slice(0, 0, most);
  const bool own = sets.samples.own.defined();
  const Compared compared = compared_pictures(a, sets, neighbour_search, samples.size(0));
  metric::NearestPictures of_samples(
      samples, neighbours,
      own ? places_of(sets.samples.own.slice(0, 0, most), items) : at::Tensor());
  metric::NearestPictures of_real(compared.pictures, neighbours, places_of(compared.own, items));
  search(globals, set, items, of_samples, of_real);
  const auto real = metric::copy_scores(of_real.distances());
  const at::Tensor nearest = of_samples.distances().select(1, 0);
  nlohmann::ordered_json found{
      {"training", sets.real.training_source},
      {"searched", items.size()},
      {"count", samples.size(0)},
      {"compared", compared.text},
      {"compared_count", compared.pictures.size(0)},
      {"unit", "root mean square of pixel differences, brightness 0 to 1"},
      {"samples", scores_json(metric::copy_scores(of_samples.distances()))},
      {"real", scores_json(real)},
      {"nearer_than_99_percent",
       json_number(nearest.lt(real.lowest).to(at::kDouble).mean().item<double>())}};
  print(globals, found);
  if (!a.neighbours.empty()) {
    io::write_png(a.neighbours, sheet_of(samples, of_samples, set, items));
    found["sheet"] = a.neighbours;
    say(globals, "nearest pictures: " + a.neighbours);
  }
  return found;
}

}  // namespace calor::app
