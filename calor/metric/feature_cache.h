// Features of real pictures, kept from one evaluation to the next.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>

#include "calor/metric/classifier.h"

namespace calor::metric {

struct CachedReading {
  Reading reading;
  bool found = false;  // in the cache
  bool kept = false;   // found, or computed and written there
};

// One safetensors file for each classifier and set of pictures, named by the checksum of both, so
// that nothing stale is ever found. Files may be deleted at any time. A damaged file, or one of
// another content, is computed and written again; what cannot be written is not kept.
class FeatureCache {
 public:
  // Empty: nothing is kept.
  explicit FeatureCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // What `classifier`, loaded from the file `weights`, says of uint8 [N, C, H, W].
  CachedReading read(const Classifier& classifier, const std::filesystem::path& weights,
                     const at::Tensor& pictures,
                     const std::function<void()>& before_piece = {}) const;
  // Where that lies, whether or not it is there; empty where nothing is kept.
  std::filesystem::path file_of(const std::filesystem::path& weights,
                                const at::Tensor& pictures) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace calor::metric
