#include "calor/train/classifier_trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "calor/data/loader.h"
#include "calor/net/classifier_file.h"
#include "calor/train/swapped_weights.h"

namespace calor::train {
namespace {

constexpr const char* model_name = "model.safetensors";
constexpr std::int64_t pictures_at_once = 500;

net::ClassifierNotes notes_of(const ClassifierConfig& config, std::int64_t step) {
  ClassifierConfig copy = config;
  return {{"calor.source", config.data.source},
          {"calor.training", copy.options().to_toml()},
          {"calor.step", std::to_string(step)}};
}

}  // namespace

at::Tensor shifted(const at::Tensor& pictures, std::int64_t most, std::span<const RandomKey> keys) {
  if (most == 0) return pictures;
  const std::int64_t height = pictures.size(2);
  const std::int64_t width = pictures.size(3);
  const at::Tensor wide = at::replication_pad2d(pictures, {most, most, most, most});
  at::Tensor moved = at::empty_like(pictures);
  const auto places = static_cast<double>(2 * most + 1);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::array<double, 2> u{};
    fill_uniform(keys[i].child(static_cast<std::uint64_t>(RandomUse::flip)), u);
    const auto n = static_cast<std::int64_t>(i);
    moved[n].copy_(wide[n]
                       .narrow(1, static_cast<std::int64_t>(u[0] * places), height)
                       .narrow(2, static_cast<std::int64_t>(u[1] * places), width));
  }
  return moved;
}

std::unique_ptr<ClassifierTrainer> ClassifierTrainer::make(const ClassifierConfig& config,
                                                           const data::HeldOut& data,
                                                           const std::filesystem::path& folder,
                                                           at::Device device,
                                                           TrainObserver& observer) {
  auto network = std::make_unique<net::PictureClassifier>(config.network, data.rest->spec());
  return std::unique_ptr<ClassifierTrainer>(
      new ClassifierTrainer(config, std::move(network), data, folder, device, observer));
}

ClassifierTrainer::ClassifierTrainer(const ClassifierConfig& config,
                                     std::unique_ptr<net::PictureClassifier> network,
                                     const data::HeldOut& data, const std::filesystem::path& folder,
                                     at::Device device, TrainObserver& observer)
    : Fit(config.train, network->parameters(), device,
          {.set = data.rest,
           .validation = data.held_out,
           .flip = config.data.flip,
           .folder = folder,
           .source = config.data.source},
          observer),
      config_(config),
      network_(std::move(network)),
      held_out_(data.held_out) {
  net::use(config.train.products);
  begin({});
}

std::filesystem::path ClassifierTrainer::file() const { return folder() / model_name; }

at::Tensor ClassifierTrainer::batch_loss(const data::Batch& batch, std::int64_t start,
                                         std::span<const RandomKey> keys, bool training) {
  const auto count = static_cast<std::int64_t>(keys.size());
  at::Tensor pictures = data::to_unit_range(batch.items.narrow(0, start, count));
  if (training) pictures = shifted(pictures, config_.shift, keys);
  const at::Tensor labels = batch.labels.narrow(0, start, count).to(device());
  const at::Tensor logits = network_->read(pictures.to(device()), config_.train.precision);
  return at::cross_entropy_loss(logits.to(at::kFloat), labels, {}, at::Reduction::Mean, -100,
                                training ? config_.smoothing : 0);
}

double ClassifierTrainer::measure_accuracy() {
  const c10::NoGradGuard no_grad;
  const SwappedWeights kept(network_->parameters().flat(), final_weights());
  std::int64_t right = 0;
  for (std::int64_t first = 0; first < held_out_->size(); first += pictures_at_once) {
    const data::Batch batch =
        data::batch_of(*held_out_, first, std::min(pictures_at_once, held_out_->size() - first));
    const at::Tensor pictures = data::to_unit_range(batch.items).to(device());
    const at::Tensor read = network_->read(pictures, net::Precision::fp32).argmax(1).cpu();
    right += read.eq(batch.labels).sum().item<std::int64_t>();
  }
  return static_cast<double>(right) / static_cast<double>(held_out_->size());
}

void ClassifierTrainer::on_saved() {
  net::ClassifierNotes notes = notes_of(config_, progress().step);
  if (held_out_ && is_finished()) {
    accuracy_ = measure_accuracy();
    notes["calor.accuracy"] = fmt::format("{:.6g}", accuracy_);
  }
  net::save_classifier(file(), *network_, final_weights(), notes);
}

}  // namespace calor::train
