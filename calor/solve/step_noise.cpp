#include "calor/solve/step_noise.h"

#include <vector>

namespace calor::solve {

StepNoise step_noise(const flow::Flow& flow, std::span<const RandomKey> keys, std::size_t stage) {
  if (keys.empty()) return {};
  std::vector<RandomKey> own;
  for (const RandomKey& key : keys) {
    own.push_back(key.child(static_cast<std::uint64_t>(RandomUse::step_noise)).child(stage));
  }
  return [&flow, own](std::int64_t step) {
    std::vector<RandomKey> now;
    for (const RandomKey& key : own) now.push_back(key.child(static_cast<std::uint64_t>(step)));
    const data::ItemSpec& items = flow.items();
    return normal_by_item(now, {items.channels, items.height, items.width}, flow.device());
  };
}

}  // namespace calor::solve
