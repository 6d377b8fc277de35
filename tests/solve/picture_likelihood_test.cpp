#include "calor/solve/picture_likelihood.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "calor/core/error.h"
#include "calor/data/dequantise.h"
#include "calor/flow/model_file.h"
#include "calor/solve/stage_field.h"
#include "tests/support/folder.h"

namespace calor::solve {
namespace {

constexpr std::int64_t side = 6, numbers = side * side;

data::ItemSpec grey(bool dequantised = true) {
  data::ItemSpec spec{.channels = 1, .height = side, .width = side, .class_names = {}};
  spec.dequantised = dequantised;
  return spec;
}

std::shared_ptr<data::ImageDataset> some_pictures(std::int64_t n) {
  const at::Tensor pictures = at::randint(
      0, 256, {n, 1, side, side}, at::detail::createCPUGenerator(4), at::TensorOptions(at::kByte));
  return data::make_tensor_dataset(grey(false), pictures, {});
}

std::vector<std::int64_t> first_items(std::int64_t n) {
  std::vector<std::int64_t> items(static_cast<std::size_t>(n));
  std::iota(items.begin(), items.end(), std::int64_t{0});
  return items;
}

flow::ModelOptions options_for(objective::Quantity prediction, path::PathKind kind) {
  flow::ModelOptions options;
  options.net = {.width = 16,
                 .depth = 2,
                 .heads = 2,
                 .patch = 2,
                 .bottleneck = 8,
                 .context_tokens = 0,
                 .context_start = 0,
                 .dropout = 0,
                 .refine = 0};
  options.path.kind = kind;
  options.path.a = 0.05;
  options.objective.prediction = prediction;
  options.objective.blur_term = objective::BlurTerm::exact;
  options.objective.t_eps = 0;
  options.time.law = path::TimeLaw::uniform;
  options.time.near_data = 0.1;
  return options;
}

// The first weights of a transformer say 0 for everything; `spread` moves all of them.
flow::Flow make_flow(const flow::ModelOptions& options, double spread,
                     const data::ItemSpec& items = grey()) {
  flow::Flow flow(options, items, at::kCPU);
  for (std::size_t n = 0; n < flow.size(); ++n) {
    net::Parameters& parameters = flow.stage(n).network().parameters();
    parameters.initialise(random_key(n, RandomUse::test));
    parameters.flatten(at::kCPU);
    if (spread == 0) continue;
    at::Tensor flat = parameters.flat();
    flat.add_(at::randn(flat.sizes(), at::detail::createCPUGenerator(10 + n)), spread);
  }
  return flow;
}

PictureLikelihoodOptions options_at(double tolerance) {
  PictureLikelihoodOptions options;
  options.density.ode.method = OdeMethod::dopri5;
  options.density.ode.rtol = options.density.ode.atol = tolerance;
  // Exact where the Jacobian that is estimated is 0, and far cheaper than the trace itself.
  options.density.divergence = {.kind = DivergenceKind::hutchinson, .probes = 2};
  options.density.batch = 4;
  return options;
}

double largest(const at::Tensor& values) {
  return values.to(at::kDouble).abs().max().item<double>();
}

// -log N(x; 0, deviation^2) of the dequantised pictures, in bits per dimension.
at::Tensor normal_bits(const flow::Flow& flow, const data::ImageDataset& set, std::int64_t n,
                       double deviation, const PictureLikelihoodOptions& options) {
  const auto rows = dequantised_rows(flow, set, first_items(n), 0, options);
  const at::Tensor log_density = normal_log_density(rows.x, deviation);
  return -log_density / (numbers * std::numbers::ln2) + 7;
}

// A density that is uniform on [-1, 1]^d says 8 bits for a level of 256, whatever the picture; one
// that is uniform on half of it, where the picture lies, 7. With cells of 2/255 the 255 levels
// between the ends of [-1, 1] are log2(255) bits.
TEST(PictureLikelihood, Units) {
  for (const double d : {1.0, 784.0}) {
    const at::Tensor uniform = at::full({1}, -d * std::numbers::ln2, at::kDouble);
    EXPECT_NEAR(bits_per_dimension(uniform, d, 2.0 / 256).item<double>(), 8, 1e-12);
    EXPECT_NEAR(bits_per_dimension(at::zeros({1}, at::kDouble), d, 2.0 / 256).item<double>(), 7,
                1e-12);
    EXPECT_NEAR(bits_per_dimension(uniform, d, 2.0 / 255).item<double>(), std::log2(255.0), 1e-12);
  }
}

// On the trigonometric path, and on the Ornstein-Uhlenbeck path of a chain, v = 0 is the exact
// velocity of data with the law N(0, I): the density, the bits and the nats are known.
TEST(PictureLikelihood, VelocityOfNormalDataIsExact) {
  const auto set = some_pictures(6);
  for (const bool chain : {false, true}) {
    auto model = options_for(objective::Quantity::v, path::PathKind::trigonometric);
    if (chain) {
      model.stages.gammas = {0.2, 0.5};
      model.stages.inner = path::InnerPath::ou;
      model.stages.free_inner = path::InnerPath::trigonometric;
    }
    const flow::Flow flow = make_flow(model, 0);
    const auto options = options_at(1e-5);
    const auto scores = picture_likelihood(flow, *set, first_items(6), options);
    EXPECT_LE(largest(scores.bits - normal_bits(flow, *set, 6, 1, options)), 1e-6);
    EXPECT_LE(largest(scores.nats - scores.bits * (numbers * std::numbers::ln2)), 1e-9);
    EXPECT_EQ(largest(scores.probe_error), 0);
    EXPECT_EQ(likelihood_t_eps(flow, 1e-3), 0);
    EXPECT_TRUE(likelihood_warnings(flow, 1e-3, false).empty());
  }
}

// A clean prediction of 0 is that of data at 0, whose density at s_min is N(0, S(s_min)^2): on the
// linear path S = s; in a chain of linear stages S(s_min)/S(1) = s_min in each of them. The
// log-determinant is then d stages ln(1/s_min), about 250 nats a stage.
TEST(PictureLikelihood, CleanPredictionOfZeroIsExact) {
  const auto set = some_pictures(5);
  for (const std::int64_t stages : {1, 3}) {
    auto model = options_for(objective::Quantity::x, path::PathKind::linear);
    if (stages == 3) model.stages.gammas = {0.2, 0.5};
    const flow::Flow flow = make_flow(model, 0);
    auto options = options_at(1e-6);
    // Small, or the points themselves would leave the range of fp32.
    options.density.t_eps = stages == 3 ? 0.1 : 1e-3;
    const auto scores = picture_likelihood(flow, *set, first_items(5), options);
    const double deviation = std::pow(options.density.t_eps, stages);
    const at::Tensor exact = normal_bits(flow, *set, 5, deviation, options);
    EXPECT_LE(largest(scores.bits / exact - 1), 2e-5);
    EXPECT_EQ(largest(scores.probe_error), 0);  // the path's part is no estimate
    EXPECT_DOUBLE_EQ(likelihood_t_eps(flow, options.density.t_eps), options.density.t_eps);
  }
}

// x-form with the exact denoiser of N(0, C) on the linear path, x^ = A C/(A^2 C + S^2) z.
class CleanGaussian final : public VelocityField {
 public:
  explicit CleanGaussian(double variance) : variance_(variance) {}
  at::Tensor velocity(const at::Tensor& s, const at::Tensor& x) const override {
    const at::Tensor a = 1 - s.unsqueeze(1), noise = s.unsqueeze(1);
    const at::Tensor clean = a * variance_ / (a.square() * variance_ + noise.square()) * x;
    return (x - clean) / noise;
  }

 private:
  double variance_;
};

// What t_eps costs: the integral that begins at t_eps gives N(0, c), c = (1 - t_eps)^2 C + t_eps^2.
// For a mode that holds no more than the noise of 8 bits, C = (2/256)^2 / 12, those are
// (C/c - 1 - ln C/c)/(2 ln 2) bits too many: .01 at 1e-3, 3.7 at .05.
TEST(PictureLikelihood, CostOfTEps) {
  const double variance = std::pow(2.0 / 256, 2) / 12;
  const CleanGaussian field(variance);
  const std::vector<const VelocityField*> stages{&field};
  const at::Tensor x =
      at::randn({200, 1}, at::detail::createCPUGenerator(3), at::TensorOptions(at::kDouble)) *
      std::sqrt(variance);
  for (const double t_eps : {0.05, 0.01, 1e-3}) {
    LogDensityOptions options{.transport = {.ode = {.rtol = 1e-9, .atol = 1e-9}}};
    options.transport.s_min = t_eps;
    const double c = std::pow(1 - t_eps, 2) * variance + t_eps * t_eps;
    const auto result = log_density(stages, x, options);
    EXPECT_LE(largest(result.log_density - normal_log_density(x, std::sqrt(c))), 1e-6);
    const double ratio = variance / c;
    const double cost = (ratio - 1 - std::log(ratio)) / (2 * std::numbers::ln2);
    EXPECT_NEAR(cost,
                t_eps == 1e-3   ? 0.0103
                : t_eps == 0.01 ? 1.49
                                : 3.73,
                t_eps == 1e-3 ? 2e-3 : 0.05);
  }
}

struct Case {
  const char* name;
  flow::ModelOptions model;
};

std::vector<Case> cases() {
  std::vector<Case> all{{"v, linear", options_for(objective::Quantity::v, path::PathKind::linear)},
                        {"x, linear", options_for(objective::Quantity::x, path::PathKind::linear)},
                        {"x, heat", options_for(objective::Quantity::x, path::PathKind::heat)},
                        {"x, local", options_for(objective::Quantity::x, path::PathKind::linear)},
                        {"x, global", options_for(objective::Quantity::x, path::PathKind::linear)}};
  for (const std::size_t chain : {3U, 4U}) {
    all[chain].model.stages.gammas = {0.3};
    all[chain].model.stages.rho = 0.5;
  }
  all[4].model.stages.particles = flow::Particles::exact;
  all[4].model.stages.predicted = flow::PredictedEnd::data;
  return all;
}

// By backward passes through the clean item's Jacobian, with the path's part exactly, the
// divergence is that of the whole velocity by autograd; and the estimate of any one probe, its
// exact part excepted, too.
TEST(PictureLikelihood, DivergenceIsThatOfTheVelocity) {
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor x = at::randn({5, numbers}, generator);
  const at::Tensor s = at::rand({5}, generator) * 0.8 + 0.1;
  const at::Tensor w = at::randn({5, 3, numbers}, generator);
  const flow::Given given{.labels = at::zeros({5}, at::kLong), .condition = {}};
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const flow::Flow flow = make_flow(c.model, 0.05);
    for (std::size_t n = 0; n < flow.size(); ++n) {
      const StageField field(flow.stage(n), {1, side, side}, given, 1e-3);
      const auto [velocity, divergence] = field.with_divergence(s, x);
      EXPECT_LE(largest(velocity - field.velocity(s, x)), 1e-4);
      // The default, which knows nothing of clean items.
      const auto plain = field.VelocityField::with_products(
          s, x, at::eye(numbers, at::kFloat).expand({5, numbers, numbers}));
      const at::Tensor trace = plain.products.diagonal(0, 1, 2).sum(1);
      const double scale = 1 + largest(trace);
      EXPECT_LE(largest(divergence - trace) / scale, 1e-4);
      EXPECT_LE(largest(plain.velocity - velocity), 1e-4);
      const auto mine = field.with_products(s, x, w);
      if (!mine.trace_shift.defined()) continue;
      const at::Tensor all = field.with_products(s, x, at::eye(numbers, at::kFloat)).products;
      const at::Tensor expected = at::einsum("nki,nij->nkj", {w, all});
      EXPECT_LE(largest(mine.products - expected), 1e-3 * (1 + largest(expected)));
    }
  }
}

// The log-determinant is that of the map itself, whose Jacobian is found by central differences of
// the transported points: for fixed steps both are about one discrete map, and at 15 steps of rk4
// their difference and the rounding of fp32 are below .02 nats.
TEST(PictureLikelihood, LogDeterminantIsThatOfTheMap) {
  const flow::Flow flow =
      make_flow(options_for(objective::Quantity::v, path::PathKind::linear), 0.05);
  FlowDensityOptions options;
  options.ode = {.method = OdeMethod::rk4, .steps = 15};
  const at::Tensor x = at::randn({1, numbers}, at::detail::createCPUGenerator(2)) / 2;
  constexpr double h = 0.02;
  const at::Tensor moved = at::cat({x + h * at::eye(numbers), x - h * at::eye(numbers)});
  const flow::Given given{.labels = at::zeros({2 * numbers}, at::kLong), .condition = {}};
  const at::Tensor there =
      flow_transport(flow, moved, given, Direction::to_noise, options).x.to(at::kDouble);
  const at::Tensor jacobian =
      (there.narrow(0, 0, numbers) - there.narrow(0, numbers, numbers)) / (2 * h);
  const double expected = std::get<1>(at::slogdet(jacobian)).item<double>();
  const auto density = flow_log_density(flow, x, given.narrow(0, 1), options);
  EXPECT_GT(std::abs(expected), 0.2);  // a map that does something
  EXPECT_NEAR(density.logdet.item<double>(), expected, 0.02);
}

// Estimates against the exact bits: the mean lies within 4 of its standard errors over the probes
// (t with a few degrees of freedom for each picture, averaged over 24).
TEST(PictureLikelihood, ProbeErrorsAreHonest) {
  const auto set = some_pictures(24);
  for (const Case& c : {cases()[0], cases()[2]}) {
    SCOPED_TRACE(c.name);
    const flow::Flow flow = make_flow(c.model, 0.05);
    // Steps of equal size, so that both are about one discrete map.
    auto options = options_at(1e-4);
    options.density.ode = {.method = OdeMethod::heun, .steps = 5};
    options.density.batch = 24;
    options.density.t_eps = 0.05;
    options.density.divergence = {.kind = DivergenceKind::exact};
    const auto exact = picture_likelihood(flow, *set, first_items(24), options);
    for (const auto kind : {DivergenceKind::hutchinson, DivergenceKind::hutchpp}) {
      options.density.divergence = {.kind = kind, .probes = 9, .seed = 1};
      const auto estimate = picture_likelihood(flow, *set, first_items(24), options);
      const double error = (estimate.bits - exact.bits).mean().item<double>();
      EXPECT_GT(estimate.mean_probe_error(), 0);
      EXPECT_LT(std::abs(error) / estimate.mean_probe_error(), 4);
      // Two draws of the noise have probes of their own: the error falls by about sqrt(2).
      if (kind == DivergenceKind::hutchpp) continue;
      options.draws = 2;
      const auto twice = picture_likelihood(flow, *set, first_items(24), options);
      options.draws = 1;
      const double ratio = twice.mean_probe_error() / estimate.mean_probe_error();
      EXPECT_GT(ratio, 0.55);
      EXPECT_LT(ratio, 0.9);
    }
  }
}

// With fixed steps a picture's bits depend on the seed and on its number in the set alone, not on
// the batch or on what else is scored. fp32.
TEST(PictureLikelihood, DoesNotDependOnTheCompany) {
  const auto set = some_pictures(7);
  const flow::Flow flow =
      make_flow(options_for(objective::Quantity::v, path::PathKind::linear), 0.05);
  auto options = options_at(1e-4);
  options.density.ode = {.method = OdeMethod::heun, .steps = 6};
  options.density.divergence = {.kind =
                                    DivergenceKind::exact};  // probes follow the place in a list
  std::vector<std::int64_t> done;
  const auto all = picture_likelihood(flow, *set, first_items(7), options,
                                      [&](std::int64_t n) { done.push_back(n); });
  EXPECT_EQ(done, (std::vector<std::int64_t>{4, 7}));
  const std::vector<std::int64_t> some{2, 5};
  const auto few = picture_likelihood(flow, *set, some, options);
  EXPECT_LE(largest(few.bits - all.bits.index_select(0, at::tensor(some))), 1e-5);
  options.seed = 1;
  EXPECT_GT(largest(picture_likelihood(flow, *set, some, options).bits - few.bits), 1e-5);
  EXPECT_EQ(all.nfe, 12);
}

TEST(PictureLikelihood, GivenLabels) {
  const at::Tensor bytes = at::randint(0, 256, {4, 1, side, side}, at::TensorOptions(at::kByte));
  data::ItemSpec spec = grey(false);
  spec.class_names = {"a", "b"};
  const auto set = data::make_tensor_dataset(spec, bytes, at::tensor({0, 1, 1, 0}, at::kLong));
  spec.dequantised = true;
  const flow::Flow flow =
      make_flow(options_for(objective::Quantity::v, path::PathKind::linear), 0.05, spec);
  auto options = options_at(1e-4);
  options.density.ode = {.method = OdeMethod::heun, .steps = 5};
  const auto none = picture_likelihood(flow, *set, first_items(4), options);
  options.labels = true;
  const auto own = picture_likelihood(flow, *set, first_items(4), options);
  EXPECT_GT(largest(own.bits - none.bits), 1e-4);
  // A set of other classes.
  EXPECT_THROW(picture_likelihood(flow, *some_pictures(2), first_items(2), options), Error);
}

TEST(PictureLikelihood, Refusals) {
  const auto set = some_pictures(2);
  auto model = options_for(objective::Quantity::v, path::PathKind::linear);
  data::ItemSpec other = grey();
  other.height = 4;
  const flow::Flow small = make_flow(model, 0, other);
  EXPECT_THROW(picture_likelihood(small, *set, first_items(2), options_at(1e-3)), Error);
  model.stages.gammas = {0.3};
  model.stages.maps = true;
  const flow::Flow student = make_flow(model, 0);
  EXPECT_THROW(picture_likelihood(student, *set, first_items(2), options_at(1e-3)), Error);
}

std::string warned(const flow::ModelOptions& model, double t_eps, bool dequantised = true,
                   int classes = 0) {
  data::ItemSpec items = grey(dequantised);
  for (int k = 0; k < classes; ++k) items.class_names.push_back(std::to_string(k));
  std::string all;
  for (const auto& text : likelihood_warnings(make_flow(model, 0, items), t_eps, false)) {
    all += text + "\n";
  }
  return all;
}

TEST(PictureLikelihood, WarningsNameWhatToTrainWith) {
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  auto v = options_for(objective::Quantity::v, path::PathKind::linear);
  auto x = options_for(objective::Quantity::x, path::PathKind::linear);
  EXPECT_EQ(warned(v, 1e-3), "");
  EXPECT_EQ(warned(x, 1e-3), "");
  EXPECT_TRUE(has(warned(v, 1e-3, false), "data.dequantise_pictures=true"));
  EXPECT_TRUE(has(warned(x, 0.05), "t_eps 0.05"));
  EXPECT_TRUE(has(warned(x, 1e-4), "t_eps 0.0001 is less"));
  // Uniform times suffice for the velocity alone, the transformer's own for neither.
  v.time.near_data = x.time.near_data = 0;
  EXPECT_EQ(warned(v, 1e-3), "");
  EXPECT_TRUE(has(warned(x, 1e-3), "only 1 % "));
  EXPECT_TRUE(has(warned(x, 1e-3), "time.near_data=0.1"));
  v.time.law = path::TimeLaw::logit_normal;
  EXPECT_TRUE(has(warned(v, 1e-3), "time.law=uniform"));
  v = options_for(objective::Quantity::v, path::PathKind::linear);
  v.objective.label_dropout = 0;
  EXPECT_EQ(warned(v, 1e-3), "");
  EXPECT_TRUE(has(warned(v, 1e-3, true, 3), "--labels"));
}

// The model file knows whether its pictures were dequantised.
TEST(PictureLikelihood, TheModelFileRemembers) {
  const test::Folder folder;
  for (const bool dequantised : {false, true}) {
    const auto file = folder.path() / "model.safetensors";
    const flow::Flow flow = make_flow(options_for(objective::Quantity::v, path::PathKind::linear),
                                      0, grey(dequantised));
    flow::save_model(file, flow, {});
    EXPECT_EQ(flow::read_description(file).items, grey(dequantised));
    EXPECT_EQ(flow::load_model(file, at::kCPU).flow->items().dequantised, dequantised);
  }
}

}  // namespace
}  // namespace calor::solve
