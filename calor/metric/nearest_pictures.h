// Which pictures of a large set are nearest to some others, pixel by pixel: whether a model repeats
// what it was trained on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::metric {

// The set is shown piece by piece, so that it need not be held in memory.
class NearestPictures {
 public:
  // uint8 [n, C, H, W]; the `k` nearest of each are kept. `own` int64 [n], where it is given, holds
  // for each the number in the set of the picture that it is itself, which does not count (-1: it
  // is not there).
  NearestPictures(const at::Tensor& pictures, std::int64_t k, const at::Tensor& own = {});

  // The set's pictures uint8 [m, C, H, W] with the numbers first, first + 1, ...
  void add(const at::Tensor& pictures, std::int64_t first);

  // Root mean squares of the pixels' differences, with brightness from 0 to 1: float64 [n, k], the
  // nearest first. Exact: sums over bytes are whole numbers. Infinite where there were too few.
  at::Tensor distances() const;
  // The numbers of these pictures, int64 [n, k]; -1 where there were too few.
  const at::Tensor& numbers() const { return numbers_; }

 private:
  at::Tensor pictures_, own_;     // as given
  at::Tensor rows_, squares_;     // float64 [n, pixels] and [n]
  at::Tensor nearest_, numbers_;  // squared distances of bytes, float64 [n, k]
};

struct CopyScores {
  double median = 0;  // of the distances to the nearest picture
  double lowest = 0;  // their 1 % quantile
  // The share of pictures that are at least three times nearer to their nearest picture than its
  // runner-up is: copies, by the rule of Yoon et al. ("Diffusion probabilistic models generalize
  // when they fail to memorize", 2023).
  double copied = 0;
};

// Of NearestPictures::distances() [n, 2 or more].
CopyScores copy_scores(const at::Tensor& distances);

}  // namespace calor::metric
