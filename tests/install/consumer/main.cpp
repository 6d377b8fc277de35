// Uses a few parts of the installed library: headers, compiled code and LibTorch behind them.
#include <ATen/ATen.h>

#include <cstdio>

#include "calor/core/error.h"
#include "calor/core/version.h"
#include "calor/spectral/dct.h"

int main() {
  const at::Tensor picture = at::arange(12, at::kDouble).view({1, 1, 3, 4});
  const calor::spectral::Dct dct(3, 4, at::kDouble, at::kCPU);
  const double difference =
      (dct.inverse(dct.forward(picture)) - picture).abs().max().item<double>();
  if (difference > 1e-12) {
    std::fprintf(stderr, "the DCT there and back differs by %g\n", difference);
    return 1;
  }
  if (calor::usage_error("a", "b", "c").exit_status() != 2) return 1;
  std::printf("calor %.*s answers\n", static_cast<int>(calor::version.size()),
              calor::version.data());
}
