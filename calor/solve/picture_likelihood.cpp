#include "calor/solve/picture_likelihood.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/dequantise.h"

namespace calor::solve {
namespace {

void check(const flow::Flow& flow, const data::ImageDataset& set, bool labels) {
  const data::ItemSpec& model = flow.items();
  const data::ItemSpec& found = set.spec();
  if (model.shape_text() != found.shape_text()) {
    throw Error("pictures of " + model.shape_text() + ", the model's",
                "pictures of " + found.shape_text(),
                "score pictures of the size that the model was trained on");
  }
  const std::string difference = data::class_difference(found.class_names, model.class_names);
  if (labels && (model.classes() == 0 || !difference.empty())) {
    throw usage_error(
        "the model's classes for the likelihood given labels",
        model.classes() == 0 ? "a model without classes" : difference + " of the model",
        "leave --labels out: the likelihood is then that of pictures alone");
  }
}

// The share of training examples whose inner time s is at most `limit`.
double share_near_data(const flow::Stage& stage, double limit) {
  const auto law = stage.training_times().quadrature();
  return law.probability.masked_select(law.t.ge(1 - limit)).sum().item<double>();
}

void warn_of_times(const flow::Flow& flow, std::vector<std::string>& warnings) {
  // Of uniform times 1 % lie this near to the data; of a tenth of log-uniform ones 3.3 %.
  constexpr double near = 0.01;
  const bool clean = flow.options().objective.prediction == objective::Quantity::x;
  const double least = clean ? 0.03 : 0.004;
  const double share = share_near_data(flow.stage(0), near);
  if (share >= least) return;
  warnings.push_back(fmt::format(
      "only {:.2g} % of the training examples had 1 - t below {}, where the density is "
      "decided; train with {}",
      100 * share, near, clean ? "time.near_data=0.1" : "time.law=uniform or time.near_data=0.1"));
}

void warn_of_t_eps(const flow::Flow& flow, double t_eps, std::vector<std::string>& warnings) {
  // At 1e-3 a mode of 8-bit noise alone costs .01 bits more, at 1e-2 and above it is lost.
  constexpr double enough = 1e-3;
  const double used = likelihood_t_eps(flow, t_eps);
  if (used == 0) return;
  if (used > enough) {
    warnings.push_back(
        fmt::format("t_eps {:g} is more than {:g}: noise of that size hides the grey levels and "
                    "the bits come out too many; take --t-eps 1e-3 and train with "
                    "time.near_data=0.1",
                    used, enough));
  } else if (used < enough && flow.options().objective.prediction == objective::Quantity::x) {
    warnings.push_back(fmt::format(
        "t_eps {:g} is less than {:g}, the least time that time.near_data trains", used, enough));
  }
}

}  // namespace

double PictureLikelihood::mean_probe_error() const {
  return probe_error.norm().item<double>() / static_cast<double>(probe_error.numel());
}

at::Tensor bits_per_dimension(const at::Tensor& log_density, double dimensions, double scale) {
  return log_density / (-dimensions * std::numbers::ln2) - std::log2(scale);
}

std::int64_t likelihood_batch(std::int64_t numbers) {
  constexpr std::int64_t most_numbers = 50'176, most = 64;  // 64 pictures of 28 x 28
  return std::clamp<std::int64_t>(most_numbers / std::max<std::int64_t>(numbers, 1), 1, most);
}

double likelihood_t_eps(const flow::Flow& flow, double t_eps) {
  double least = 0;
  for (std::size_t n = 0; n < flow.size(); ++n) {
    least = std::max(least, flow.stage(n).least_s(t_eps));
  }
  return least;
}

DequantisedRows dequantised_rows(const flow::Flow& flow, const data::ImageDataset& set,
                                 std::span<const std::int64_t> items, std::int64_t draw,
                                 const PictureLikelihoodOptions& options) {
  const RandomKey key =
      random_key(options.seed, RandomUse::dequantisation).child(static_cast<std::uint64_t>(draw));
  std::vector<at::Tensor> pictures;
  std::vector<RandomKey> keys;
  std::vector<std::int64_t> labels;
  for (const std::int64_t i : items) {
    pictures.push_back(set.picture(i));
    keys.push_back(key.child(static_cast<std::uint64_t>(i)));
    labels.push_back(options.labels ? set.label(i) : flow.items().classes());
  }
  const at::Tensor x =
      data::dequantise(at::stack(pictures), keys, data::level_cells(flow.items())).flatten(1);
  return {.x = x, .given = {.labels = at::tensor(labels, at::kLong), .condition = {}}};
}

PictureLikelihood picture_likelihood(const flow::Flow& flow, const data::ImageDataset& set,
                                     std::span<const std::int64_t> items,
                                     const PictureLikelihoodOptions& options,
                                     const std::function<void(std::int64_t)>& on_batch) {
  check(flow, set, options.labels);
  const auto n = static_cast<std::int64_t>(items.size());
  const auto draws = static_cast<double>(options.draws);
  at::Tensor log_density = at::zeros({n}, at::kDouble);
  at::Tensor variance = at::zeros({n}, at::kDouble);
  double nfe = 0;
  for (std::int64_t draw = 0; draw < options.draws; ++draw) {
    for (std::int64_t first = 0; first < n; first += options.density.batch) {
      const std::int64_t count = std::min(options.density.batch, n - first);
      const DequantisedRows rows = dequantised_rows(
          flow, set,
          items.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)), draw,
          options);
      FlowDensityOptions own = options.density;
      own.first_row = draw * n + first;  // each picture and draw has probes of its own
      const LogDensity part = flow_log_density(flow, rows.x, rows.given, own);
      if (!part.log_density.defined()) throw stopped_error("the density of every picture");
      log_density.narrow(0, first, count).add_(part.log_density, 1 / draws);
      variance.narrow(0, first, count).add_(part.standard_error.square());
      nfe += part.nfe * static_cast<double>(count) / (static_cast<double>(n) * draws);
      if (on_batch) on_batch(draw * n + first + count);
    }
  }
  const auto d = static_cast<double>(flow.items().numbers());
  PictureLikelihood result;
  result.bits = bits_per_dimension(log_density, d, data::level_cells(flow.items()).scale);
  result.nats = result.bits * (d * std::numbers::ln2);
  result.probe_error = variance.sqrt() / (draws * d * std::numbers::ln2);
  result.nfe = nfe;
  return result;
}

std::vector<std::string> likelihood_warnings(const flow::Flow& flow, double t_eps, bool labels) {
  std::vector<std::string> warnings;
  if (!flow.items().dequantised) {
    warnings.emplace_back(
        "the model was not trained on dequantised pictures: the number does not compare with bits "
        "per dimension of other models; train with data.dequantise_pictures=true");
  }
  warn_of_times(flow, warnings);
  warn_of_t_eps(flow, t_eps, warnings);
  if (!labels && flow.items().classes() > 0 && flow.options().objective.label_dropout == 0) {
    warnings.emplace_back(
        "the model was never trained without a label (objective.label_dropout=0): score with "
        "--labels, or train with data.labels=false");
  }
  return warnings;
}

}  // namespace calor::solve
