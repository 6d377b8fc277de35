#include "calor/net/kernels/mlp_pass.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <bit>

#include "calor/core/error.h"
#include "calor/net/kernels/row_pieces.h"

namespace calor::net::kernels {
namespace {

// A piece's activations at the published widths are 256 to 512 KB: half of a core's second-level
// cache. Products of 128 rows or more run at full speed.
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

std::int64_t hidden_count(const MlpLayers& layers) {
  return static_cast<std::int64_t>(layers.weights.size()) - 1;
}

at::Tensor weight_of(const MlpLayers& layers, std::int64_t i) {
  return layers.weights[static_cast<std::size_t>(i)];
}

// Hidden activations and, where they do not follow from them, slopes: [layers, N, width] each.
struct Kept {
  at::Tensor values, slopes;

  at::Tensor value(std::int64_t layer, std::int64_t begin, std::int64_t count) const {
    return values[layer].narrow(0, begin, count);
  }
  at::Tensor slope(std::int64_t layer, std::int64_t begin, std::int64_t count) const {
    return slopes.defined() ? slopes[layer].narrow(0, begin, count) : slopes;
  }
};

Kept make_kept(const at::Tensor& rows, const MlpCall& call) {
  const std::int64_t n = rows.size(0);
  const std::int64_t width = weight_of(call.layers, 0).size(0);
  const std::int64_t hidden = hidden_count(call.layers);
  const bool with_slopes = !slope_follows_from_value(call.layers.activation);
  const at::Tensor all = call.workspaces->activations
                             .take((with_slopes ? 2 : 1) * hidden * n * width, rows.scalar_type())
                             .view({-1, n, width});
  Kept kept{.values = all.narrow(0, 0, hidden), .slopes = {}};
  if (with_slopes) kept.slopes = all.narrow(0, hidden, hidden);
  return kept;
}

void forward_piece(const at::Tensor& rows, const MlpLayers& layers, const Kept& kept,
                   const at::Tensor& out, std::int64_t begin, std::int64_t count) {
  at::Tensor h = rows.narrow(0, begin, count);
  const std::int64_t hidden = hidden_count(layers);
  for (std::int64_t i = 0; i < hidden; ++i) {
    at::Tensor next = kept.value(i, begin, count);
    at::mm_out(next, h, weight_of(layers, i).t());
    activate(next, layers.biases[static_cast<std::size_t>(i)], kept.slope(i, begin, count),
             layers.activation);
    h = next;
  }
  at::Tensor piece = out.narrow(0, begin, count);
  at::addmm_out(piece, layers.biases.back(), h, layers.weights.back().t());
}

// The gradients of one part of the rows; `fresh`: what they hold before is to be overwritten.
struct PartGradients {
  std::vector<at::Tensor> weights, biases;
  bool fresh = true;

  void add_product(std::size_t i, const at::Tensor& g, const at::Tensor& h, bool first) {
    if (fresh && first) {
      at::mm_out(weights[i], g.t(), h);
    } else {
      at::addmm_out(weights[i], weights[i], g.t(), h);
    }
  }
};

struct BackwardTask {
  at::Tensor rows, gradient, rows_gradient;  // the last undefined where it is not wanted
  const MlpLayers* layers;
  Kept kept;
};

void backward_piece(const BackwardTask& task, PartGradients& sums, std::int64_t begin,
                    std::int64_t count, bool first) {
  const MlpLayers& layers = *task.layers;
  at::Tensor g = task.gradient.narrow(0, begin, count);
  if (!sums.biases.empty()) add_column_sums(g, sums.biases.back());
  at::Tensor unused_sums;
  if (sums.biases.empty()) unused_sums = at::zeros({weight_of(layers, 0).size(0)}, g.options());
  for (std::int64_t i = hidden_count(layers); i >= 0; --i) {
    const at::Tensor h =
        i == 0 ? task.rows.narrow(0, begin, count) : task.kept.value(i - 1, begin, count);
    if (!sums.weights.empty()) sums.add_product(static_cast<std::size_t>(i), g, h, first);
    if (i == 0 && task.rows_gradient.defined()) {
      at::Tensor piece = task.rows_gradient.narrow(0, begin, count);
      at::mm_out(piece, g, weight_of(layers, 0));
    }
    if (i == 0) return;
    g = at::mm(g, weight_of(layers, i));
    multiply_by_slope(
        g, h, task.kept.slope(i - 1, begin, count),
        sums.biases.empty() ? unused_sums : sums.biases[static_cast<std::size_t>(i - 1)],
        layers.activation);
  }
}

std::int64_t numbers_in(const MlpLayers& layers) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < layers.weights.size(); ++i) {
    count += layers.weights[i].numel() + layers.biases[i].numel();
  }
  return count;
}

// Tensors like the parameters, one after another in `flat`; the biases' set to zero.
PartGradients carve(const MlpLayers& layers, const at::Tensor& flat) {
  PartGradients out;
  std::int64_t offset = 0;
  const auto next = [&](const at::Tensor& like) {
    const at::Tensor view = flat.narrow(0, offset, like.numel()).view(like.sizes());
    offset += like.numel();
    return view;
  };
  for (std::size_t i = 0; i < layers.weights.size(); ++i) {
    out.weights.push_back(next(layers.weights[i]));
    out.biases.push_back(next(layers.biases[i]).zero_());
  }
  return out;
}

// Whether gradients may be added where they belong: they are allocated, and this is backward(),
// not grad(), which must leave them alone.
bool adds_in_place(const MlpLayers& layers) {
  const auto* info = torch::autograd::get_current_graph_task_exec_info();
  if (info != nullptr && !info->empty()) return false;
  const auto ready = [](const at::Tensor& x) {
    return x.grad().defined() && x.grad().is_contiguous();
  };
  return std::all_of(layers.weights.begin(), layers.weights.end(), ready) &&
         std::all_of(layers.biases.begin(), layers.biases.end(), ready);
}

// target += the parts' sums, in order.
void add_parts(const PartGradients& target, const std::vector<PartGradients>& parts) {
  const auto count = static_cast<std::int64_t>(target.weights.size());
  at::parallel_for(0, 2 * count, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    for (std::int64_t j = begin; j < end; ++j) {
      const auto i = static_cast<std::size_t>(j / 2);
      const at::Tensor& sum = j % 2 == 0 ? target.weights[i] : target.biases[i];
      for (const auto& part : parts) sum.add_(j % 2 == 0 ? part.weights[i] : part.biases[i]);
    }
  });
}

// Runs the parts of a backward pass; the parameters' gradients are added to `target`, unless it has
// none.
void run_parts(const BackwardTask& task, PartGradients& target, Workspace& workspace) {
  const std::int64_t n = task.rows.size(0);
  const std::int64_t parts = parts_for(n);
  std::vector<PartGradients> others(static_cast<std::size_t>(parts - 1));
  if (!target.weights.empty() && parts > 1) {
    const std::int64_t each = numbers_in(*task.layers);
    const at::Tensor buffer = workspace.take((parts - 1) * each, task.rows.scalar_type());
    for (std::int64_t p = 1; p < parts; ++p) {
      others[static_cast<std::size_t>(p - 1)] =
          carve(*task.layers, buffer.narrow(0, (p - 1) * each, each));
    }
  }
  at::parallel_for(0, parts, 1, [&](std::int64_t first, std::int64_t last) {
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    for (std::int64_t p = first; p < last; ++p) {
      PartGradients& sums = p == 0 ? target : others[static_cast<std::size_t>(p - 1)];
      const std::int64_t begin = n * p / parts;
      const std::int64_t end = n * (p + 1) / parts;
      for (std::int64_t row = begin; row < end; row += piece_rows) {
        backward_piece(task, sums, row, std::min(piece_rows, end - row), row == begin);
      }
    }
  });
  if (!target.weights.empty()) add_parts(target, others);
}

class MlpPass final : public torch::autograd::Function<MlpPass> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            at::TensorList parameters, const c10::intrusive_ptr<MlpCall>& call) {
    const at::Tensor rows = input.contiguous();
    const std::int64_t n = rows.size(0);
    const Kept kept = make_kept(rows, *call);
    const at::Tensor out = at::empty({n, call->layers.weights.back().size(0)}, rows.options());
    for_row_pieces(n, piece_rows, [&](std::int64_t begin, std::int64_t count) {
      forward_piece(rows, call->layers, kept, out, begin, count);
    });
    std::vector<at::Tensor> saved{rows, kept.values, kept.slopes};
    // The parameters are saved only so that a change before the backward pass is noticed.
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    context->save_for_backward(saved);
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error("a first derivative of the network in training", "a derivative of its derivative",
                  "use forward_with_tangents, without a graph");
    }
    const auto saved = context->get_saved_variables();
    const auto capsule = context->saved_data["call"].toCapsule();
    auto& call = static_cast<MlpCall&>(*capsule);
    const std::size_t layers = call.layers.weights.size();
    BackwardTask task{.rows = saved[0],
                      .gradient = gradients[0].contiguous(),
                      .rows_gradient = {},
                      .layers = &call.layers,
                      .kept = {.values = saved[1], .slopes = saved[2]}};
    if (context->needs_input_grad(0)) task.rows_gradient = at::empty_like(saved[0]);
    bool wanted = false;
    for (std::size_t i = 1; i <= 2 * layers; ++i) wanted = wanted || context->needs_input_grad(i);
    const bool in_place = wanted && adds_in_place(call.layers);
    PartGradients target;
    if (in_place) {
      target.fresh = false;
      for (const auto& weight : call.layers.weights) target.weights.push_back(weight.grad());
      for (const auto& bias : call.layers.biases) target.biases.push_back(bias.grad());
    } else if (wanted) {
      target = carve(call.layers, at::empty({numbers_in(call.layers)}, saved[0].options()));
    }
    run_parts(task, target, call.workspaces->gradients);

    torch::autograd::variable_list out(2 * layers + 2);
    out[0] = task.rows_gradient;
    for (std::size_t i = 0; wanted && !in_place && i < layers; ++i) {
      out[1 + i] = target.weights[i];
      out[1 + layers + i] = target.biases[i];
    }
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

at::Tensor mlp_pass(const at::Tensor& rows, const MlpLayers& layers,
                    const std::shared_ptr<MlpWorkspaces>& workspaces) {
  auto call = c10::make_intrusive<MlpCall>();
  call->layers = layers;
  call->workspaces = workspaces;
  std::vector<at::Tensor> parameters = layers.weights;
  parameters.insert(parameters.end(), layers.biases.begin(), layers.biases.end());
  return MlpPass::apply(rows, at::TensorList(parameters), call);
}

}  // namespace calor::net::kernels
