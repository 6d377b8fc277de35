// Pictures beside real ones: distances in features, detail and colour, the classes that a
// classifier reads, and copies of training pictures.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "app/evaluate_distances.h"
#include "app/evaluate_neighbours.h"
#include "app/nll.h"
#include "app/picture_features.h"
#include "app/picture_sets.h"
#include "app/picture_statistics.h"
#include "calor/core/error.h"
#include "calor/metric/estimate.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

using Json = nlohmann::ordered_json;

// What can be seen to be wrong before samples are drawn.
void check_arguments(const EvaluateArguments& a) {
  check_place("--plot", a.plot, {".png"});
  check_apart("--plot", a.plot, {a.neighbours, a.samples, a.reference});
  check_place("--neighbours", a.neighbours, {".png"});
  if (!a.neighbours.empty() && a.searched == 0) {
    throw usage_error("--neighbours with a search", "--searched 0", "leave --searched out");
  }
}

Json description(const EvaluateArguments& a, const PictureSets& sets) {
  const at::Tensor& reference = sets.real.reference;
  Json object{{"samples", a.samples},
              {"sample_count", sets.samples.pictures.size(0)},
              {"reference", sets.real.source},
              {"reference_count", reference.size(0)},
              {"reference_order", a.order},
              {"split", sets.real.split},
              {"shape", reference.sizes().slice(1).vec()},
              {"seed", a.seed}};
  for (const auto& [key, value] : sets.samples.how.items()) object[key] = value;
  object["floor"] = sets.real.floor_text;
  object["floor_count"] = sets.real.floor.size(0);
  object["floor_reference_count"] = sets.real.floor_reference.size(0);
  return object;
}

void print_description(const Globals& globals, const EvaluateArguments& a,
                       const PictureSets& sets) {
  answer(globals, sets.samples.text);
  answer(globals, fmt::format("against {} pictures of {} (split: {}, {} order)",
                              report::grouped(sets.real.reference.size(0)), sets.real.source,
                              sets.real.split, a.order));
  answer(globals, fmt::format("real pictures: {}", sets.real.floor_text));
}

Json feature_report(const Globals& globals, const EvaluateArguments& a,
                    const PictureFeatures& features) {
  const std::int64_t d = features.samples.size(1);
  const auto warnings = distance_warnings(
      std::min(features.samples.size(0), features.floor.size(0)), features.reference.size(0), d);
  for (const auto& warning : warnings) {
    say(globals, fmt::format("warning: {}: {}", features.name, warning));
  }
  Json object{{"features", features.name},
              {"file", features.file},
              {"dimensions", d},
              {"warnings", warnings}};
  object["distances"] = distances(features.samples, features.reference, a);
  stop_if_asked();
  object["floor"] = distances(features.floor, features.floor_reference, a);
  stop_if_asked();
  print_heads(globals,
              features.file.empty() ? fmt::format("{}, {} numbers", features.name, d)
                                    : fmt::format("{} features, {} numbers", features.name, d),
              "real pictures");
  print_distances(globals, features.name, object["distances"], object["floor"]);
  return object;
}

// Labels are numbers of classes, which must be the same ones in both sets. A converted model knows
// only how many they are.
void check_labels(const PictureSources& sources, const RunModel* model) {
  const char* hint = "bring both to the same classes, or leave --classifier out";
  auto made = sources.samples.class_names;
  const auto& real = sources.real.set->spec().class_names;
  require_usage(!made.empty() && !real.empty(),
                "labelled samples and a labelled reference for --classifier",
                "samples, or a reference, without labels", hint);
  const bool converted = model != nullptr && model->notes.contains("calor.converted_from");
  if (converted && made.size() == real.size()) made = real;
  const std::string difference = data::class_difference(made, real);
  require_usage(difference.empty(), "the same classes in the samples and in the reference",
                difference, hint);
}

Json accuracy(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor right = logits.argmax(1).eq(labels).to(at::kDouble);
  return estimate_json(metric::mean_and_standard_error(right));
}

// How many samples a classifier reads as the class that they were drawn for.
Json class_report(const Globals& globals, const EvaluateArguments& a, const PictureSets& sets,
                  const FeatureReader& reader) {
  const auto logits = reader.read_classes(sets);
  Json object{{"classifier", logits.name}, {"file", a.classifier}};
  object["samples"] = accuracy(logits.samples, sets.samples.labels);
  object["real"] = accuracy(logits.reference, sets.real.reference_labels);
  Json by_class = Json::array();
  const at::Tensor right = logits.samples.argmax(1).eq(sets.samples.labels).to(at::kDouble);
  const auto& names = sets.real.set->spec().class_names;
  for (std::size_t k = 0; k < names.size(); ++k) {
    const at::Tensor ours =
        right.masked_select(sets.samples.labels.eq(static_cast<std::int64_t>(k)));
    by_class.push_back(
        {{"name", names[k]},
         {"count", ours.size(0)},
         {"accuracy", ours.size(0) > 0 ? json_number(ours.mean().item<double>()) : Json()}});
  }
  object["by_class"] = by_class;
  const auto text = [&](const char* set) {
    return fmt::format("{:.4f} +- {:.4f}", object[set]["mean"].get<double>(),
                       object[set]["standard_error"].get<double>());
  };
  answer(globals, "");
  answer(globals,
         fmt::format("{:<42} {:>20} {:>20}", fmt::format("read as their class by {}", logits.name),
                     text("samples"), text("real")));
  return object;
}

// Weights do not always say what classes they know.
void check_reading(const Globals& globals, Json& object) {
  constexpr double least = 0.5;
  const double right = object["classes"]["real"]["mean"].get<double>();
  if (right >= least) return;
  const std::string warning = fmt::format(
      "--classifier reads {:.2f} of the real pictures right: is it one of these classes?", right);
  say(globals, "warning: " + warning);
  object["warnings"].push_back(warning);
}

}  // namespace

Json evaluate_pictures(const Globals& globals, const EvaluateArguments& a, const RunModel* model) {
  check_arguments(a);
  const FeatureReader reader(a);
  const PictureSources sources = open_picture_sources(a, model);
  if (!a.classifier.empty()) check_labels(sources, model);
  if (sources.samples.height % a.patch != 0 || sources.samples.width % a.patch != 0) {
    a.said.refuse({"--patch"}, "a period that divides the sides of the pictures",
                  fmt::format("{}, and pictures of {}", a.patch, sources.samples.shape_text()));
  }
  reader.check_classes(sources.real.set->spec().class_names);
  const NeighbourSearch search = open_search(a, model, sources.real);
  const PictureSets sets = picture_sets(globals, a, model, sources);
  Json object = description(a, sets);
  print_description(globals, a, sets);
  for (const auto& warning : sets.real.warnings) say(globals, "warning: " + warning);
  object["warnings"] = sets.real.warnings;
  object["features"] = Json::array();
  for (const PictureFeatures& features : reader.read_all(sets)) {
    object["features"].push_back(feature_report(globals, a, features));
  }
  object["pictures"] = report_statistics(globals, a, sets);
  if (!a.classifier.empty()) {
    object["classes"] = class_report(globals, a, sets, reader);
    check_reading(globals, object);
  }
  object["neighbours"] = report_neighbours(globals, a, sets, search);
  return object;
}

}  // namespace calor::app
