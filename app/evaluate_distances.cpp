#include "app/evaluate_distances.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/nll.h"
#include "calor/core/error.h"
#include "calor/metric/energy.h"
#include "calor/metric/frechet.h"
#include "calor/metric/inception.h"
#include "calor/metric/mmd.h"
#include "calor/metric/neighbours.h"
#include "calor/metric/samples.h"
#include "calor/metric/two_sample.h"
#include "calor/metric/wasserstein.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

constexpr std::int64_t most_pairs = 5000;  // rows of each set, for what takes all pairs
constexpr std::int64_t most_resampled =
    256;  // dimensions whose Frechet distance takes milliseconds

using Json = nlohmann::ordered_json;

// The mean over consecutive blocks of the samples: the distance at that count with less noise.
Json frechet_blocks(const at::Tensor& made, const at::Tensor& real, const EvaluateArguments& a) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < a.blocks; ++i) {
    values.push_back(
        metric::frechet_distance(made.narrow(0, i * a.block_size, a.block_size), real));
  }
  const at::Tensor all = at::tensor(values, at::kDouble);
  return {{"count", a.blocks},
          {"size", a.block_size},
          {"mean", json_number(all.mean().item<double>())},
          {"standard_deviation", json_number(all.std().item<double>())}};
}

void add_frechet(Json& object, const at::Tensor& made, const at::Tensor& real,
                 const EvaluateArguments& a) {
  object["frechet_distance"] = json_number(metric::frechet_distance(made, real));
  object["frechet_standard_error"] =
      made.size(1) <= most_resampled
          ? json_number(metric::frechet_standard_error(made, real, a.key(10)))
          : Json();
  if (a.blocks > 0 && a.blocks * a.block_size <= made.size(0)) {
    object["frechet_blocks"] = frechet_blocks(made, real, a);
  }
}

// Subsets of at most half the rows: of larger ones each would be nearly the whole set, and their
// spread would say nothing.
void add_kernel_distance(Json& object, const at::Tensor& made, const at::Tensor& real,
                         const EvaluateArguments& a) {
  constexpr std::int64_t subsets = 100;
  const std::int64_t size = std::min<std::int64_t>(1000, std::min(made.size(0), real.size(0)) / 2);
  const auto distance = metric::kernel_distance(made, real, a.key(11), subsets, size);
  object["kernel_distance"] = json_number(distance.mean);
  object["kernel_distance_standard_error"] = json_number(distance.standard_error);
  object["kernel_distance_subsets"] = subsets;
  object["kernel_distance_subset_size"] = size;
}

void add_neighbours(Json& object, const at::Tensor& made, const at::Tensor& real) {
  const auto three = metric::neighbour_scores(real, made, 3);
  const auto five = metric::neighbour_scores(real, made, 5);
  object["precision"] = json_number(three.precision);
  object["recall"] = json_number(three.recall);
  object["density"] = json_number(five.density);
  object["coverage"] = json_number(five.coverage);
}

std::string number_text(const Json& from, const char* key, const char* error_key) {
  if (!from.contains(key) || !from[key].is_number()) return "-";
  const std::string value = fmt::format("{:.4f}", from[key].get<double>());
  const bool error = from.contains(error_key) && from[error_key].is_number();
  return error ? fmt::format("{} +- {:.4f}", value, from[error_key].get<double>()) : value;
}

std::string block_text(const Json& from) {
  if (!from.contains("frechet_blocks")) return "-";
  const Json& blocks = from["frechet_blocks"];
  return fmt::format("{:.4f}, sd {:.4f}", blocks["mean"].get<double>(),
                     blocks["standard_deviation"].get<double>());
}

void print_cells(const Globals& globals, const std::string& text, const std::string& made,
                 const std::string& real) {
  answer(globals, fmt::format("{:<42} {:>20} {:>20}", text, made, real));
}

}  // namespace

Json distances(const at::Tensor& made, const at::Tensor& real, const EvaluateArguments& a) {
  const at::Tensor some_made = metric::random_rows(made, most_pairs, a.key(3));
  const at::Tensor some_real = metric::random_rows(real, most_pairs, a.key(4));
  const auto sliced = metric::sliced_wasserstein(made, real, 2, a.key(5));
  const auto exact = metric::exact_wasserstein(made, real, 2, a.key(6), a.limit);
  const double bandwidth = metric::median_distance(some_made, some_real, a.key(7));
  const auto test =
      metric::classifier_two_sample_test(made, real, metric::TwoSampleClassifier::mlp, a.key(8));
  Json object{{"count", made.size(0)}, {"real_count", real.size(0)}};
  add_frechet(object, made, real, a);
  add_kernel_distance(object, made, real, a);
  add_neighbours(object, some_made, some_real);
  object["sliced_wasserstein2"] = json_number(sliced.distance);
  object["wasserstein2"] = json_number(exact.distance);
  object["wasserstein2_count"] = exact.count;
  object["energy_distance"] = json_number(metric::energy_distance(some_made, some_real).u);
  // Rows that are all the same have no median distance to measure in.
  object["mmd2_gaussian"] =
      bandwidth > 0 ? json_number(metric::mmd2_gaussian(some_made, some_real, bandwidth)) : Json();
  object["pairwise_count"] = std::min(some_made.size(0), some_real.size(0));
  object["two_sample_accuracy"] = json_number(test.accuracy);
  object["two_sample_standard_error"] = json_number(test.standard_error);
  object["two_sample_tested"] = test.tested;
  return object;
}

Json distances_of_halves(const at::Tensor& real, const EvaluateArguments& a) {
  const at::Tensor mixed = metric::random_rows(real, real.size(0), a.key(9));
  const std::int64_t half = mixed.size(0) / 2;
  return distances(mixed.narrow(0, 0, half), mixed.narrow(0, half, half), a);
}

std::vector<std::string> distance_warnings(std::int64_t n, std::int64_t m, std::int64_t d) {
  if (std::min(n, m) > d) return {};
  return {
      fmt::format("{} rows are no more than the {} dimensions of these features: their "
                  "covariance is singular and the Frechet distance biased upwards; the kernel "
                  "distance is not biased",
                  std::min(n, m), d)};
}

void check_blocks(const EvaluateArguments& a, std::int64_t n) {
  if (a.blocks * a.block_size <= n) return;
  throw usage_error("blocks that fit into the samples",
                    fmt::format("--blocks {} of {} and {} samples", a.blocks, a.block_size, n),
                    "raise --count, or lower --blocks or --block-size");
}

void print_heads(const Globals& globals, const std::string& title, const std::string& real) {
  answer(globals, "");
  print_cells(globals, title, "samples", real);
}

void print_line(const Globals& globals, const std::string& text, const Json& made, const Json& real,
                const char* key, const char* error_key) {
  print_cells(globals, text, number_text(made, key, error_key), number_text(real, key, error_key));
}

void print_distances(const Globals& globals, const std::string& features, const Json& made,
                     const Json& real) {
  const auto line = [&](const std::string& text, const char* key, const char* error_key = "") {
    print_line(globals, text, made, real, key, error_key);
  };
  const bool inception = features == metric::inception_name;
  line(inception ? "Frechet inception distance" : "Frechet distance", "frechet_distance",
       "frechet_standard_error");
  if (made.contains("frechet_blocks")) {
    print_cells(globals,
                fmt::format("  mean of {} blocks of {}", made["frechet_blocks"]["count"].dump(),
                            report::grouped(made["frechet_blocks"]["size"].get<std::int64_t>())),
                block_text(made), block_text(real));
  }
  line("kernel distance (KID)", "kernel_distance", "kernel_distance_standard_error");
  line("precision (k = 3)", "precision");
  line("recall (k = 3)", "recall");
  line("density (k = 5)", "density");
  line("coverage (k = 5)", "coverage");
  line("sliced Wasserstein-2", "sliced_wasserstein2");
  line("exact Wasserstein-2", "wasserstein2");
  line("energy distance", "energy_distance");
  line("MMD^2, Gaussian kernel", "mmd2_gaussian");
  line("classifier two-sample accuracy (1/2: equal)", "two_sample_accuracy",
       "two_sample_standard_error");
}

}  // namespace calor::app
