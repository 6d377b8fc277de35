#include "calor/net/kernels/gpu/trusted.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/ScopeExit.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "calor/net/kernels/activation.h"
#include "calor/net/kernels/add_gated.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/group_norm.h"
#include "calor/net/kernels/norm_modulate.h"
#include "calor/net/kernels/swiglu.h"
#include "calor/net/kernels/turned_heads.h"

namespace calor::net::kernels::gpu {
namespace {

using Tensors = std::vector<at::Tensor>;

struct Operator {
  const char* name;
  std::vector<std::vector<std::int64_t>> inputs;  // their sizes
  std::function<at::Tensor(const Tensors&)> fused, reference;
  bool has_gradients = true;
};

// Numbers of either sign that repeat nowhere, without a random generator.
at::Tensor some_numbers(at::IntArrayRef sizes, const at::Device& device) {
  const at::Tensor places = at::arange(c10::multiply_integers(sizes), at::kDouble);
  return (places * places * 0.37 + places).sin().view(sizes).to(at::kFloat).to(device);
}

at::Tensor joined(const Heads& h) { return at::cat({h.q, 2 * h.k, 3 * h.v}); }

GroupNorm mish_norm(const Tensors& v) {
  return {.groups = 3, .scale = v[1], .shift = v[2], .f = AfterNorm::mish, .film = v[3]};
}

constexpr Activation activations[] = {Activation::relu, Activation::elu,  Activation::softplus20,
                                      Activation::silu, Activation::gelu, Activation::tanh};

// Of a [n, width], bias [width], tangents [n, k, width] and weight [k, width], for each activation:
// its value and slope at a + bias, the slope times the tangents, and the trace with the weight.
at::Tensor tangents(const Tensors& v) {
  Tensors parts;
  for (const Activation kind : activations) {
    const at::Tensor y = v[0].clone(), slope = at::empty_like(y), scaled = at::empty_like(v[2]);
    const at::Tensor trace = at::empty({y.size(0)}, y.options());
    activate(y, v[1], slope, kind);
    scale_tangents(slope, v[2], scaled);
    contract_tangents(slope, v[2], v[3], trace);
    parts.insert(parts.end(), {y.flatten(), slope.flatten(), scaled.flatten(), trace});
  }
  return at::cat(parts);
}
at::Tensor tangents_reference(const Tensors& v) {
  Tensors parts;
  for (const Activation kind : activations) {
    const at::Tensor a = v[0] + v[1];
    const at::Tensor slope = activation_slope_reference(a, kind);
    const at::Tensor scaled = slope.unsqueeze(1) * v[2];
    parts.insert(parts.end(), {activation_reference(a, kind).flatten(), slope.flatten(),
                               scaled.flatten(), (scaled * v[3]).sum(at::IntArrayRef{1, 2})});
  }
  return at::cat(parts);
}

std::vector<Operator> operators(const at::Device& device) {
  constexpr std::int64_t width = 36, heads = 3;
  const at::Tensor angles = some_numbers({5, 6}, device);
  const at::Tensor table = at::polar(at::ones_like(angles), angles);
  return {
      {"norm_modulate",
       {{4, 5, width}, {width}, {4, width}, {4, width}},
       [](const Tensors& v) { return norm_modulate(v[0], v[1], v[2], v[3], at::kFloat); },
       [](const Tensors& v) {
         return norm_modulate_reference(v[0], v[1], v[2], v[3], at::kFloat);
       }},
      {"add_gated",
       {{4, 5, width}, {4, width}, {4, 5, width}},
       [](const Tensors& v) { return add_gated(v[0], v[1], v[2]); },
       [](const Tensors& v) { return add_gated_reference(v[0], v[1], v[2]); }},
      {"swiglu",
       {{4, 5, 2 * width}},
       [](const Tensors& v) { return swiglu(v[0]); },
       [](const Tensors& v) { return swiglu_reference(v[0]); }},
      {"swiglu of an odd width",
       {{4, 5, 2 * (width + 1)}},
       [](const Tensors& v) { return swiglu(v[0]); },
       [](const Tensors& v) { return swiglu_reference(v[0]); }},
      {"turned_heads",
       {{4, 5, 3 * width}, {width / heads}, {width / heads}},
       [table](const Tensors& v) { return joined(turned_heads(v[0], heads, v[1], v[2], table)); },
       [table](const Tensors& v) {
         return joined(turned_heads_reference(v[0], heads, v[1], v[2], table));
       }},
      {"tangents",
       {{5, width}, {width}, {5, 3, width}, {3, width}},
       tangents,
       tangents_reference,
       false},
      {"group_norm",
       {{4, 5, width}, {1, width}, {4, width}, {4, 2 * width}},
       [](const Tensors& v) { return group_norm(v[0], mish_norm(v), at::kFloat); },
       [](const Tensors& v) { return group_norm_reference(v[0], mish_norm(v), at::kFloat); }},
  };
}

// The result and, where it has any, the inputs' gradients of sum(result * some numbers).
Tensors results(const std::function<at::Tensor(const Tensors&)>& f, const Operator& about,
                const at::Device& device) {
  Tensors inputs;
  for (const auto& sizes : about.inputs) {
    inputs.push_back(some_numbers(sizes, device).set_requires_grad(about.has_gradients));
  }
  const at::Tensor y = f(inputs);
  if (!about.has_gradients) return {y};
  (y * some_numbers(y.sizes(), device)).sum().backward();
  Tensors all{y.detach()};
  for (const at::Tensor& input : inputs) all.push_back(input.grad());
  return all;
}

thread_local bool asking = false;  // the kernels are asked themselves

}  // namespace

Disagreement largest_disagreement(const at::Device& device) {
  // Whoever asks may be within a pass without a graph; the operators are asked with one.
  const at::AutoGradMode with_gradients(true);
  const c10::impl::ForceDispatchKeyGuard usual(c10::default_included_set,
                                               c10::default_excluded_set);
  Disagreement largest{.name = "", .error = 0};
  asking = true;
  const auto asked = c10::make_scope_exit([] { asking = false; });
  for (const Operator& each : operators(device)) {
    const Tensors ours = results(each.fused, each, device);
    const Tensors theirs = results(each.reference, each, device);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const auto error = ((ours[i] - theirs[i]).norm() / theirs[i].norm()).item<double>();
      if (std::isnan(error)) return {.name = each.name, .error = error};
      if (error > largest.error) largest = {.name = each.name, .error = error};
    }
  }
  return largest;
}

bool trusted(const at::Device& device) {
  constexpr double most = 1e-4;
  static std::mutex mutex;
  static std::map<int, bool> answers;
  const std::scoped_lock lock(mutex);
  const auto known = answers.find(device.index());
  if (known != answers.end()) return known->second;
  const Disagreement found = largest_disagreement(device);
  const bool agrees = found.error <= most;
  if (!agrees) {
    std::fprintf(
        stderr,
        "the fused kernel of %s is off by %.1e on this GPU: going on without such kernels, "
        "slower\n",
        found.name, found.error);
  }
  return answers.emplace(device.index(), agrees).first->second;
}

namespace {
bool on_processor = false;
}  // namespace

TasksOnProcessor::TasksOnProcessor() { on_processor = true; }
TasksOnProcessor::~TasksOnProcessor() { on_processor = false; }

bool runs_tasks(const at::Tensor& x) { return !x.is_cpu() || on_processor; }

bool serves(const at::Tensor& x) {
  if (x.is_cpu()) return on_processor;
  return has_kernels && x.is_cuda() && (asking || trusted(x.device()));
}

}  // namespace calor::net::kernels::gpu
