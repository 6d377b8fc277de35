// A flow: stages that carry data to noise, one after another, and back. A flow of one stage is flow
// matching, diffusion or HDFM; a chain of several is local flow matching. All commands, samplers
// and files know only this type.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "calor/core/random.h"
#include "calor/data/dataset.h"
#include "calor/flow/model_options.h"
#include "calor/flow/stage.h"

namespace calor::flow {

// UsageError where a flow with these options cannot be made for the items; nothing is allocated.
void check_model(const ModelOptions& options, const data::ItemSpec& items);

class Flow {
 public:
  // The weights are declared, not drawn. UsageError where the options do not fit the items.
  Flow(const ModelOptions& options, const data::ItemSpec& items, at::Device device);

  // From data (0) to noise.
  std::size_t size() const { return stages_.size(); }
  Stage& stage(std::size_t i) { return *stages_.at(i); }
  const Stage& stage(std::size_t i) const { return *stages_.at(i); }
  bool is_chain() const { return options_.stages.is_chain(); }
  // Whether the only stage is along a path of levels (IHDM).
  bool has_levels() const { return stage(0).space().path->levels() > 0; }

  // Noise to start from, [keys, C, H, W], one stream per item. UsageError along a path of levels,
  // which begins with blurred pictures (solve/blurred_start.h).
  at::Tensor initial_noise(std::span<const RandomKey> keys) const;

  // The type that the networks compute in, fp32 unless compute_in() has set fp64, which only
  // perceptrons can: UsageError of other networks.
  at::ScalarType type() const;
  void compute_in(at::ScalarType type);
  // What every stage's network multiplies in; "automatic" by what the device is best at.
  void set_precision(net::Precision precision);

  const ModelOptions& options() const { return options_; }
  const data::ItemSpec& items() const { return items_; }
  at::Device device() const { return device_; }

 private:
  ModelOptions options_;
  data::ItemSpec items_;
  at::Device device_;
  std::vector<std::unique_ptr<Stage>> stages_;
};

}  // namespace calor::flow
