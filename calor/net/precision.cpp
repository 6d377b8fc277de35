#include "calor/net/precision.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#ifdef __linux__
#include <fstream>
#include <string>
#endif

#include "calor/core/one_thread.h"
#include "calor/core/random.h"

namespace calor::net {
namespace {

bool cpu_flag(const std::string& wanted) {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("flags"))
      return (line + " ").find(" " + wanted + " ") != std::string::npos;
  }
  return false;
}

double time_of_product(const at::Tensor& a, const at::Tensor& b) {
  const auto start = std::chrono::steady_clock::now();
  at::mm(a, b);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double relative_error(const at::Tensor& a, const at::Tensor& b, const at::Tensor& exact) {
  return ((at::mm(a, b).to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

void let_onednn_multiply(bool allowed) {
  at::globalContext().setFloat32Precision(
      at::Float32Backend::MKLDNN, at::Float32Op::MATMUL,
      allowed ? at::Float32Precision::BF16 : at::Float32Precision::IEEE);
}

}  // namespace

bool has_native_bf16(at::Device device) {
  if (device.is_cuda()) return true;
  return cpu_flag("avx512_bf16") || cpu_flag("amx_bf16");
}

Precision resolve(Precision precision, at::Device device) {
  if (precision != Precision::automatic) return precision;
  return has_native_bf16(device) ? Precision::bf16 : Precision::fp32;
}

void declare_precision(config::Options& options, const char* key, Precision& precision) {
  static constexpr config::Choice<Precision> choices[] = {
      {"auto", Precision::automatic, "bf16 where the processor multiplies it natively"},
      {"fp32", Precision::fp32, "single precision"},
      {"bf16", Precision::bf16, "bfloat16 products, fp32 weights and state"},
  };
  options.add(key, precision, choices, "number format of matrix products");
}

void declare_products(config::Options& options, const char* key, Products& products) {
  static constexpr config::Choice<Products> choices[] = {
      {"auto", Products::automatic, "measured when the run begins"},
      {"standard", Products::standard, "LibTorch's default"},
      {"onednn", Products::onednn, "oneDNN, twice as fast on some processors"},
  };
  options.add(key, products, choices, "library for fp32 matrix products on the CPU");
}

namespace {

Products measured() {
  const RandomKey key = random_key(0, RandomUse::initial_weights);
  const at::Tensor a = normal_by_item(std::array{key.child(0)}, {256, 384}, at::kCPU)[0];
  const at::Tensor b = normal_by_item(std::array{key.child(1)}, {384, 512}, at::kCPU)[0];
  const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
  // A millisecond on one thread is often left alone by other work on the machine, several threads
  // at once seldom are; in turn, the fastest of each.
  const OneThread alone;
  constexpr double never = std::numeric_limits<double>::infinity();
  std::array<double, 2> fastest{never, never};
  std::array<double, 2> error{};
  for (int round = 0; round < 15; ++round) {
    for (const std::size_t library : {0, 1}) {
      let_onednn_multiply(library == 1);
      if (round == 0) error[library] = relative_error(a, b, exact);
      fastest[library] = std::min(fastest[library], time_of_product(a, b));
    }
  }
  let_onednn_multiply(false);
  // By far, or one run would choose otherwise than the next, and round otherwise.
  const bool faster = fastest[1] < 0.8 * fastest[0];
  return faster && error[1] < 4 * error[0] ? Products::onednn : Products::standard;
}

}  // namespace

Products resolve(Products products) {
  if (products != Products::automatic) return products;
  static const Products best = measured();
  return best;
}

void use(Products products) { let_onednn_multiply(resolve(products) == Products::onednn); }

}  // namespace calor::net
