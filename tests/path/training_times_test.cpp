#include "calor/path/training_times.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace calor::path {
namespace {

std::vector<RandomKey> keys(std::int64_t n) {
  std::vector<RandomKey> out;
  for (std::int64_t i = 0; i < n; ++i) {
    out.push_back(random_key(3, RandomUse::test).child(static_cast<std::uint64_t>(i)));
  }
  return out;
}

// Mean and mean square of s = 1 - t from draws against the quadrature that the balance of the loss
// uses. 40,000 draws of numbers in [0, 1]: a standard error of at most .5/200 = .0025, times 4.
TEST(TrainingTimes, DrawsFollowTheirQuadrature) {
  std::vector<TimeOptions> laws(7);
  laws[0].law = TimeLaw::uniform;
  laws[1].law = TimeLaw::square;
  laws[2].law = TimeLaw::beta;
  laws[2].beta2 = 0.5;
  laws[3].law = TimeLaw::beta;
  laws[3].beta1 = 2;
  laws[3].beta2 = 3;
  laws[4].near_data = 0.5;
  laws[5].mixture = 0.4;
  laws[6].law = TimeLaw::uniform;
  laws[6].mixture = 0.3;
  laws[6].near_data = 0.2;
  for (std::size_t i = 0; i < laws.size(); ++i) {
    const TrainingTimes times(laws[i], 5);
    const at::Tensor s = 1 - times.draw(keys(40'000)).to(at::kDouble);
    const auto nodes = times.quadrature();
    EXPECT_NEAR(nodes.probability.sum().item<double>(), 1, 1e-12);
    const at::Tensor exact = 1 - nodes.t;
    EXPECT_NEAR(s.mean().item<double>(), (exact * nodes.probability).sum().item<double>(), 0.01)
        << "law " << i;
    EXPECT_NEAR(s.square().mean().item<double>(),
                (exact.square() * nodes.probability).sum().item<double>(), 0.01)
        << "law " << i;
  }
}

// 1 - u^2 rounds to 1 in fp32 for u below 1.7e-4: for about 7 of these.
TEST(TrainingTimes, EndBeforeTheData) {
  TimeOptions options;
  options.law = TimeLaw::square;
  const at::Tensor t = TrainingTimes(options, 1).draw(keys(40'000));
  const at::Tensor last = at::full({}, 1, at::kFloat) - 5.9604645e-08F;
  EXPECT_EQ(t.max().item<float>(), last.item<float>());
  EXPECT_LT(t.max().item<float>(), 1);
}

// E s of Beta(a, b) is a / (a + b).
TEST(TrainingTimes, BetaHasItsMean) {
  TimeOptions options;
  options.law = TimeLaw::beta;
  options.beta1 = 1;
  options.beta2 = 0.5;
  const at::Tensor s = 1 - TrainingTimes(options, 1).draw(keys(40'000)).to(at::kDouble);
  EXPECT_NEAR(s.mean().item<double>(), 2.0 / 3, 0.006);  // 4 standard errors of sd .298
}

}  // namespace
}  // namespace calor::path
