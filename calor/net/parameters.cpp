#include "calor/net/parameters.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>

#include "calor/core/error.h"

namespace calor::net {
namespace {

// Glorot and Bengio (2010) for a matrix [out, in], a convolution's kernel being flattened to one.
double xavier_bound(const at::Tensor& weight) {
  const auto out = static_cast<double>(weight.size(0));
  const double in = static_cast<double>(weight.numel()) / out;
  return std::sqrt(6 / (in + out));
}

void draw(const at::Tensor& tensor, Initialiser initialiser, RandomKey key) {
  const std::span<float> values(tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel()));
  switch (initialiser.law) {
    case Initialiser::Law::zeros:
      tensor.zero_();
      return;
    case Initialiser::Law::ones:
      tensor.fill_(1);
      return;
    case Initialiser::Law::normal:
      fill_normal(key, values);
      tensor.mul_(initialiser.std);
      return;
    case Initialiser::Law::xavier_uniform:
    case Initialiser::Law::uniform:
      break;
  }
  std::vector<double> uniform(values.size());
  fill_uniform(key, uniform);
  const bool xavier = initialiser.law == Initialiser::Law::xavier_uniform;
  const double bound = xavier ? xavier_bound(tensor) : initialiser.std;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>((2 * uniform[i] - 1) * bound);
  }
}

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

}  // namespace

at::Tensor Parameters::add(std::string name, at::IntArrayRef shape, Initialiser initialiser) {
  at::Tensor tensor = at::empty(shape, at::kFloat).set_requires_grad(true);
  entries_.push_back({std::move(name), tensor, initialiser, true});
  return tensor;
}

at::Tensor Parameters::add_fixed(std::string name, at::Tensor value) {
  entries_.push_back({std::move(name), value, init_zeros, false});
  return value;
}

void Parameters::initialise(RandomKey key) {
  const c10::NoGradGuard no_grad;
  for (const auto& entry : entries_) {
    if (!entry.trainable) continue;
    std::uint64_t name_hash = 0xcbf29ce484222325ULL;  // FNV-1a: the stream follows the name
    for (const char c : entry.name) {
      name_hash = (name_hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    draw(entry.tensor, entry.initialiser, key.child(name_hash));
  }
}

void Parameters::flatten(at::Device device, at::ScalarType type) {
  const c10::NoGradGuard no_grad;
  flat_ = at::empty({count()}, at::TensorOptions(type).device(device));
  std::int64_t offset = 0;
  for (auto& entry : entries_) {
    if (!entry.trainable) {
      entry.tensor.set_data(entry.tensor.to(device));
      continue;
    }
    const at::Tensor view =
        flat_.narrow(0, offset, entry.tensor.numel()).view(entry.tensor.sizes());
    view.copy_(entry.tensor);
    entry.tensor.set_data(view);
    offset += view.numel();
  }
}

void Parameters::allocate_gradient() {
  flat_gradient_ = at::zeros_like(flat_);
  std::int64_t offset = 0;
  for (auto& entry : entries_) {
    if (!entry.trainable) continue;
    entry.tensor.mutable_grad() =
        flat_gradient_.narrow(0, offset, entry.tensor.numel()).view(entry.tensor.sizes());
    offset += entry.tensor.numel();
  }
}

at::Tensor Parameters::gradient_of(const at::Tensor& loss, const at::Tensor& factors) const {
  std::vector<at::Tensor> leaves;
  for (const auto& entry : entries_) {
    if (entry.trainable) leaves.push_back(entry.tensor);
  }
  torch::autograd::variable_list outer;
  if (factors.defined()) outer.push_back(factors);
  auto gradients = torch::autograd::grad({loss}, leaves, outer, std::nullopt, false, true);
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    // A weight that the loss does not depend on has no gradient.
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(leaves[i]);
    gradients[i] = gradients[i].flatten();
  }
  return at::cat(gradients);
}

std::int64_t Parameters::count() const {
  std::int64_t total = 0;
  for (const auto& entry : entries_) total += entry.trainable ? entry.tensor.numel() : 0;
  return total;
}

std::int64_t Parameters::count_with_fixed() const {
  std::int64_t total = 0;
  for (const auto& entry : entries_) total += entry.tensor.numel();
  return total;
}

std::vector<std::pair<std::string, at::Tensor>> Parameters::named(const at::Tensor& flat) const {
  std::vector<std::pair<std::string, at::Tensor>> out;
  std::int64_t offset = 0;
  for (const auto& entry : entries_) {
    at::Tensor tensor = entry.tensor.detach();
    if (entry.trainable && flat.defined()) {
      tensor = flat.narrow(0, offset, tensor.numel()).view(tensor.sizes());
    }
    if (entry.trainable) offset += tensor.numel();
    out.emplace_back(entry.name, tensor);
  }
  return out;
}

std::vector<std::pair<std::string, at::Tensor>> Parameters::handles() const {
  std::vector<std::pair<std::string, at::Tensor>> out;
  for (const auto& entry : entries_) {
    if (entry.trainable) out.emplace_back(entry.name, entry.tensor);
  }
  return out;
}

void Parameters::load(const std::vector<std::pair<std::string, at::Tensor>>& weights,
                      const std::string& origin) {
  const c10::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> given(weights.begin(), weights.end());
  const char* hint = "give the options of the network that these weights were trained with";
  for (auto& entry : entries_) {
    const auto found = given.find(entry.name);
    if (found == given.end()) {
      throw Error(fmt::format("a tensor '{}' {}", entry.name, shape_text(entry.tensor)),
                  fmt::format("{}: no tensor of that name", origin), hint);
    }
    if (found->second.sizes() != entry.tensor.sizes()) {
      throw Error(fmt::format("'{}' of shape {}", entry.name, shape_text(entry.tensor)),
                  fmt::format("{}: shape {}", origin, shape_text(found->second)), hint);
    }
    entry.tensor.detach().copy_(found->second);
    given.erase(found);
  }
  if (!given.empty()) {
    throw Error(
        "only tensors that belong to the network",
        fmt::format("{}: '{}' and {} others", origin, given.begin()->first, given.size() - 1),
        hint);
  }
}

}  // namespace calor::net
