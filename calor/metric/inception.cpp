#include "calor/metric/inception.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <string>
#include <vector>

#include "calor/core/error.h"

namespace calor::metric {
namespace {

constexpr std::int64_t inception_sides[] = {299, 299};
constexpr std::int64_t classes = 1008;
constexpr double norm_epsilon = 1e-3;
constexpr const char* advice =
    "give the weights of Inception-v3 for the Frechet inception distance (docs/evaluation.md)";

// A convolution with its batch norm folded in: y = relu(weight * x + bias).
struct Folded {
  at::Tensor weight, bias;
};

struct Kernel {
  std::int64_t height = 1, width = 1;
};

class Inception final : public Classifier {
 public:
  explicit Inception(const io::TensorFile& file);
  std::string name() const override { return inception_name; }

 protected:
  at::IntArrayRef sides() const override { return inception_sides; }
  std::int64_t pictures_at_once() const override { return 25; }
  std::vector<at::Tensor> layers_of(const at::Tensor& pictures) const override;
  Reading reading_of(const at::Tensor& last) const override;

 private:
  enum class Pool { average, maximum };

  void fold(const io::TensorFile& file);

  // The unit of that name, which must make `out` channels of x; stride 2 takes no padding, stride 1
  // as much as keeps the sides, but where `shrinks`.
  at::Tensor unit(const std::string& layer, const at::Tensor& x, std::int64_t out,
                  Kernel kernel = {}, std::int64_t stride = 1, bool shrinks = false) const;
  at::Tensor stem(const at::Tensor& pictures) const;
  at::Tensor block_a(const std::string& block, const at::Tensor& x, std::int64_t pooled) const;
  at::Tensor block_b(const std::string& block, const at::Tensor& x) const;
  at::Tensor block_c(const std::string& block, const at::Tensor& x, std::int64_t width) const;
  at::Tensor block_d(const std::string& block, const at::Tensor& x) const;
  at::Tensor block_e(const std::string& block, const at::Tensor& x, Pool pool) const;

  std::map<std::string, Folded> units_;
  at::Tensor last_weight_, last_bias_;
};

at::Tensor halved(const at::Tensor& x) { return at::max_pool2d(x, 3, 2); }

// Over 3 x 3 pixels, those of the picture only.
at::Tensor averaged(const at::Tensor& x) {
  return at::avg_pool2d(x, 3, 1, 1, /*ceil_mode=*/false, /*count_include_pad=*/false);
}

Inception::Inception(const io::TensorFile& file)
    : last_weight_(file.at("fc.weight")), last_bias_(file.at("fc.bias")) {
  if (last_weight_.sizes() != at::IntArrayRef({classes, 2048}) || last_bias_.numel() != classes) {
    throw Error(fmt::format("fc.weight of shape [{}, 2048]", classes),
                fmt::format("[{}]", fmt::join(last_weight_.sizes(), ", ")), advice);
  }
  fold(file);
  // Every unit is asked for once, which checks that it is there and fits; 75 pixels are the fewest.
  const c10::NoGradGuard no_grad;
  layers_of(at::zeros({1, 3, 75, 75}, last_weight_.options()));
}

void Inception::fold(const io::TensorFile& file) {
  constexpr std::string_view ending = ".conv.weight";
  for (const auto& [name, weight] : file.tensors) {
    if (!name.ends_with(ending) || weight.dim() != 4) continue;
    const std::string layer = name.substr(0, name.size() - ending.size());
    const auto norm = [&](const char* part) {
      const at::Tensor& v = file.at(fmt::format("{}.bn.{}", layer, part));
      if (v.sizes() == at::IntArrayRef({weight.size(0)})) return v;
      throw Error(fmt::format("{}.bn.{} of {} numbers", layer, part, weight.size(0)),
                  fmt::format("[{}]", fmt::join(v.sizes(), ", ")), advice);
    };
    const at::Tensor scale = norm("weight") / (norm("running_var") + norm_epsilon).sqrt();
    units_[layer] = {.weight = weight * scale.view({-1, 1, 1, 1}),
                     .bias = norm("bias") - norm("running_mean") * scale};
  }
}

at::Tensor Inception::unit(const std::string& layer, const at::Tensor& x, std::int64_t out,
                           Kernel kernel, std::int64_t stride, bool shrinks) const {
  const auto found = units_.find(layer);
  if (found == units_.end()) {
    throw Error(fmt::format("the tensor {}.conv.weight", layer), "none of that name", advice);
  }
  const at::Tensor& weight = found->second.weight;
  const std::int64_t wanted[] = {out, x.size(1), kernel.height, kernel.width};
  if (weight.sizes() != at::IntArrayRef(wanted)) {
    throw Error(fmt::format("{}.conv.weight of shape [{}]", layer, fmt::join(wanted, ", ")),
                fmt::format("[{}]", fmt::join(weight.sizes(), ", ")), advice);
  }
  const bool pads = stride == 1 && !shrinks;
  const std::int64_t padding[] = {pads ? kernel.height / 2 : 0, pads ? kernel.width / 2 : 0};
  return at::relu(at::conv2d(x, weight, found->second.bias, stride, padding));
}

at::Tensor Inception::stem(const at::Tensor& pictures) const {
  at::Tensor x = unit("Conv2d_1a_3x3", pictures, 32, {3, 3}, 2);
  x = unit("Conv2d_2a_3x3", x, 32, {3, 3}, 1, true);
  x = halved(unit("Conv2d_2b_3x3", x, 64, {3, 3}));
  x = unit("Conv2d_3b_1x1", x, 80);
  return halved(unit("Conv2d_4a_3x3", x, 192, {3, 3}, 1, true));
}

at::Tensor Inception::block_a(const std::string& block, const at::Tensor& x,
                              std::int64_t pooled) const {
  const at::Tensor wide =
      unit(block + ".branch5x5_2", unit(block + ".branch5x5_1", x, 48), 64, {5, 5});
  at::Tensor twice = unit(block + ".branch3x3dbl_1", x, 64);
  twice = unit(block + ".branch3x3dbl_2", twice, 96, {3, 3});
  twice = unit(block + ".branch3x3dbl_3", twice, 96, {3, 3});
  return at::cat({unit(block + ".branch1x1", x, 64), wide, twice,
                  unit(block + ".branch_pool", averaged(x), pooled)},
                 1);
}

at::Tensor Inception::block_b(const std::string& block, const at::Tensor& x) const {
  at::Tensor twice = unit(block + ".branch3x3dbl_1", x, 64);
  twice = unit(block + ".branch3x3dbl_2", twice, 96, {3, 3});
  twice = unit(block + ".branch3x3dbl_3", twice, 96, {3, 3}, 2);
  return at::cat({unit(block + ".branch3x3", x, 384, {3, 3}, 2), twice, halved(x)}, 1);
}

at::Tensor Inception::block_c(const std::string& block, const at::Tensor& x,
                              std::int64_t width) const {
  at::Tensor once = unit(block + ".branch7x7_1", x, width);
  once = unit(block + ".branch7x7_2", once, width, {1, 7});
  once = unit(block + ".branch7x7_3", once, 192, {7, 1});
  at::Tensor twice = unit(block + ".branch7x7dbl_1", x, width);
  twice = unit(block + ".branch7x7dbl_2", twice, width, {7, 1});
  twice = unit(block + ".branch7x7dbl_3", twice, width, {1, 7});
  twice = unit(block + ".branch7x7dbl_4", twice, width, {7, 1});
  twice = unit(block + ".branch7x7dbl_5", twice, 192, {1, 7});
  return at::cat({unit(block + ".branch1x1", x, 192), once, twice,
                  unit(block + ".branch_pool", averaged(x), 192)},
                 1);
}

at::Tensor Inception::block_d(const std::string& block, const at::Tensor& x) const {
  const at::Tensor once =
      unit(block + ".branch3x3_2", unit(block + ".branch3x3_1", x, 192), 320, {3, 3}, 2);
  at::Tensor thrice = unit(block + ".branch7x7x3_1", x, 192);
  thrice = unit(block + ".branch7x7x3_2", thrice, 192, {1, 7});
  thrice = unit(block + ".branch7x7x3_3", thrice, 192, {7, 1});
  thrice = unit(block + ".branch7x7x3_4", thrice, 192, {3, 3}, 2);
  return at::cat({once, thrice, halved(x)}, 1);
}

at::Tensor Inception::block_e(const std::string& block, const at::Tensor& x, Pool pool) const {
  const auto both = [&](const at::Tensor& h, const std::string& a, const std::string& b) {
    return at::cat({unit(block + a, h, 384, {1, 3}), unit(block + b, h, 384, {3, 1})}, 1);
  };
  const at::Tensor once =
      both(unit(block + ".branch3x3_1", x, 384), ".branch3x3_2a", ".branch3x3_2b");
  const at::Tensor inner =
      unit(block + ".branch3x3dbl_2", unit(block + ".branch3x3dbl_1", x, 448), 384, {3, 3});
  const at::Tensor twice = both(inner, ".branch3x3dbl_3a", ".branch3x3dbl_3b");
  const at::Tensor pooled = pool == Pool::average ? averaged(x) : at::max_pool2d(x, 3, 1, 1);
  return at::cat(
      {unit(block + ".branch1x1", x, 320), once, twice, unit(block + ".branch_pool", pooled, 192)},
      1);
}

std::vector<at::Tensor> Inception::layers_of(const at::Tensor& pictures) const {
  const at::Tensor rgb = pictures.expand({-1, 3, -1, -1});
  std::vector<at::Tensor> ends{stem(rgb * 2 - 1)};
  at::Tensor x = block_a("Mixed_5b", ends.back(), 32);
  x = block_a("Mixed_5c", x, 64);
  ends.push_back(block_a("Mixed_5d", x, 64));
  x = block_b("Mixed_6a", ends.back());
  x = block_c("Mixed_6b", x, 128);
  x = block_c("Mixed_6c", x, 160);
  x = block_c("Mixed_6d", x, 160);
  ends.push_back(block_c("Mixed_6e", x, 192));
  x = block_d("Mixed_7a", ends.back());
  x = block_e("Mixed_7b", x, Pool::average);
  ends.push_back(block_e("Mixed_7c", x, Pool::maximum));
  return ends;
}

Reading Inception::reading_of(const at::Tensor& last) const {
  const at::Tensor features = last.mean(at::IntArrayRef{2, 3});
  return {.features = features.to(at::kDouble),
          .logits = at::linear(features, last_weight_, last_bias_)};
}

}  // namespace

bool is_inception(const io::TensorFile& weights) {
  return weights.contains("Mixed_7c.branch_pool.conv.weight");
}

std::unique_ptr<Classifier> make_inception(const io::TensorFile& weights) {
  return std::make_unique<Inception>(weights);
}

}  // namespace calor::metric
