// What the machine could do at best: the matrix products and convolutions of a piece of work, noted
// while it runs and then timed alone, and the bandwidth of copying. The rest of the work's time is
// what could still be won.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calor/net/replay.h"

namespace calor::train {

// One shape of product, and how often it was asked for.
struct Product {
  std::string kind;  // "product", "products in a batch", "convolution", "convolution, backward"
  std::vector<std::int64_t> left, right;  // sizes of the two factors
  at::ScalarType type = at::kFloat;
  std::int64_t count = 0;
  double flops = 0;    // of all of them; a multiplication and an addition are two
  double seconds = 0;  // of all of them, alone (time_alone)
};

// Notes the products that LibTorch's operators do, on any thread, while it lives; no pass is
// recorded meanwhile (net/replay.h), or a GPU would do products that no operator asks for. One at a
// time.
class ProductRecorder {
 public:
  ProductRecorder();
  ~ProductRecorder();
  ProductRecorder(const ProductRecorder&) = delete;
  ProductRecorder& operator=(const ProductRecorder&) = delete;

  // Those so far, without their seconds.
  std::vector<Product> noted() const;
  // The same with seconds: each is repeated alone, on factors of ones of the same sizes, strides,
  // type and device, and the fastest of `repeats` counts. The most expensive first.
  std::vector<Product> time_alone(int repeats = 5);

 private:
  net::WithoutRecordings operators_are_asked_;
};

// Bytes read and written a second when `bytes` are copied from one place to another, the fastest of
// several times.
double copy_bandwidth(at::Device device, std::int64_t bytes = std::int64_t{1} << 28);

}  // namespace calor::train
