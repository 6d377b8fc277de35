#include "calor/train/stage_weights.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "calor/core/error.h"
#include "calor/io/safetensors.h"

namespace calor::train {
namespace {

constexpr const char* key = "weights";

}  // namespace

std::filesystem::path stage_weights_file(const std::filesystem::path& folder) {
  return folder / "weights.safetensors";
}

void save_stage_weights(const std::filesystem::path& file, const at::Tensor& flat) {
  io::write_safetensors(file, {.tensors = {{key, flat.cpu()}}, .metadata = {}});
}

void load_stage_weights(const std::filesystem::path& file, flow::Flow& flow, std::size_t stage) {
  const at::Tensor weights = io::read_safetensors(file).at(key);
  net::Parameters& parameters = flow.stage(stage).network().parameters();
  if (weights.numel() != parameters.count()) {
    throw Error(fmt::format("{} weights in stage {}", parameters.count(), stage + 1),
                fmt::format("{}: {}", file.string(), weights.numel()),
                "the network's settings changed: take another --run folder");
  }
  parameters.flatten(flow.device());
  const c10::NoGradGuard no_grad;
  at::Tensor flat = parameters.flat();
  flat.copy_(weights);
}

}  // namespace calor::train
