#include "calor/net/mlp.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "calor/core/error.h"
#include "calor/net/kernels/mlp_pass.h"
#include "calor/net/kernels/row_pieces.h"
#include "calor/net/layers.h"

namespace calor::net {
namespace {

// Rows of a matrix product that keep it at full speed while input and output stay in a core's
// second-level cache.
constexpr std::int64_t value_rows = 256;
constexpr std::int64_t tangent_rows = 512;

// PyTorch's initialisation of a Linear, as the published networks have it.
Linear uniform_linear(Parameters& parameters, const std::string& name, std::int64_t in,
                      std::int64_t out) {
  const Initialiser law = init_uniform(1 / std::sqrt(static_cast<double>(in)));
  Linear layer;
  layer.weight = parameters.add(name + ".weight", {out, in}, law);
  layer.bias = parameters.add(name + ".bias", {out}, law);
  return layer;
}

Linear zero_linear(Parameters& parameters, const std::string& name, std::int64_t in,
                   std::int64_t out) {
  return {parameters, name, in, out, init_zeros};
}

// x W^T + b in the type of the weights, or with operands rounded to bf16; x [rows, in].
at::Tensor product(const at::Tensor& x, const Linear& layer, Precision precision) {
  if (precision == Precision::bf16) {
    const auto round = [](const at::Tensor& a) { return a.defined() ? a.to(at::kBFloat16) : a; };
    return at::linear(round(x), round(layer.weight), round(layer.bias))
        .to(layer.weight.scalar_type());
  }
  return at::linear(x, layer.weight, layer.bias);
}

// [sin | cos] of t times pi 2^(k/2), [N, 2 count].
at::Tensor fourier(const at::Tensor& t, std::int64_t count) {
  const at::Tensor k = at::arange(count, t.options());
  const at::Tensor angle = t.unsqueeze(1) * at::exp2(k / 2) * std::numbers::pi;
  return at::cat({angle.sin(), angle.cos()}, 1);
}

// What passes through the layers: values [n, width] and, where they are wanted, k tangents a row
// [n, k, width] (or [k, width] as long as they are the same for every row).
struct Carried {
  at::Tensor values, tangents;
};

// Scale (less 1) and shift of every hidden layer, [n, layers, 2, width]; undefined: none.
struct Film {
  at::Tensor all;

  at::Tensor scale(std::int64_t layer) const { return all.select(1, layer).select(1, 0); }
  at::Tensor shift(std::int64_t layer) const { return all.select(1, layer).select(1, 1); }
};

// body(begin, count) for pieces of the rows with k tangents each (0: none), without autograd. A GPU
// takes them all at once, on this thread's stream.
template <class Body>
void for_pieces(const at::Tensor& rows, std::int64_t k, const Body& body) {
  if (!rows.is_cpu()) {
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    if (rows.size(0) > 0) body(std::int64_t{0}, rows.size(0));
    return;
  }
  const std::int64_t largest =
      k == 0 ? value_rows : std::clamp<std::int64_t>(tangent_rows / k, 4, value_rows);
  kernels::for_row_pieces(rows.size(0), largest, body);
}

class Mlp final : public Network {
 public:
  Mlp(const MlpOptions& options, const PictureShape& shape, std::int64_t condition_width);
  at::Tensor forward(const NetworkInput& input, ForwardContext& context) override;

  bool has_tangents() const override { return true; }
  Tangents forward_with_tangents(const NetworkInput& input, const at::Tensor& directions) override;
  Divergence forward_with_divergence(const NetworkInput& input) override;

 private:
  // How a pass runs beyond its input.
  struct Pass {
    bool graph = false;    // autograd follows
    bool dropout = false;  // with the device's generator
  };

  void declare_embedding();
  NetworkInput checked(const NetworkInput& input) const;
  NetworkInput narrowed(const NetworkInput& input, std::int64_t begin, std::int64_t count) const;
  at::Tensor time_features(const at::Tensor& t) const;
  // pi/4 2^(k/2), [F].
  at::Tensor position_frequencies(const at::Tensor& like) const;
  at::Tensor input_rows(const NetworkInput& input) const;
  // What FiLM's product takes, [N, e]. `fused`: its own products are cut into pieces as well, so
  // that their gradients do not depend on the number of threads either.
  at::Tensor embedding(const NetworkInput& input, bool fused) const;
  Film film(const NetworkInput& input) const;
  bool has_film() const { return options_.residual || classes_ > 0 || condition_width_ > 0; }
  bool can_fuse(const at::Tensor& rows) const;

  const Linear& first() const { return linears_.front(); }
  // Whether the first layer is linear in the row.
  bool linear_in_row() const { return options_.position_features == 0; }
  std::int64_t row_width() const { return dimensions_ * (1 + 2 * options_.position_features); }
  // directions [k, d] or [n, k, d] after the first layer, the time being held; at rows z [n, d]
  // where that layer is not linear in the row.
  at::Tensor seed(const at::Tensor& directions, const at::Tensor& z) const;
  Carried through(const Carried& in, const Linear& layer) const;
  // `keep`: the input's memory is still needed.
  Carried activate(const Carried& in, const Film& film, std::int64_t layer, bool keep,
                   const Pass& pass) const;
  at::Tensor film_applied(const at::Tensor& a, const Film& film, std::int64_t layer) const;
  // Up to the argument of the last activation.
  Carried body(const NetworkInput& input, const at::Tensor& seeds, const Pass& pass) const;
  Carried block(const Carried& h, const Film& film, std::int64_t index, const Pass& pass) const;
  at::Tensor evaluate(const NetworkInput& input) const;
  // The same with a graph, by the pass made by hand.
  at::Tensor fused(const NetworkInput& input) const;

  MlpOptions options_;
  std::int64_t dimensions_, classes_, condition_width_, time_width_;
  // Plain: layers + 1. Residual: input, two to a block, output.
  std::vector<Linear> linears_;
  at::Tensor label_table_;
  Linear condition_, time_, film_;
  std::shared_ptr<kernels::MlpWorkspaces> workspaces_;
};

Mlp::Mlp(const MlpOptions& options, const PictureShape& shape, std::int64_t condition_width)
    : options_(options),
      dimensions_(shape.channels * shape.height * shape.width),
      classes_(shape.classes),
      condition_width_(condition_width),
      time_width_(options.time == TimeInput::appended ? 1 : 2 * options.fourier_features),
      workspaces_(std::make_shared<kernels::MlpWorkspaces>()) {
  const std::int64_t in = time_width_ + row_width();
  const std::int64_t width = options.width;
  if (!options.residual) {
    for (std::int64_t i = 0; i <= options.layers; ++i) {
      linears_.push_back(uniform_linear(parameters_, fmt::format("net.layers.{}", i),
                                        i == 0 ? in : width,
                                        i == options.layers ? dimensions_ : width));
    }
  } else {
    linears_.push_back(uniform_linear(parameters_, "net.input", in, width));
    for (std::int64_t i = 0; i < options.layers / 2; ++i) {
      linears_.push_back(
          uniform_linear(parameters_, fmt::format("net.blocks.{}.0", i), width, width));
      linears_.push_back(zero_linear(parameters_, fmt::format("net.blocks.{}.1", i), width, width));
    }
    linears_.push_back(zero_linear(parameters_, "net.output", width, dimensions_));
  }
  if (has_film()) declare_embedding();
}

void Mlp::declare_embedding() {
  const std::int64_t e = options_.embedding;
  if (classes_ > 0) {
    label_table_ = parameters_.add("net.label.weight", {classes_ + 1, e}, init_normal(1));
  }
  if (condition_width_ > 0) {
    condition_ = uniform_linear(parameters_, "net.condition", condition_width_, e);
  }
  if (options_.residual) {
    time_ = uniform_linear(parameters_, "net.time", 2 * options_.fourier_features, e);
  }
  film_ = zero_linear(parameters_, "net.film", e, options_.layers * 2 * options_.width);
}

// The input in the parameters' type, rows flattened: z [N, d].
NetworkInput Mlp::checked(const NetworkInput& input) const {
  const std::int64_t n = input.z.size(0);
  const at::ScalarType type = first().weight.scalar_type();
  NetworkInput out{
      .z = input.z.to(type).reshape({n, -1}), .t = input.t.to(type), .y = input.y, .condition = {}};
  if (out.z.size(1) != dimensions_) {
    throw Error(fmt::format("rows of {} numbers", dimensions_),
                fmt::format("rows of {}", out.z.size(1)),
                "give the data that the network was made for");
  }
  if (classes_ > 0 && !input.y.defined()) {
    throw Error("a label for each row", "no labels", "give y; the number of classes means none");
  }
  if (condition_width_ == 0) return out;
  if (!input.condition.defined() || input.condition.dim() != 2 || input.condition.size(0) != n ||
      input.condition.size(1) != condition_width_) {
    throw Error(fmt::format("a condition of {} numbers for each row", condition_width_),
                input.condition.defined() ? "another shape" : "no condition",
                "give the condition that the network was made for");
  }
  out.condition = input.condition.to(type);
  return out;
}

NetworkInput Mlp::narrowed(const NetworkInput& input, std::int64_t begin,
                           std::int64_t count) const {
  const auto cut = [&](const at::Tensor& x) { return x.narrow(0, begin, count); };
  return {.z = cut(input.z),
          .t = cut(input.t),
          .y = classes_ > 0 ? cut(input.y) : at::Tensor(),
          .condition = condition_width_ > 0 ? cut(input.condition) : at::Tensor()};
}

at::Tensor Mlp::time_features(const at::Tensor& t) const {
  return options_.time == TimeInput::appended ? t.unsqueeze(1)
                                              : fourier(t, options_.fourier_features);
}

// Time in front. d + 1 numbers a row against `width` for each layer: the copy does not count, and
// one product then serves time and row.
at::Tensor Mlp::input_rows(const NetworkInput& input) const {
  if (linear_in_row()) return at::cat({time_features(input.t), input.z}, 1);
  const at::Tensor angle = (input.z.unsqueeze(2) * position_frequencies(input.z)).flatten(1);
  return at::cat({time_features(input.t), input.z, angle.sin(), angle.cos()}, 1);
}

at::Tensor Mlp::position_frequencies(const at::Tensor& like) const {
  return at::exp2(at::arange(options_.position_features, like.options()) / 2) *
         (std::numbers::pi / 4);
}

at::Tensor Mlp::embedding(const NetworkInput& input, bool fused) const {
  at::Tensor e;
  const auto add = [&](const at::Tensor& part) { e = e.defined() ? e + part : part; };
  const auto linear = [&](const at::Tensor& x, const Linear& layer) {
    if (!fused) return product(x, layer, precision_);
    kernels::MlpLayers single;
    single.weights = {layer.weight};
    single.biases = {layer.bias};
    return kernels::mlp_pass(x, {}, single, workspaces_);
  };
  if (classes_ > 0) add(at::embedding(label_table_, input.y));
  if (condition_width_ > 0) add(linear(input.condition, condition_));
  if (options_.residual) add(linear(fourier(input.t, options_.fourier_features), time_));
  return fused ? kernels::activation(e, Activation::silu) : at::silu(e);
}

Film Mlp::film(const NetworkInput& input) const {
  if (!has_film()) return {};
  return {product(embedding(input, false), film_, precision_)
              .view({-1, options_.layers, 2, options_.width})};
}

bool Mlp::can_fuse(const at::Tensor& rows) const {
  return precision_ != Precision::bf16 && rows.is_cpu() && rows.size(0) > 0;
}

at::Tensor Mlp::seed(const at::Tensor& directions, const at::Tensor& z) const {
  const at::Tensor weight = first().weight.detach().narrow(1, time_width_, row_width());
  at::Tensor w = directions;
  if (!linear_in_row()) {  // d sin(f z) = f cos(f z) dz, d cos(f z) = -f sin(f z) dz
    const at::Tensor f = position_frequencies(z);
    const at::Tensor angle = z.unsqueeze(2) * f;  // [n, d, F]
    const at::Tensor each = directions.unsqueeze(-1);
    const auto along = [&](const at::Tensor& slope) {
      return (each * (f * slope).unsqueeze(1)).flatten(2);
    };
    const at::Tensor sine = along(angle.cos());
    w = at::cat({directions.expand({z.size(0), -1, -1}), sine, along(-angle.sin())}, 2);
  }
  const at::Tensor out = product(w.reshape({-1, row_width()}), Linear(weight, {}), precision_);
  std::vector<std::int64_t> shape = w.sizes().vec();
  shape.back() = options_.width;
  return out.view(shape);
}

Carried Mlp::through(const Carried& in, const Linear& layer) const {
  Carried out{.values = product(in.values, layer, precision_), .tangents = {}};
  if (!in.tangents.defined()) return out;
  std::vector<std::int64_t> shape = in.tangents.sizes().vec();
  shape.back() = layer.weight.size(0);
  const at::Tensor rows = in.tangents.view({-1, layer.weight.size(1)});
  out.tangents = product(rows, Linear(layer.weight, at::Tensor()), precision_).view(shape);
  return out;
}

at::Tensor Mlp::film_applied(const at::Tensor& a, const Film& film, std::int64_t layer) const {
  if (!film.all.defined()) return a;
  return at::addcmul(film.shift(layer), a, 1 + film.scale(layer));
}

// f(FiLM(a)) and the tangents times its derivative.
Carried Mlp::activate(const Carried& in, const Film& film, std::int64_t layer, bool keep,
                      const Pass& pass) const {
  const Activation kind = options_.activation;
  at::Tensor a = film_applied(in.values, film, layer);
  if (pass.graph || !kernels::has_fast_activation(a)) {
    at::Tensor y = kernels::activation(a, kind);
    if (pass.dropout) y = at::dropout(y, options_.dropout, true);
    if (!in.tangents.defined()) return {.values = y, .tangents = {}};
    at::Tensor slope = kernels::activation_slope_reference(a, kind);
    if (film.all.defined()) slope = slope * (1 + film.scale(layer));
    return {.values = y, .tangents = slope.unsqueeze(1) * in.tangents};
  }
  if (keep && !film.all.defined()) a = a.clone();
  at::Tensor slope;
  if (in.tangents.defined()) slope = at::empty_like(a);
  kernels::activate(a, {}, slope, kind);
  if (!in.tangents.defined()) return {.values = a, .tangents = {}};
  if (film.all.defined()) slope.mul_(1 + film.scale(layer));
  const bool reuse = !keep && in.tangents.dim() == 3;
  const at::Tensor tangents =
      reuse ? in.tangents : at::empty({a.size(0), in.tangents.size(-2), a.size(1)}, a.options());
  kernels::scale_tangents(slope, in.tangents, tangents);
  return {.values = a, .tangents = tangents};
}

Carried Mlp::block(const Carried& h, const Film& film, std::int64_t index, const Pass& pass) const {
  const auto i = static_cast<std::size_t>(index);
  Carried u = through(activate(h, film, 2 * index, true, pass), linears_[1 + 2 * i]);
  u = through(activate(u, film, 2 * index + 1, false, pass), linears_[2 + 2 * i]);
  Carried out{.values = h.values + u.values, .tangents = {}};
  if (h.tangents.defined()) out.tangents = h.tangents + u.tangents;
  return out;
}

Carried Mlp::body(const NetworkInput& input, const at::Tensor& seeds, const Pass& pass) const {
  const Film conditions = film(input);
  Carried h{.values = product(input_rows(input), first(), precision_), .tangents = seeds};
  if (options_.residual) {
    for (std::int64_t i = 0; i < options_.layers / 2; ++i) h = block(h, conditions, i, pass);
    return h;
  }
  for (std::int64_t i = 0; i + 1 < options_.layers; ++i) {
    h = through(activate(h, conditions, i, false, pass), linears_[static_cast<std::size_t>(i) + 1]);
  }
  if (!conditions.all.defined()) return h;
  // The last hidden layer's FiLM, so that what follows is an activation in both variants.
  const std::int64_t last = options_.layers - 1;
  h.values = film_applied(h.values, conditions, last);
  if (h.tangents.defined()) {
    h.tangents = h.tangents * (1 + conditions.scale(last)).unsqueeze(1);
  }
  return h;
}

at::Tensor Mlp::evaluate(const NetworkInput& input) const {
  const std::int64_t n = input.z.size(0);
  const at::Tensor out = at::empty({n, dimensions_}, input.z.options());
  for_pieces(input.z, 0, [&](std::int64_t begin, std::int64_t count) {
    const Carried h = body(narrowed(input, begin, count), {}, {});
    const Carried y = through(activate(h, {}, 0, false, {}), linears_.back());
    out.narrow(0, begin, count).copy_(y.values);
  });
  return out;
}

at::Tensor Mlp::fused(const NetworkInput& input) const {
  kernels::MlpLayers layers;
  layers.activation = options_.activation;
  layers.residual = options_.residual;
  for (const auto& layer : linears_) {
    layers.weights.push_back(layer.weight);
    layers.biases.push_back(layer.bias);
  }
  layers.film_weight = film_.weight;
  layers.film_bias = film_.bias;
  const at::Tensor e = has_film() ? embedding(input, true) : at::Tensor();
  return kernels::mlp_pass(input_rows(input), e, layers, workspaces_);
}

at::Tensor Mlp::forward(const NetworkInput& input, ForwardContext& context) {
  if (!context.taps.empty()) {
    throw Error("a network whose blocks put out tokens", "an MLP", "train it without LayerSync");
  }
  const NetworkInput rows = checked(input);
  const Pass pass{.graph = true, .dropout = context.dropout && options_.dropout > 0};
  if (pass.dropout) seed_device(*context.dropout, rows.z.device());
  if (!at::GradMode::is_enabled() && !pass.dropout && rows.z.size(0) > 0) {
    return evaluate(rows).view(input.z.sizes());
  }
  if (!pass.dropout && can_fuse(rows.z)) return fused(rows).view(input.z.sizes());
  const Carried h = activate(body(rows, {}, pass), {}, 0, false, pass);
  return through(h, linears_.back()).values.view(input.z.sizes());
}

Tangents Mlp::forward_with_tangents(const NetworkInput& input, const at::Tensor& directions) {
  const c10::NoGradGuard no_grad;
  const NetworkInput rows = checked(input);
  const std::int64_t n = rows.z.size(0);
  const std::int64_t k = directions.size(-2);
  const bool shared = directions.dim() == 2;
  const at::Tensor w = directions.to(rows.z.scalar_type());
  const bool one_seed = shared && linear_in_row();
  const at::Tensor shared_seed = one_seed ? seed(w, {}) : at::Tensor();
  const Tangents out{.prediction = at::empty(rows.z.sizes(), rows.z.options()),
                     .products = at::empty({n, k, dimensions_}, rows.z.options())};
  for_pieces(rows.z, k, [&](std::int64_t begin, std::int64_t count) {
    const at::Tensor z = rows.z.narrow(0, begin, count);
    const at::Tensor seeds =
        one_seed ? shared_seed : seed(shared ? w : w.narrow(0, begin, count), z);
    const Carried h = body(narrowed(rows, begin, count), seeds, {});
    const Carried y = through(activate(h, {}, 0, false, {}), linears_.back());
    out.prediction.narrow(0, begin, count).copy_(y.values);
    out.products.narrow(0, begin, count).copy_(y.tangents);
  });
  return {.prediction = out.prediction.view(input.z.sizes()), .products = out.products};
}

// Unit directions: their seeds are the columns of a linear first layer. The last layer is needed on
// its diagonal only, which is a scalar product in place of a matrix product.
Divergence Mlp::forward_with_divergence(const NetworkInput& input) {
  const c10::NoGradGuard no_grad;
  const NetworkInput rows = checked(input);
  const std::int64_t n = rows.z.size(0);
  const at::Tensor unit = at::eye(dimensions_, rows.z.options());
  const at::Tensor shared_seed = linear_in_row() ? seed(unit, {}) : at::Tensor();
  const Divergence out{.prediction = at::empty(rows.z.sizes(), rows.z.options()),
                       .trace = at::empty({n}, rows.z.options())};
  const Linear& last = linears_.back();
  for_pieces(rows.z, dimensions_, [&](std::int64_t begin, std::int64_t count) {
    const NetworkInput piece = narrowed(rows, begin, count);
    const at::Tensor seeds = linear_in_row() ? shared_seed : seed(unit, piece.z);
    const Carried h = body(piece, seeds, {});
    const at::Tensor trace = out.trace.narrow(0, begin, count);
    at::Tensor y = h.values;
    if (kernels::has_fast_activation(y)) {
      const at::Tensor slope = at::empty_like(y);
      kernels::activate(y, {}, slope, options_.activation);
      kernels::contract_tangents(slope, h.tangents, last.weight, trace);
    } else {
      const at::Tensor slope = kernels::activation_slope_reference(y, options_.activation);
      trace.copy_((slope.unsqueeze(1) * h.tangents * last.weight).sum(at::IntArrayRef{1, 2}));
      y = kernels::activation_reference(y, options_.activation);
    }
    out.prediction.narrow(0, begin, count).copy_(product(y, last, precision_));
  });
  return {.prediction = out.prediction.view(input.z.sizes()), .trace = out.trace};
}

}  // namespace

std::unique_ptr<Network> make_mlp(const MlpOptions& options, const PictureShape& shape,
                                  std::int64_t condition_width) {
  if (options.residual && options.layers % 2 != 0) {
    throw usage_error("an even mlp.layers for residual blocks of two",
                      fmt::format("{}", options.layers), "add a layer, or set mlp.residual=false");
  }
  return std::make_unique<Mlp>(options, shape, condition_width);
}

}  // namespace calor::net
