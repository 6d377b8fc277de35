#include "calor/net/kernels/mlp_pass.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>

#include "calor/core/error.h"
#include "calor/core/one_thread.h"
#include "calor/net/kernels/gradient_sums.h"

namespace calor::net::kernels {
namespace {

// A piece's activations at the published widths are 256 to 512 KB: half of a core's second-level
// cache. Products of 128 rows or more run at full speed; with FiLM 128 rows measured 1 to 7 %
// slower, 64 rows 17 to 30 %.
constexpr std::int64_t piece_rows = 256;

// Each part has its own gradient buffer, so there are few where rows are few: at most 16, and no
// part of less than 200 rows unless it is the only one.
std::int64_t parts_for(std::int64_t rows) {
  const auto wanted = static_cast<std::uint64_t>(std::clamp<std::int64_t>(rows / 200, 1, 16));
  return static_cast<std::int64_t>(std::bit_floor(wanted));
}

// What a backward pass needs beside the saved tensors.
struct MlpCall final : torch::CustomClassHolder {
  MlpLayers layers;
  std::shared_ptr<MlpWorkspaces> workspaces;
};

// One order of the tensors wherever they are a list: weights, biases, FiLM's.
std::vector<at::Tensor> list_of(const MlpTensors& tensors) {
  std::vector<at::Tensor> list = tensors.weights;
  list.insert(list.end(), tensors.biases.begin(), tensors.biases.end());
  if (tensors.film_weight.defined()) {
    list.insert(list.end(), {tensors.film_weight, tensors.film_bias});
  }
  return list;
}

MlpTensors tensors_of(const std::vector<at::Tensor>& list, const MlpLayers& layers) {
  MlpTensors out;
  const auto count = static_cast<std::ptrdiff_t>(layers.weights.size());
  out.weights.assign(list.begin(), list.begin() + count);
  out.biases.assign(list.begin() + count, list.begin() + 2 * count);
  if (layers.film_weight.defined()) {
    out.film_weight = list[list.size() - 2];
    out.film_bias = list.back();
  }
  return out;
}

MlpKept make_kept(const at::Tensor& rows, const MlpCall& call) {
  const MlpLayers& layers = call.layers;
  const std::int64_t hidden = layers.hidden();
  if (hidden == 0) return {};
  const bool with_slopes = !slope_follows_from_value(layers.activation);
  const std::int64_t matrices = (with_slopes ? 2 : 1) * hidden + 2 * layers.filmed();
  const std::int64_t n = rows.size(0);
  const at::Tensor all =
      call.workspaces->activations.take(matrices * n * layers.width(), rows.scalar_type())
          .view({matrices, n, layers.width()});
  MlpKept kept{.values = all.narrow(0, 0, hidden), .slopes = {}, .films = {}};
  if (with_slopes) kept.slopes = all.narrow(0, hidden, hidden);
  if (layers.filmed() > 0) {
    kept.films = all.narrow(0, matrices - 2 * layers.filmed(), 2 * layers.filmed())
                     .view({n, 2 * layers.filmed() * layers.width()});
  }
  return kept;
}

// Sums that begin at nothing, in `flat`; the weights' are written before they are read.
MlpSums fresh_sums(const MlpLayers& layers, const at::Tensor& flat) {
  const std::vector<at::Tensor> list = carve(list_of(layers), flat);
  for (const auto& tensor : list) {
    if (tensor.dim() == 1) tensor.zero_();
  }
  return {.tensors = tensors_of(list, layers), .wanted = true, .overwrite = true};
}

// Where nobody asks for the parameters' gradients: the kernels' sums of columns go to tensors of
// this call, the weights' stay empty.
MlpSums unwanted_sums(const MlpLayers& layers) {
  MlpSums sums{.tensors = {}, .wanted = false, .overwrite = false};
  for (const auto& bias : layers.biases) sums.tensors.biases.push_back(at::zeros_like(bias));
  sums.tensors.weights.resize(layers.weights.size());
  if (layers.film_bias.defined()) sums.tensors.film_bias = at::zeros_like(layers.film_bias);
  return sums;
}

// Where the parameters' gradients go: where they belong, as backward() has it, or back to autograd.
struct Target {
  MlpSums sums;
  bool returned = false;
};

Target make_target(const MlpLayers& layers, bool wanted, const at::TensorOptions& options) {
  if (!wanted) return {.sums = unwanted_sums(layers), .returned = false};
  std::vector<at::Tensor> list = list_of(layers);
  if (!adds_in_place(list)) {
    return {.sums = fresh_sums(layers, at::empty({numbers_in(list)}, options)), .returned = true};
  }
  for (auto& tensor : list) tensor = tensor.grad();
  return {.sums = {.tensors = tensors_of(list, layers), .wanted = true, .overwrite = false},
          .returned = false};
}

// body(part, range) for each piece of each part, a part's pieces in turn on one thread.
template <class Body>
void for_parts(std::int64_t n, const Body& body) {
  const std::int64_t parts = parts_for(n);
  at::parallel_for(0, parts, 1, [&](std::int64_t first, std::int64_t last) {
    compute_alone();
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    for (std::int64_t p = first; p < last; ++p) {
      const std::int64_t end = n * (p + 1) / parts;
      for (std::int64_t row = n * p / parts; row < end; row += piece_rows) {
        body(static_cast<std::size_t>(p), RowRange{row, std::min(piece_rows, end - row)});
      }
    }
  });
}

// Runs the parts of a backward pass; the parameters' gradients are added to `target`.
void run_parts(const MlpBatch& batch, const MlpRowGradients& gradients, const MlpSums& target,
               Workspace& workspace) {
  const std::int64_t n = batch.rows.size(0);
  const std::int64_t parts = parts_for(n);
  const std::int64_t each = target.wanted ? numbers_in(list_of(*batch.layers)) : 0;
  const at::Tensor buffer = workspace.take((parts - 1) * each, batch.rows.scalar_type());
  std::vector<MlpSums> sums{target};
  for (std::int64_t p = 1; p < parts; ++p) {
    sums.push_back(target.wanted ? fresh_sums(*batch.layers, buffer.narrow(0, (p - 1) * each, each))
                                 : unwanted_sums(*batch.layers));
  }
  for_parts(n, [&](std::size_t p, const RowRange& range) {
    backward_piece(batch, gradients, range, sums[p]);
  });
  if (!target.wanted) return;
  std::vector<std::vector<at::Tensor>> others;
  for (std::size_t p = 1; p < sums.size(); ++p) others.push_back(list_of(sums[p].tensors));
  add_in_order(list_of(target.tensors), others);
}

class MlpPass final : public torch::autograd::Function<MlpPass> {
 public:
  // `inputs`: the parameters and, where there is FiLM, the embedding.
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            at::TensorList inputs, const c10::intrusive_ptr<MlpCall>& call) {
    MlpBatch batch{
        .layers = &call->layers, .rows = input.contiguous(), .embedding = {}, .kept = {}};
    if (call->layers.film_weight.defined()) batch.embedding = inputs.back().contiguous();
    batch.kept = make_kept(batch.rows, *call);
    const std::int64_t n = batch.rows.size(0);
    const at::Tensor out = at::empty({n, call->layers.weights.back().size(0)}, input.options());
    for_parts(n, [&](std::size_t, const RowRange& range) { forward_piece(batch, range, out); });
    const MlpKept& kept = batch.kept;
    std::vector<at::Tensor> saved{batch.rows, batch.embedding, kept.values, kept.slopes,
                                  kept.films};
    // The parameters are saved only so that a change before the backward pass is noticed.
    saved.insert(saved.end(), inputs.begin(), inputs.end());
    context->save_for_backward(saved);
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list out_gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error("a first derivative of the network in training", "a derivative of its derivative",
                  "use forward_with_tangents, without a graph");
    }
    const auto saved = context->get_saved_variables();
    const auto capsule = context->saved_data["call"].toCapsule();
    auto& call = static_cast<MlpCall&>(*capsule);
    const MlpBatch batch{.layers = &call.layers,
                         .rows = saved[0],
                         .embedding = saved[1],
                         .kept = {.values = saved[2], .slopes = saved[3], .films = saved[4]}};
    const std::size_t count = list_of(call.layers).size();
    MlpRowGradients gradients{.out = out_gradients[0].contiguous(), .rows = {}, .embedding = {}};
    if (context->needs_input_grad(0)) gradients.rows = at::empty_like(batch.rows);
    if (batch.embedding.defined() && context->needs_input_grad(1 + count)) {
      gradients.embedding = at::empty_like(batch.embedding);
    }
    bool wanted = false;
    for (std::size_t i = 1; i <= count; ++i) wanted = wanted || context->needs_input_grad(i);
    const Target target = make_target(call.layers, wanted, batch.rows.options());
    run_parts(batch, gradients, target.sums, call.workspaces->gradients);

    torch::autograd::variable_list out(count);
    if (target.returned) out = list_of(target.sums.tensors);
    out.insert(out.begin(), gradients.rows);
    if (batch.embedding.defined()) out.push_back(gradients.embedding);
    out.emplace_back();  // the call
    return out;
  }
};

}  // namespace

at::Tensor Workspace::take(std::int64_t count, at::ScalarType type) {
  const bool fits = buffer_.defined() && buffer_.scalar_type() == type && buffer_.numel() >= count;
  // A narrowed tensor holds the storage, so a count of 1 says that only this object does.
  if (!fits || buffer_.storage().use_count() > 1) buffer_ = at::empty({count}, type);
  return buffer_.narrow(0, 0, count);
}

at::Tensor mlp_pass(const at::Tensor& rows, const at::Tensor& embedding, const MlpLayers& layers,
                    const std::shared_ptr<MlpWorkspaces>& workspaces) {
  auto call = c10::make_intrusive<MlpCall>();
  call->layers = layers;
  call->workspaces = workspaces;
  std::vector<at::Tensor> inputs = list_of(layers);
  if (layers.film_weight.defined()) inputs.push_back(embedding);
  return MlpPass::apply(rows, at::TensorList(inputs), call);
}

}  // namespace calor::net::kernels
