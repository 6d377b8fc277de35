#include "calor/train/example.h"

#include <ATen/ATen.h>

#include <vector>

namespace calor::train {
namespace {

RandomKey child(RandomKey key, RandomUse use) { return key.child(static_cast<std::uint64_t>(use)); }

}  // namespace

double uniform_of(RandomKey example, RandomUse use) {
  double u = 0;
  fill_uniform(child(example, use), {&u, 1});
  return u;
}

RandomKey dropout_key(std::span<const RandomKey> examples) {
  return child(examples.front(), RandomUse::dropout);
}

at::Tensor draw_noise(const at::Tensor& x, std::span<const RandomKey> keys, RandomUse use) {
  std::vector<RandomKey> own;
  own.reserve(keys.size());
  for (const RandomKey key : keys) own.push_back(child(key, use));
  if (x.is_cpu()) return normal_by_item(own, x.sizes().slice(1), x.device());
  seed_device(own.front(), x.device());
  return at::randn_like(x);
}

at::Tensor draw_times(const path::TrainingTimes& law, std::span<const RandomKey> keys,
                      std::int64_t times) {
  std::vector<RandomKey> own;
  own.reserve(keys.size() * static_cast<std::size_t>(times));
  for (const RandomKey key : keys) {
    const RandomKey first = child(key, RandomUse::training_time);
    own.push_back(first);
    for (std::int64_t j = 1; j < times; ++j) {
      own.push_back(first.child(static_cast<std::uint64_t>(j)));
    }
  }
  return law.draw(own);
}

at::Tensor exact_left(const at::Tensor& x, const path::StageStep& step,
                      const path::PictureSpace& space, std::span<const RandomKey> keys) {
  if (step.start == 0) return x;
  const at::Tensor g = draw_noise(x, keys, RandomUse::particle_noise);
  return space.combine(step.kept(space.lambda), x,
                       step.spread(space.lambda) * space.path->noise_scale(), g);
}

}  // namespace calor::train
