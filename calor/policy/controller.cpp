#include "calor/policy/controller.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/data/training_data.h"
#include "calor/flow/model_file.h"

namespace calor::policy {

std::shared_ptr<Policy> Policy::load(const std::filesystem::path& run, at::Device device) {
  const auto file = flow::model_file_of(run);
  auto model = flow::load_model(file, device);
  auto codec = data::policy_codec(model.notes, file.string());
  if (!codec) {
    throw Error("a policy: a model trained on demonstrations",
                fmt::format("{} is none", file.string()),
                "train one, for instance: calor train lfm-pusht-small");
  }
  auto policy = std::make_shared<Policy>();
  policy->sampling = solve::options_from_notes(model.notes, file.string());
  policy->flow = std::move(model.flow);
  policy->codec = std::move(*codec);
  return policy;
}

namespace {

bool is_picture(const at::Tensor& picture, const data::ObservedShape& shape) {
  if (shape.count == 0) return !picture.defined();
  return picture.defined() && picture.scalar_type() == at::kByte &&
         picture.sizes() == at::IntArrayRef{shape.channels, shape.height, shape.width};
}

// The newest at the end; the first stands for those before it.
template <class T>
void remember(std::vector<T>& history, std::size_t length, const T& newest) {
  if (history.empty()) {
    history.assign(length, newest);
    return;
  }
  std::rotate(history.begin(), history.begin() + 1, history.end());
  history.back() = newest;
}

}  // namespace

Controller::Controller(std::shared_ptr<const Policy> policy) : policy_(std::move(policy)) {}

Controller Controller::load(const std::filesystem::path& run, at::Device device) {
  return Controller(Policy::load(run, device));
}

void Controller::reset(std::uint64_t seed) {
  seed_ = seed;
  history_.clear();
  pictures_.clear();
  bad_observation_ = false;
  plan_ = at::Tensor();
  used_ = 0;
  last_action_.clear();
  decisions_.clear();
  error_.clear();
}

void Controller::observe(std::span<const double> observation) noexcept { observe(observation, {}); }

void Controller::observe(std::span<const double> observation, const at::Tensor& picture) noexcept {
  const auto expected = static_cast<std::size_t>(policy_->observation_size());
  bad_observation_ =
      observation.size() != expected || !is_picture(picture, policy_->pictures()) ||
      !std::ranges::all_of(observation, [](double value) { return std::isfinite(value); });
  if (bad_observation_) return;
  const auto length = static_cast<std::size_t>(policy_->codec.options.history);
  remember(history_, length, std::vector<double>(observation.begin(), observation.end()));
  if (picture.defined()) remember(pictures_, length, picture.clone());
}

Action Controller::act() noexcept {
  const auto held = [&](ActionStatus status) { return Action{status, last_action_}; };
  if (bad_observation_) return held(ActionStatus::bad_observation);
  if (history_.empty()) return held(ActionStatus::not_observed);
  const auto& options = policy_->codec.options;
  try {
    if (!plan_.defined() || used_ == options.execute) decide();
    const at::Tensor row = plan_[options.history - 1 + used_].contiguous();
    ++used_;
    last_action_.assign(row.const_data_ptr<double>(), row.const_data_ptr<double>() + row.numel());
  } catch (const std::exception& error) {
    error_ = error.what();
    plan_ = at::Tensor();
    return held(ActionStatus::failed);
  }
  return held(ActionStatus::decided);
}

void Controller::decide() {
  const c10::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  const Policy& policy = *policy_;
  std::vector<at::Tensor> seen;
  for (const auto& observation : history_) {
    seen.push_back(policy.codec.observations.to_unit(at::tensor(observation, at::kDouble)));
  }
  const RandomKey key = random_key(seed_, RandomUse::sampling_noise)
                            .child(static_cast<std::uint64_t>(decisions_.size()));
  const at::Tensor noise = policy.flow->initial_noise(std::span(&key, 1));
  const flow::Given given{
      .labels = at::zeros({1}, at::kLong),
      .condition = at::cat(seen).unsqueeze(0).to(at::kFloat),
      .pictures = pictures_.empty() ? at::Tensor() : at::stack(pictures_).unsqueeze(0)};
  const auto made = solve::generate(*policy.flow, noise, given, policy.sampling);
  if (made.items.size(0) == 0) throw Error("a whole plan", "stopped by a signal", "start again");
  if (!at::isfinite(made.items).all().item<bool>()) {
    throw Error("a plan of finite numbers", "one that is not", "see whether the model is trained");
  }
  plan_ = policy.codec.actions.from_unit(made.items[0].squeeze(1).t().to(at::kDouble));
  used_ = 0;
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  decisions_.push_back({.nfe = made.nfe, .seconds = taken.count()});
}

}  // namespace calor::policy
