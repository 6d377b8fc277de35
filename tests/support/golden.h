// Reference tensors for tests: files that lie outside the repository. A test that needs one is
// skipped, saying so, where it is not there.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "calor/data/open.h"
#include "calor/io/safetensors.h"
#include "calor/net/jit.h"

namespace calor::test {

// The path of golden/NAME in one of the data folders; empty where there is none.
inline std::filesystem::path golden_path(const std::string& name) {
  for (const auto& folder : data::data_folders()) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / "golden" / name, ignored)) return folder / "golden" / name;
  }
  return {};
}

// max |a - b| <= tolerance * max |b|, as the reference files define their tolerance.
inline void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance,
                         const std::string& what) {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  const at::Tensor reference = b.to(at::kDouble);
  const double error = (a.to(at::kDouble) - reference).abs().max().item<double>();
  const double scale = reference.abs().max().item<double>();
  EXPECT_LE(error, tolerance * scale) << what << ": relative error " << error / scale;
}

// The network of the reference files: 334,848 parameters with the positions.
inline const net::JitOptions golden_jit{.width = 64,
                                        .depth = 4,
                                        .heads = 4,
                                        .patch = 4,
                                        .bottleneck = 16,
                                        .context_tokens = 4,
                                        .context_start = 2,
                                        .dropout = 0,
                                        .refine = 0};

}  // namespace calor::test

#define CALOR_GOLDEN(variable, name)                                                        \
  const std::filesystem::path variable##_path = calor::test::golden_path(name);             \
  if (variable##_path.empty()) GTEST_SKIP() << "no golden/" << name << " in a data folder"; \
  const calor::io::TensorFile variable = calor::io::read_safetensors(variable##_path)
