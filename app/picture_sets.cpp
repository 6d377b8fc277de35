#include "app/picture_sets.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <span>

#include "app/evaluate_distances.h"
#include "app/labels.h"
#include "app/pictures_argument.h"
#include "app/start_argument.h"
#include "calor/core/error.h"
#include "calor/data/dequantise.h"
#include "calor/io/ending.h"
#include "calor/io/npy.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_pictures = 10'000;  // of a set, where nobody says how many
constexpr std::int64_t most_samples = 5'000;    // of a model

using Items = std::span<const std::int64_t>;

// All real pictures, in the order in which they are used.
std::vector<std::int64_t> order_of(const EvaluateArguments& a, std::int64_t size) {
  if (a.order == "shuffled") return random_permutation(random_key(0, RandomUse::data_order), size);
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return order;
}

at::Tensor labels_at(const data::ImageDataset& set, Items items) {
  if (set.spec().classes() == 0) return {};
  std::vector<std::int64_t> labels;
  for (const std::int64_t i : items) labels.push_back(set.label(i));
  return at::tensor(labels, at::kLong);
}

std::size_t classes_among(const data::ImageDataset& set, Items items) {
  std::set<std::int64_t> seen;
  for (const std::int64_t i : items) seen.insert(set.label(i));
  return seen.size();
}

// A reference of some classes only would make every distance meaningless: refused in stored order,
// where a set is sorted by class, and said where it is chance.
void check_classes(const EvaluateArguments& a, RealPictures& real, Items chosen, Items all) {
  const std::size_t wanted = classes_among(*real.set, all);
  const std::size_t found = classes_among(*real.set, chosen);
  if (found == wanted) return;
  const std::string text =
      fmt::format("{} of {} classes among {} pictures", found, wanted, chosen.size());
  if (a.order == "shuffled") {
    real.warnings.push_back("the reference holds only " + text);
    return;
  }
  throw usage_error(fmt::format("a reference with all {} classes of the set", wanted), text,
                    "leave --order out, or raise --reference-count");
}

// --count or --reference-count, or what is usual where it was not given.
std::int64_t count_of(const char* flag, std::int64_t given, std::int64_t usual, std::int64_t most,
                      const std::string& source) {
  if (given > most) {
    throw usage_error(fmt::format("{} of at most the {} pictures that there are", flag, most),
                      fmt::format("{} {} of {}", flag, given, source), "lower it, or leave it out");
  }
  const std::int64_t count = given > 0 ? given : std::min(usual, most);
  if (count >= least_rows) return count;
  throw usage_error(fmt::format("at least {} pictures on each side", least_rows),
                    fmt::format("{} of {}", count, source), "give more pictures");
}

// Floating-point pictures in about [-1, 1], as calor sample writes them; undefined where the file
// is none of these.
at::Tensor float_pictures(const std::string& path) {
  if (io::ending_of(path) != ".npy") return {};
  const at::Tensor array = io::read_npy(path);
  if (!array.is_floating_point() || array.dim() != 4) return {};
  const bool channels = array.size(1) == 1 || array.size(1) == 3;
  constexpr double most = 16;  // a sample may overshoot
  if (!channels || array.numel() == 0 || !array.abs().le(most).all().item<bool>()) {
    throw Error("pictures [N, 1 or 3, H, W] of numbers in about [-1, 1], or bytes",
                fmt::format("{}: other shapes or numbers", path),
                "write them as calor sample --out FILE.npy does, or as uint8");
  }
  if (array.min().item<double>() >= 0) {
    throw Error("pictures of numbers in about [-1, 1], black to white",
                fmt::format("{}: none is below 0", path),
                "numbers from 0 to 1 become such by 2 x - 1; bytes are taken, too");
  }
  return data::to_bytes(array.to(at::kFloat));
}

std::shared_ptr<const data::ImageDataset> open_set(const EvaluateArguments& a,
                                                   const std::string& source) {
  const at::Tensor floats = float_pictures(source);
  if (!floats.defined()) return data::open_dataset(a.data_options(source));
  const data::ItemSpec spec{.channels = floats.size(1),
                            .height = floats.size(2),
                            .width = floats.size(3),
                            .class_names = {}};
  return data::make_tensor_dataset(spec, floats, at::zeros({floats.size(0)}, at::kLong));
}

bool same_source(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return a == b || fs::equivalent(a, b, ignored);
}

void check_shapes(const data::ItemSpec& made, const std::string& made_name,
                  const data::ItemSpec& real, const std::string& real_name,
                  const std::string& hint) {
  if (made.shape_text() == real.shape_text()) return;
  throw usage_error(
      fmt::format("samples of the reference's shape, {} (channels, height, width)",
                  real.shape_text()),
      fmt::format("{} in {} (reference: {})", made.shape_text(), made_name, real_name), hint);
}

// How often a model of classes draws each: as often as the reference has it, where it has the
// model's; else all alike.
std::vector<std::int64_t> class_counts(const data::ItemSpec& items,
                                       const data::ImageDataset& real) {
  std::vector<std::int64_t> counts(items.class_names.size(), 1);
  if (real.spec().class_names != items.class_names || counts.empty()) return counts;
  counts.assign(counts.size(), 0);
  for (std::int64_t i = 0; i < real.size(); ++i) ++counts[static_cast<std::size_t>(real.label(i))];
  return counts;
}

// Pictures that a model draws, classes in turn, in the reference's shares.
PictureSamples draw(const Globals& globals, const EvaluateArguments& a, const RunModel& model,
                    const data::ImageDataset& real) {
  const flow::Flow& flow = *model.flow;
  const std::int64_t count = a.count > 0 ? a.count : most_samples;
  check_blocks(a, count);
  const std::int64_t classes = flow.items().classes();
  solve::GenerateOptions options = a.sampling.options(model);
  options.batch = a.batch;
  const auto counts = class_counts(flow.items(), real);
  const at::Tensor labels = labels_in_shares(count, counts);
  const bool alike = std::ranges::adjacent_find(counts, std::not_equal_to()) == counts.end();
  const std::string order = classes == 0 ? "none" : alike ? "in turn" : "in the reference's shares";
  report::ProgressBar bar(count, 0, "img", globals.quiet);
  const auto made =
      solve::generate(flow, open_start(model, "", solve::sampling_keys(a.seed, 0, count), labels),
                      {.labels = labels, .condition = {}}, options,
                      [&](std::int64_t done) { bar.update(done, "samples"); });
  bar.finish();
  stop_if_asked();
  PictureSamples samples;
  samples.pictures = data::to_bytes(made.items, flow.items());
  if (classes > 0) samples.labels = labels;
  const bool reduced = net::resolve(a.precision.value(), flow.device()) == net::Precision::bf16;
  const std::string precision = reduced ? "bf16" : "fp32";
  samples.how = {{"nfe", made.nfe},
                 {"solver", solver_text(model, options)},
                 {"guidance", options.guidance.scale},
                 {"labels", order},
                 {"precision", precision},
                 {"ema", a.ema}};
  samples.text = fmt::format("{} samples of {}: {}, NFE {}, guidance {}, {}{}, seed {}",
                             report::grouped(count), a.samples, solver_text(model, options),
                             made.nfe, options.guidance.scale, precision,
                             classes > 0 ? ", labels " + order : "", a.seed);
  return samples;
}

// The first pictures of a set of samples; of the reference's own set, the first of `others`, which
// are those that are not in the reference and lose them.
PictureSamples read(const EvaluateArguments& a, const data::ImageDataset& set, bool own,
                    Items& others) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(set.size()));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  const Items from = own ? others : Items(all);
  const auto n = static_cast<std::size_t>(
      count_of("--count", a.count, most_pictures, static_cast<std::int64_t>(from.size()),
               own ? a.samples + ", besides the reference" : a.samples));
  check_blocks(a, static_cast<std::int64_t>(n));
  PictureSamples samples;
  samples.pictures = pictures_at(set, from.first(n));
  samples.labels = labels_at(set, from.first(n));
  if (own) {
    samples.own = at::tensor(from.first(n), at::kLong);
    others = others.subspan(n);
  }
  samples.text = fmt::format("{} {} of {}", report::grouped(static_cast<std::int64_t>(n)),
                             own ? "other pictures" : "pictures", a.samples);
  return samples;
}

// The floor: as many other real pictures as there are samples, against the same reference, where
// there are so many; else two halves of the reference.
void choose_floor(RealPictures& real, Items others, std::int64_t samples) {
  if (static_cast<std::int64_t>(others.size()) >= samples) {
    real.floor = pictures_at(*real.set, others.first(static_cast<std::size_t>(samples)));
    real.floor_reference = real.reference;
    real.floor_text = fmt::format("{} other pictures of {} against the same reference",
                                  report::grouped(samples), real.source);
    return;
  }
  const std::int64_t half = real.reference.size(0) / 2;
  real.floor = real.reference.narrow(0, 0, half);
  real.floor_reference = real.reference.narrow(0, half, half);
  real.floor_text = fmt::format("two halves of the reference, {} each", report::grouped(half));
}

RealSource real_of(const RunModel& model, const EvaluateArguments& a) {
  RealSource real;
  constexpr std::int64_t all = std::numeric_limits<std::int64_t>::max();
  const std::string split = a.split.empty() ? "train" : a.split;
  const bool labels = model.flow->items().classes() > 0;
  const Pictures pictures = open_pictures(model, a.reference, split, all, a.seed, labels);
  real.set = pictures.set;
  real.source = pictures.source;
  real.split = pictures.split;
  real.training = real.set;
  real.training_source = real.source;
  if (real.split == "train" || a.searched == 0 || !model.notes.contains("calor.training")) {
    return real;
  }
  try {
    const Pictures training = open_pictures(model, "", "train", all, a.seed, false);
    real.training = training.set;
    real.training_source = training.source;
  } catch (const Error& error) {
    // A model file may have come without its data.
    real.warnings.push_back(
        fmt::format("the training set cannot be opened ({}): copies are searched among {}",
                    error.found(), real.source));
  }
  return real;
}

RealSource given_real(const EvaluateArguments& a) {
  if (a.reference.empty()) {
    throw usage_error("--reference DATA for samples that are no run", "none was named",
                      "name the real pictures, or give a run in place of the samples");
  }
  const auto set = open_set(a, a.reference);
  return {.set = set,
          .source = a.reference,
          .split = "given",
          .warnings = {},
          .training = set,
          .training_source = a.reference};
}

}  // namespace

PictureSources open_picture_sources(const EvaluateArguments& a, const RunModel* model) {
  PictureSources sources;
  sources.real = model != nullptr ? real_of(*model, a) : given_real(a);
  if (model == nullptr) sources.given = open_set(a, a.samples);
  sources.samples = model != nullptr ? model->flow->items() : sources.given->spec();
  check_shapes(sources.samples, a.samples, sources.real.set->spec(), sources.real.source,
               model ? "name a reference of the model's shape"
                     : "name another reference, or bring both to one shape with data.size, "
                       "data.channels and data.pad");
  return sources;
}

PictureSets picture_sets(const Globals& globals, const EvaluateArguments& a, const RunModel* model,
                         const PictureSources& sources) {
  PictureSets sets;
  RealPictures& real = sets.real;
  static_cast<RealSource&>(real) = sources.real;
  const bool own = model == nullptr && same_source(a.samples, a.reference);
  const std::int64_t size = real.set->size();
  const std::int64_t usual = own ? std::min(most_pictures, size / 2) : most_pictures;
  const auto m = static_cast<std::size_t>(
      count_of("--reference-count", a.reference_count, usual, size, real.source));
  const std::vector<std::int64_t> order = order_of(a, size);
  const Items chosen = Items(order).first(m);
  Items others = Items(order).subspan(m);
  check_classes(a, real, chosen, order);
  sets.samples =
      model != nullptr ? draw(globals, a, *model, *real.set) : read(a, *sources.given, own, others);
  real.reference = pictures_at(*real.set, chosen);
  real.reference_labels = labels_at(*real.set, chosen);
  choose_floor(real, others, sets.samples.pictures.size(0));
  return sets;
}

}  // namespace calor::app
