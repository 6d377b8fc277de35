#include "calor/net/precision.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace calor::net {
namespace {

bool onednn_multiplies() {
  return at::globalContext().float32Precision(at::Float32Backend::MKLDNN, at::Float32Op::MATMUL) ==
         at::Float32Precision::BF16;
}

TEST(Products, AutomaticIsWhatWasMeasuredAndRoundsAsFp32) {
  const Products chosen = resolve(Products::automatic);
  EXPECT_NE(chosen, Products::automatic);
  use(Products::automatic);
  EXPECT_EQ(onednn_multiplies(), chosen == Products::onednn);
  const auto generator = at::detail::createCPUGenerator(3);
  const at::Tensor a = at::randn({300, 500}, generator);
  const at::Tensor b = at::randn({500, 200}, generator);
  const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
  const at::Tensor error = at::mm(a, b).to(at::kDouble) - exact;
  use(Products::standard);
  EXPECT_FALSE(onednn_multiplies());
  // fp32 is at 2e-7 to 4e-7 here, bf16 factors would be at 2e-3.
  EXPECT_LT((error.norm() / exact.norm()).item<double>(), 2e-6);
}

}  // namespace
}  // namespace calor::net
