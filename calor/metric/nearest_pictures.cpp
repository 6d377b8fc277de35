#include "calor/metric/nearest_pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>

#include "calor/core/error.h"
#include "calor/metric/picture_pair.h"

namespace calor::metric {
namespace {

constexpr std::int64_t piece = 1000;  // pictures of the set at a time

at::Tensor rows_of(const at::Tensor& pictures) { return pictures.flatten(1).to(at::kDouble); }

}  // namespace

NearestPictures::NearestPictures(const at::Tensor& pictures, std::int64_t k, const at::Tensor& own)
    : pictures_(pictures) {
  check_pictures(pictures);
  const std::int64_t n = pictures.size(0);
  if (k < 1) throw Error("one neighbour or more", fmt::format("k = {}", k), "2 or 3 are usual");
  if (own.defined() && (own.dim() != 1 || own.size(0) != n)) {
    throw Error(fmt::format("a number for each of {} pictures", n),
                fmt::format("shape [{}]", fmt::join(own.sizes(), ", ")), "give -1 where none is");
  }
  rows_ = rows_of(pictures);
  squares_ = rows_.square().sum(1);
  own_ = own.defined() ? own.to(at::kLong) : at::full({n}, -1, at::kLong);
  nearest_ = at::full({n, k}, std::numeric_limits<double>::infinity(), at::kDouble);
  numbers_ = at::full({n, k}, -1, at::kLong);
}

// Products and sums of bytes are whole numbers far below 2^53, so the expanded square is exact.
void NearestPictures::add(const at::Tensor& pictures, std::int64_t first) {
  check_picture_pair(pictures_, pictures);
  for (std::int64_t start = 0; start < pictures.size(0); start += piece) {
    const at::Tensor part = rows_of(pictures.slice(0, start, start + piece));
    const at::Tensor numbers = at::arange(part.size(0), at::kLong) + (first + start);
    at::Tensor squared =
        at::addmm(part.square().sum(1), rows_, part.t(), 1, -2).add_(squares_.unsqueeze(1));
    squared.masked_fill_(numbers.unsqueeze(0).eq(own_.unsqueeze(1)),
                         std::numeric_limits<double>::infinity());
    const at::Tensor all = at::cat({nearest_, squared}, 1);
    const at::Tensor names = at::cat({numbers_, numbers.expand(squared.sizes())}, 1);
    const auto [best, where] = all.topk(nearest_.size(1), 1, false, true);
    nearest_ = best;
    numbers_ = names.gather(1, where).masked_fill_(best.isinf(), -1);
  }
}

at::Tensor NearestPictures::distances() const {
  return (nearest_ / static_cast<double>(rows_.size(1))).sqrt() / 255;
}

CopyScores copy_scores(const at::Tensor& distances) {
  constexpr double rare = 0.01;
  constexpr double much_nearer = 1.0 / 3;
  if (distances.dim() != 2 || distances.size(0) < 1 || distances.size(1) < 2) {
    throw Error("distances to two neighbours or more of each picture",
                fmt::format("shape [{}]", fmt::join(distances.sizes(), ", ")), "search with k = 2");
  }
  const at::Tensor first = distances.select(1, 0);
  const at::Tensor copied = first.le(distances.select(1, 1) * much_nearer);
  return {.median = first.median().item<double>(),
          .lowest = at::quantile(first, rare).item<double>(),
          .copied = copied.to(at::kDouble).mean().item<double>()};
}

}  // namespace calor::metric
