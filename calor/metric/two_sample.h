// The classifier two-sample test (Lopez-Paz and Oquab 2017): two laws are as different as a
// classifier can tell their samples apart.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "calor/core/random.h"

namespace calor::metric {

enum class TwoSampleClassifier {
  logistic,  // on standardised features and their squares: sees means and variances
  mlp,       // two hidden layers of 64, 1000 steps: sees dependence, too; a second or two
};

struct TwoSampleTest {
  double accuracy = 0;        // on samples not trained on; 1/2 where the laws are equal
  double standard_error = 0;  // of `accuracy`, binomial
  double z = 0;               // (accuracy - 1/2) in the standard errors it has under equal laws
  std::int64_t trained = 0;   // samples, half of each set
  std::int64_t tested = 0;
};

// a [n, d] and b [m, d], 4 rows or more of each: min(n, m) rows of each, chosen by the key, one
// half to train and the other to test. Rows must be independent: a sample that is in both halves,
// or in both sets, voids the test.
TwoSampleTest classifier_two_sample_test(const at::Tensor& a, const at::Tensor& b,
                                         TwoSampleClassifier classifier, RandomKey key);

}  // namespace calor::metric
