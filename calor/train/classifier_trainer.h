// Training of a classifier of pictures, whose features then measure others (metric/classifier.h).
#pragma once

#include <filesystem>
#include <limits>
#include <memory>
#include <string>

#include "calor/data/subset.h"
#include "calor/net/picture_classifier.h"
#include "calor/train/classifier_config.h"
#include "calor/train/fit.h"

namespace calor::train {

class ClassifierTrainer final : public Fit {
 public:
  // Of labelled pictures; `folder` must exist, and gets model.safetensors at each checkpoint
  // (net/classifier_file.h). `config` must be definite. Errors as those of StageTrainer.
  static std::unique_ptr<ClassifierTrainer> make(const ClassifierConfig& config,
                                                 const data::HeldOut& data,
                                                 const std::filesystem::path& folder,
                                                 at::Device device, TrainObserver& observer);

  // The share of the held-out pictures that the weights to keep read as their class; NaN before the
  // last step and where none are held out.
  double accuracy() const { return accuracy_; }

  // Where the model is.
  std::filesystem::path file() const;

 protected:
  at::Tensor batch_loss(const data::Batch& batch, std::int64_t start,
                        std::span<const RandomKey> keys, bool training) override;
  bool parts_are_independent() const override { return true; }
  void on_saved() override;

 private:
  ClassifierTrainer(const ClassifierConfig& config, std::unique_ptr<net::PictureClassifier> network,
                    const data::HeldOut& data, const std::filesystem::path& folder,
                    at::Device device, TrainObserver& observer);

  double measure_accuracy();

  ClassifierConfig config_;
  std::unique_ptr<net::PictureClassifier> network_;
  std::shared_ptr<const data::Dataset> held_out_;
  double accuracy_ = std::numeric_limits<double>::quiet_NaN();
};

// Each picture [N, C, H, W] moved by up to `most` pixels along either side, as its key says; what
// comes in from outside repeats the edge.
at::Tensor shifted(const at::Tensor& pictures, std::int64_t most, std::span<const RandomKey> keys);

}  // namespace calor::train
