// What students learn, where the loss is known: networks that say a constant velocity, on ways that
// are straight.
#include "calor/distill/lessons.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "calor/distill/distance.h"
#include "calor/train/example.h"
#include "tests/support/linear_flow.h"

namespace calor::distill {
namespace {

constexpr std::int64_t rows = 40;

// A student of one stage whose network says `velocity` everywhere.
struct Student {
  explicit Student(std::int64_t evaluations, const at::Tensor& velocity) {
    flow::ModelOptions model = test::linear_config(1).model;
    model.stages.gammas = {};
    model.stages.maps = true;
    model.stages.evaluations = evaluations;
    model.path.kind = path::PathKind::linear;
    flow = std::make_unique<flow::Flow>(model, test::points_spec(), at::kCPU);
    test::say_linear(stage(), at::zeros({2, 2}), velocity);
  }
  flow::Stage& stage() const { return flow->stage(0); }
  at::Tensor weights() const { return stage().network().parameters().flat().detach().clone(); }
  std::unique_ptr<flow::Flow> flow;
};

const at::Tensor& velocity() {
  static const at::Tensor c = at::tensor({0.7F, -0.2F});
  return c;
}
const at::Tensor& error() {
  static const at::Tensor d = at::tensor({0.1F, 0.3F});
  return d;
}
double square_of_error() { return error().square().mean().item<double>(); }

// z_t = z_0 + t c.
Way straight(const std::vector<double>& times) {
  Way way{.times = times,
          .states = {},
          .given = {.labels = at::zeros({rows}, at::kLong), .condition = {}}};
  const at::Tensor start = at::randn({rows, 2, 1, 1}, at::detail::createCPUGenerator(9));
  for (const double t : times) way.states.push_back(start + t * velocity().view({2, 1, 1}));
  return way;
}

Material material_of(const std::vector<double>& times) {
  return {.training = straight(times), .held_out = straight(times), .distance = plain_distance()};
}

std::vector<std::int64_t> all_rows() {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < rows; ++i) out.push_back(i);
  return out;
}

double loss_of(const train::Lesson& lesson, const Student& student, const at::Tensor& average) {
  const auto keys = random_key(4, RandomUse::test).children(0, rows);
  return lesson.loss(student.stage(), all_rows(), keys, average).item<double>();
}

// The mean over the rows of a function of the place that each draws, of so many.
template <class F>
double mean_over_places(std::int64_t places, F&& of) {
  double sum = 0;
  for (const RandomKey key : random_key(4, RandomUse::test).children(0, rows)) {
    const double u = train::uniform_of(key, RandomUse::training_time);
    sum += of(static_cast<std::size_t>(u * static_cast<double>(places)));
  }
  return sum / rows;
}

TEST(Lessons, RegressionIsTheMissOfOneEvaluation) {
  const std::vector<double> times{0, 0.3, 0.8, 1};
  const auto lesson = regression(material_of(times));
  const Student right(3, velocity()), wrong(3, velocity() + error());
  EXPECT_LE(loss_of(*lesson, right, {}), 1e-12);
  const double wanted = mean_over_places(
      3, [&](std::size_t k) { return std::pow(times[k + 1] - times[k], 2) * square_of_error(); });
  EXPECT_NEAR(loss_of(*lesson, wrong, {}), wanted, 1e-6);
}

// Two evaluations of a constant velocity are one of twice the length.
TEST(Lessons, HalvingComparesOneEvaluationWithTwoBefore) {
  const std::vector<double> times{0, 0.1, 0.4, 0.8, 1};
  const Student before(4, velocity()), same(2, velocity()), other(2, velocity() + error());
  const auto lesson = halving(material_of(times), before.weights());
  EXPECT_LE(loss_of(*lesson, same, {}), 1e-12);
  const double wanted = mean_over_places(2, [&](std::size_t k) {
    return std::pow(times[2 * k + 2] - times[2 * k], 2) * square_of_error();
  });
  EXPECT_NEAR(loss_of(*lesson, other, {}), wanted, 1e-6);
}

// Against the average's word from the next state: both end at the end of the evaluation's part.
TEST(Lessons, ConsistencyComparesNeighboursWhereTheirPartEnds) {
  const std::vector<double> times{0, 0.1, 0.3, 0.4, 0.8, 0.9, 1};
  const Student average(2, velocity()), same(2, velocity()), other(2, velocity() + error());
  const auto lesson = consistency(material_of(times), 3);
  EXPECT_LE(loss_of(*lesson, same, average.weights()), 1e-12);
  const double wanted = mean_over_places(6, [&](std::size_t j) {
    const double end = j < 3 ? times[3] : times[6];
    return std::pow(end - times[j], 2) * square_of_error();
  });
  EXPECT_NEAR(loss_of(*lesson, other, average.weights()), wanted, 1e-6);
}

// The last neighbour stands at its part's end, where a map is the state itself: however wrong the
// average is, with one neighbour consistency is direct regression.
TEST(Lessons, ConsistencyIsAnchoredAtTheEnd) {
  const std::vector<double> times{0, 0.3, 1};
  const Student lost(2, 100 * velocity()), student(2, velocity() + error());
  EXPECT_EQ(loss_of(*consistency(material_of(times), 1), student, lost.weights()),
            loss_of(*regression(material_of(times)), student, {}));
}

TEST(Lessons, StraighteningIsTheMissOfTheVelocity) {
  const auto lesson = straightening(material_of({0, 1}));
  const Student right(1, velocity()), wrong(1, velocity() + error());
  EXPECT_LE(loss_of(*lesson, right, {}), 1e-12);
  EXPECT_NEAR(loss_of(*lesson, wrong, {}), square_of_error(), 1e-6);
  const c10::NoGradGuard no_grad;
  EXPECT_NEAR(lesson->held_out_loss(wrong.stage(), all_rows()).item<double>(), square_of_error(),
              1e-6);
}

// By the whole map: its evaluations' errors add up.
TEST(Lessons, HeldOutRowsAreJudgedByTheWholeMap) {
  const c10::NoGradGuard no_grad;
  const Student wrong(2, velocity() + error());
  for (const auto& lesson :
       {regression(material_of({0, 0.3, 1})), consistency(material_of({0, 0.3, 1}), 1)}) {
    EXPECT_NEAR(lesson->held_out_loss(wrong.stage(), all_rows()).item<double>(), square_of_error(),
                1e-6);
  }
}

// The target's weights are put back: the gradient is the student's own.
TEST(Lessons, TheStudentsOwnWeightsLearn) {
  const Student before(4, velocity()), student(2, velocity() + error());
  student.stage().network().parameters().allocate_gradient();
  const at::Tensor own = student.weights();
  const auto keys = random_key(4, RandomUse::test).children(0, rows);
  halving(material_of({0, 0.25, 0.5, 0.75, 1}), before.weights())
      ->loss(student.stage(), all_rows(), keys, {})
      .backward();
  EXPECT_TRUE(student.weights().equal(own));
  // d/dd of (d/2)^2, the mean over two coordinates: d/4.
  at::Tensor gradient;
  for (const auto& [name, tensor] : student.stage().network().parameters().handles()) {
    if (name == "net.layers.1.bias") gradient = tensor.grad();
  }
  EXPECT_LE((gradient - error() / 4).abs().max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace calor::distill
