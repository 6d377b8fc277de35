#include "calor/net/kernels/mlp_piece.h"

#include <ATen/ATen.h>

#include "calor/net/kernels/film.h"

namespace calor::net::kernels {
namespace {

at::Tensor item(const std::vector<at::Tensor>& tensors, std::int64_t i) {
  return tensors[static_cast<std::size_t>(i)];
}

// A layer's rows of `kept`; undefined where it is.
at::Tensor part(const at::Tensor& all, std::int64_t layer, const RowRange& range) {
  return all.defined() ? range.of(all[layer]) : all;
}

// A layer's columns of what film makes for some rows, [rows, 2 width], or its part of film's bias.
at::Tensor film_part(const at::Tensor& all, std::int64_t layer, std::int64_t width) {
  return all.narrow(-1, 2 * layer * width, 2 * width);
}

// target [out, in] += g^T h, with g [rows, out] and h [rows, in].
void add_product(const MlpSums& sums, at::Tensor target, const at::Tensor& g, const at::Tensor& h) {
  if (!sums.wanted) return;
  if (sums.overwrite) {
    at::mm_out(target, g.t(), h);
  } else {
    at::addmm_out(target, target, g.t(), h);
  }
}

// The rows' gradient of x, where it is wanted, from that of x W^T.
void send_back(const at::Tensor& x_gradient, const RowRange& range, const at::Tensor& g,
               const at::Tensor& weight) {
  if (!x_gradient.defined()) return;
  at::Tensor piece = range.of(x_gradient);
  at::mm_out(piece, g, weight);
}

}  // namespace

void forward_piece(const MlpBatch& batch, const RowRange& range, const at::Tensor& out) {
  const MlpLayers& layers = *batch.layers;
  const std::int64_t width = layers.width();
  at::Tensor films = layers.filmed() > 0 ? range.of(batch.kept.films) : at::Tensor();
  if (films.defined()) at::mm_out(films, range.of(batch.embedding), layers.film_weight.t());
  at::Tensor h = range.of(batch.rows);
  for (std::int64_t i = 0; i < layers.hidden(); ++i) {
    at::Tensor values = part(batch.kept.values, i, range);
    if (layers.skips(i)) {
      const at::Tensor below = film_part(films, i - 2, width).narrow(1, width, width);
      at::addmm_out(values, below, h, item(layers.weights, i).t());
    } else {
      at::mm_out(values, h, item(layers.weights, i).t());
    }
    at::Tensor bias = item(layers.biases, i);
    if (i < layers.filmed()) {
      film_forward(values, bias, film_part(films, i, width), film_part(layers.film_bias, i, width));
      bias = at::Tensor();
    }
    activate(values, bias, part(batch.kept.slopes, i, range), layers.activation);
    h = values;
  }
  at::Tensor piece = range.of(out);
  at::addmm_out(piece, layers.biases.back(), h, layers.weights.back().t());
}

void backward_piece(const MlpBatch& batch, const MlpRowGradients& gradients, const RowRange& range,
                    MlpSums& sums) {
  const MlpLayers& layers = *batch.layers;
  const MlpTensors& to = sums.tensors;
  const std::int64_t width = layers.width();
  // Three layers' gradients are alive at once.
  const at::Tensor scratch = at::empty({3, range.count, width}, batch.rows.options());
  const at::Tensor films =
      at::empty({range.count, 2 * layers.filmed() * width}, batch.rows.options());
  at::Tensor g = range.of(gradients.out);  // of a_i
  at::Tensor above;                        // of a_(i+1)
  add_column_sums(g, to.biases.back());
  for (std::int64_t i = layers.hidden(); i > 0; --i) {
    const std::int64_t below = i - 1;
    const bool filmed = below < layers.filmed();
    const at::Tensor film_sums = filmed ? film_part(to.film_bias, below, width) : at::Tensor();
    const at::Tensor h = part(batch.kept.values, below, range);
    add_product(sums, item(to.weights, i), g, h);
    at::Tensor next = scratch[i % 3];
    at::mm_out(next, g, item(layers.weights, i));
    // What FiLM puts out has its shift's gradient.
    multiply_by_slope(next, h, part(batch.kept.slopes, below, range),
                      filmed ? film_sums.narrow(0, width, width) : item(to.biases, below),
                      layers.activation);
    if (filmed) {
      film_backward({.gradient = next,
                     .film = film_part(range.of(batch.kept.films), below, width),
                     .skip = layers.skips(i + 1) ? above : at::Tensor(),
                     .film_gradient = film_part(films, below, width),
                     .a_sums = item(to.biases, below),
                     .scale_sums = film_sums.narrow(0, 0, width)});
    }
    above = g;
    g = next;
  }
  add_product(sums, to.weights.front(), g, range.of(batch.rows));
  send_back(gradients.rows, range, g, layers.weights.front());
  if (layers.filmed() > 0) {
    add_product(sums, to.film_weight, films, range.of(batch.embedding));
    send_back(gradients.embedding, range, films, layers.film_weight);
  }
  sums.overwrite = false;
}

}  // namespace calor::net::kernels
