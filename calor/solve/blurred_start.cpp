#include "calor/solve/blurred_start.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "calor/core/error.h"

namespace calor::solve {
namespace {

using Indices = std::vector<std::int64_t>;

// The pictures of each class.
std::map<std::int64_t, Indices> by_class(const data::Dataset& set) {
  std::map<std::int64_t, Indices> pictures;
  for (std::int64_t i = 0; i < set.size(); ++i) pictures[set.label(i)].push_back(i);
  return pictures;
}

std::int64_t one_of(const Indices& pictures, RandomKey key) {
  std::array<double, 1> uniform{};
  fill_uniform(key.child(static_cast<std::uint64_t>(RandomUse::data_order)), uniform);
  const auto size = static_cast<double>(pictures.size());
  const auto place = static_cast<std::size_t>(uniform[0] * size);
  return pictures[std::min(place, pictures.size() - 1)];
}

// One by one: what is random about a picture (dequantisation) must not depend on those beside it.
at::Tensor pictures_of(const data::Dataset& set, const Indices& chosen) {
  std::vector<at::Tensor> pictures;
  for (const std::int64_t i : chosen) {
    data::Batch batch;
    batch.indices = {i};
    set.fill(batch, i, 0, false);
    pictures.push_back(data::to_model_range(batch.items));
  }
  return at::cat(pictures);
}

void check_shape(const data::ItemSpec& given, const data::ItemSpec& wanted) {
  const auto text = [](const data::ItemSpec& s) {
    return fmt::format("{} channels, {} x {} pixels", s.channels, s.height, s.width);
  };
  const bool same = given.channels == wanted.channels && given.height == wanted.height &&
                    given.width == wanted.width && given.kind == wanted.kind;
  if (same) return;
  throw Error("pictures to begin with of the model's shape: " + text(wanted), text(given),
              "name a set whose pictures are as the model's training set was");
}

}  // namespace

Indices starting_pictures(const data::Dataset& set, std::int64_t classes,
                          std::span<const RandomKey> keys, const at::Tensor& labels) {
  Indices all(static_cast<std::size_t>(set.size()));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  const bool has_classes = classes > 0 && set.spec().classes() == classes;
  const auto of_class = has_classes ? by_class(set) : std::map<std::int64_t, Indices>{};
  const at::Tensor wanted = labels.cpu().contiguous();
  const auto* label = wanted.const_data_ptr<std::int64_t>();
  Indices chosen;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!has_classes || label[i] < 0 || label[i] >= classes) {
      chosen.push_back(one_of(all, keys[i]));
      continue;
    }
    const auto pictures = of_class.find(label[i]);
    if (pictures == of_class.end()) {
      throw Error("pictures of every class that is asked for, to begin with",
                  fmt::format("none of class {}", label[i]),
                  "name a set that has some, or another label");
    }
    chosen.push_back(one_of(pictures->second, keys[i]));
  }
  return chosen;
}

Start blurred_start(const flow::Flow& flow, const data::Dataset& set, std::vector<RandomKey> keys,
                    const at::Tensor& labels) {
  const c10::NoGradGuard no_grad;
  require_usage(flow.has_levels(), "a flow along path.kind = \"ihdm\" to begin with pictures",
                "one that begins at noise", "take start_from");
  check_shape(set.spec(), flow.items());
  const Indices chosen = starting_pictures(set, flow.items().classes(), keys, labels);
  const path::PictureSpace& space = flow.stage(0).space();
  const at::Tensor pictures = pictures_of(set, chosen).to(flow.device(), at::kFloat);
  const at::Tensor noisiest = at::zeros({1, 1, 1, 1}, pictures.options());
  const at::Tensor kept = space.path->log_a(noisiest, space.lambda).exp();
  return {.noise = space.multiply(kept, pictures), .keys = std::move(keys)};
}

}  // namespace calor::solve
