#include "calor/net/replay.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <utility>

#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/gpu/recording.h"

namespace calor::net {
namespace {

namespace gpu = kernels::gpu;

// Guidance within an interval has two sizes of batch, the last batch others.
constexpr std::size_t most_known = 4;

std::array<const at::Tensor*, 5> parts(const NetworkInput& input) {
  return {&input.z, &input.t, &input.y, &input.condition, &input.pictures};
}
std::array<at::Tensor*, 5> parts(NetworkInput& input) {
  return {&input.z, &input.t, &input.y, &input.condition, &input.pictures};
}

// All that a recording depends on but the numbers.
struct Kind {
  std::vector<std::vector<std::int64_t>> sizes;
  std::vector<at::ScalarType> types;
  const void* weights = nullptr;
  const void* gradient = nullptr;  // none: nothing asks for it
  Precision precision = Precision::fp32;

  bool operator==(const Kind&) const = default;
};

Kind kind_of(const Network& network, const NetworkInput& input) {
  Kind kind{.sizes = {},
            .types = {},
            .weights = network.parameters().flat().data_ptr(),
            .precision = network.precision()};
  if (c10::GradMode::is_enabled()) {
    kind.gradient = network.parameters().flat_gradient().data_ptr();
  }
  for (const at::Tensor* part : parts(input)) {
    kind.sizes.push_back(part->defined() ? part->sizes().vec() : std::vector<std::int64_t>{-1});
    kind.types.push_back(part->defined() ? part->scalar_type() : at::ScalarType::Undefined);
  }
  return kind;
}

// Tensors of their own, with the same numbers, that may be written to in any mode.
NetworkInput copied(const NetworkInput& input) {
  const c10::InferenceMode usual(false);
  const c10::NoGradGuard no_grad;
  NetworkInput copy = input;
  for (at::Tensor* part : parts(copy)) {
    if (part->defined()) *part = part->clone(at::MemoryFormat::Contiguous);
  }
  return copy;
}

void copy_numbers(const NetworkInput& from, NetworkInput& to) {
  const c10::NoGradGuard no_grad;
  const auto source = parts(from);
  const auto target = parts(to);
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i]->defined()) target[i]->copy_(*source[i], true);
  }
}

std::atomic<int> forbidden{0};  // by how many WithoutRecordings

bool can_record(const Network& network, const NetworkInput& input, const ForwardContext& context) {
  const Parameters& weights = network.parameters();
  const bool here = gpu::runs_tasks(input.z) && (gpu::has_kernels || input.z.is_cpu());
  if (!here || forbidden > 0 || !weights.flat().defined()) return false;
  if (context.dropout || !context.taps.empty()) return false;
  if (!c10::GradMode::is_enabled()) return true;
  const bool of_inputs = std::ranges::any_of(parts(input), [](const at::Tensor* part) {
    return part->defined() && part->requires_grad();
  });
  return context.only_trains && !of_inputs && weights.flat_gradient().defined();
}

}  // namespace

struct Replay::Known : torch::CustomClassHolder {
  explicit Known(Kind kind_) : kind(std::move(kind_)) {}

  Kind kind;
  bool refused = false;   // cannot be recorded
  NetworkInput input;     // what the recording reads
  at::Tensor prediction;  // as autograd knows it
  at::Tensor output;      // the same numbers: what the recording writes
  at::Tensor gradient;    // of the output: what the recording of the backward pass reads
  std::unique_ptr<gpu::Recording> forward, backward;
  std::int64_t passes = 0;  // forward passes so far

  bool is_recorded() const { return forward != nullptr; }
  void record(Network& network);

 private:
  void refuse();
};

void Replay::Known::record(Network& network) {
  const at::Device device = input.z.device();
  forward = gpu::record(device, [this, &network] {
    prediction = network.forward(input);
    // Done again on a processor, it writes where it wrote before, as a GPU does.
    if (output.defined()) {
      output.copy_(prediction.detach());
    } else {
      output = prediction.detach().clone();
    }
  });
  if (forward == nullptr) return refuse();
  if (kind.gradient == nullptr) return;
  gradient = at::zeros_like(output);
  backward = gpu::record(device, [this, &network] {
    const c10::NoGradGuard no_grad;
    at::Tensor sum = network.parameters().flat_gradient();
    sum.add_(network.parameters().gradient_of(prediction, gradient));
  });
  if (backward == nullptr) return refuse();
  // A graph of autograd that stays would have gradients added on the stream that recorded it.
  if (device.is_cuda()) prediction = at::Tensor();
}

// Not tried again, and no memory kept for it.
void Replay::Known::refuse() {
  refused = true;
  backward.reset();
  forward.reset();
  input = {};
  prediction = output = gradient = at::Tensor();
}

namespace {

// A recorded forward pass whose backward pass is the other recording, which adds to the parameters'
// gradients by itself; `asks` is there for autograd to call it.
class RecordedPass final : public torch::autograd::Function<RecordedPass> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& /*asks*/,
                            const c10::intrusive_ptr<Replay::Known>& known) {
    {
      const at::AutoGradMode with_gradients(true);
      known->forward->replay();
    }
    context->saved_data["known"] = c10::IValue::make_capsule(known);
    context->saved_data["pass"] = ++known->passes;
    return known->output.clone();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto known =
        c10::static_intrusive_pointer_cast<Replay::Known>(context->saved_data["known"].toCapsule());
    if (context->saved_data["pass"].toInt() != known->passes) {
      throw std::logic_error("a recorded pass: backward() comes before the next forward pass");
    }
    known->gradient.copy_(gradients[0]);
    known->backward->replay();
    return {at::Tensor(), at::Tensor()};
  }
};

}  // namespace

WithoutRecordings::WithoutRecordings() { ++forbidden; }
WithoutRecordings::~WithoutRecordings() { --forbidden; }

Replay::Replay() = default;
Replay::~Replay() = default;

std::size_t Replay::recordings() const {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(known_, [](const auto& known) { return known->is_recorded(); }));
}

at::Tensor Replay::forward(Network& network, const NetworkInput& input, ForwardContext& context) {
  if (!can_record(network, input, context)) return network.forward(input, context);
  const std::scoped_lock lock(mutex_);
  const Kind kind = kind_of(network, input);
  const auto place =
      std::ranges::find_if(known_, [&](const auto& known) { return known->kind == kind; });
  if (place == known_.end()) {
    // The first pass makes what lasts: tables of the network, workspaces of libraries.
    if (known_.size() == most_known) known_.erase(known_.begin());
    known_.push_back(c10::make_intrusive<Known>(kind));
    return network.forward(input, context);
  }
  std::rotate(place, place + 1, known_.end());
  const c10::intrusive_ptr<Known> known = known_.back();
  const c10::DeviceGuard guard(input.z.device());
  if (!known->is_recorded() && !known->refused) {
    known->input = copied(input);
    known->record(network);
  }
  if (known->refused) return network.forward(input, context);
  copy_numbers(input, known->input);
  if (kind.gradient == nullptr) {
    known->forward->replay();
    return known->output.clone();
  }
  const at::Tensor asks = at::empty({0}, input.z.options()).set_requires_grad(true);
  return RecordedPass::apply(asks, known);
}

}  // namespace calor::net
