// The named parameters of a network, in one flat buffer, so that the optimiser, both EMAs and the
// checkpoint see one vector, and the network sees named tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "calor/core/random.h"

namespace calor::net {

// How a parameter is drawn before training.
struct Initialiser {
  enum class Law { zeros, ones, normal, xavier_uniform, uniform } law = Law::zeros;
  double std = 0;  // of normal; of uniform the bound
};
inline constexpr Initialiser init_zeros{Initialiser::Law::zeros, 0};
inline constexpr Initialiser init_ones{Initialiser::Law::ones, 0};
inline constexpr Initialiser init_xavier{Initialiser::Law::xavier_uniform, 0};
constexpr Initialiser init_normal(double std) { return {Initialiser::Law::normal, std}; }
// Uniform in [-bound, bound].
constexpr Initialiser init_uniform(double bound) { return {Initialiser::Law::uniform, bound}; }

class Parameters {
 public:
  // Declares a trainable parameter (fp32, CPU) and returns a handle that stays valid.
  at::Tensor add(std::string name, at::IntArrayRef shape, Initialiser initialiser);
  // A fixed table that travels with the weights but is not trained.
  at::Tensor add_fixed(std::string name, at::Tensor value);

  // Draws every trainable parameter; each has its own stream, so adding one changes no other.
  void initialise(RandomKey key);

  // Moves everything to `device`, the trainable parameters into one flat buffer in order of
  // declaration, as fp32 or fp64 (the type that a network then computes in). Handles keep working.
  void flatten(at::Device device, at::ScalarType type = at::kFloat);

  // The flat buffer [count] and its gradient, which backward passes add to (after flatten()).
  const at::Tensor& flat() const { return flat_; }
  const at::Tensor& flat_gradient() const { return flat_gradient_; }
  void allocate_gradient();

  // The gradient of `loss`, a scalar, like flat(), or of sum(loss * factors), of any sizes;
  // flat_gradient() is left alone, so that several threads may do this at a time.
  at::Tensor gradient_of(const at::Tensor& loss, const at::Tensor& factors = {}) const;

  // Trainable parameters only; with fixed tables.
  std::int64_t count() const;
  std::int64_t count_with_fixed() const;

  // (name, tensor) of everything, in order of declaration; views into `flat` (a tensor like flat(),
  // for instance an EMA; undefined: the parameters themselves).
  std::vector<std::pair<std::string, at::Tensor>> named(const at::Tensor& flat = {}) const;

  // The trainable parameters themselves, as autograd knows them, in order of declaration.
  std::vector<std::pair<std::string, at::Tensor>> handles() const;

  // Copies weights by name, converted to the parameters' type. Error naming the first tensor that
  // is missing, of another shape, or unknown; `origin` names the file.
  void load(const std::vector<std::pair<std::string, at::Tensor>>& weights,
            const std::string& origin);

 private:
  struct Entry {
    std::string name;
    at::Tensor tensor;
    Initialiser initialiser;
    bool trainable = true;
  };
  std::vector<Entry> entries_;
  at::Tensor flat_, flat_gradient_;
};

}  // namespace calor::net
