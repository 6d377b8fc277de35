#include "calor/data/subset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "calor/core/random.h"

namespace calor::data {
namespace {

class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> set, std::vector<std::int64_t> items, std::string name)
      : set_(std::move(set)), items_(std::move(items)), name_(std::move(name)) {}

  const ItemSpec& spec() const override { return set_->spec(); }
  std::int64_t size() const override { return static_cast<std::int64_t>(items_.size()); }
  std::int64_t label(std::int64_t i) const override { return set_->label(item(i)); }

  void fill(Batch& batch, std::int64_t first_position, std::uint64_t seed,
            bool flip) const override {
    const auto wanted = batch.indices;
    for (std::int64_t& i : batch.indices) i = item(i);
    set_->fill(batch, first_position, seed, flip);
    batch.indices = wanted;
  }

  std::string fingerprint() const override { return name_ + " of " + set_->fingerprint(); }

 private:
  std::int64_t item(std::int64_t i) const { return items_[static_cast<std::size_t>(i)]; }

  std::shared_ptr<const Dataset> set_;
  std::vector<std::int64_t> items_;
  std::string name_;
};

}  // namespace

std::shared_ptr<const Dataset> subset(std::shared_ptr<const Dataset> set,
                                      std::vector<std::int64_t> items, std::string name) {
  return std::make_shared<Subset>(std::move(set), std::move(items), std::move(name));
}

HeldOut hold_out(const std::shared_ptr<const Dataset>& set, double share, std::int64_t seed) {
  const RandomKey key = random_key(static_cast<std::uint64_t>(seed), RandomUse::split);
  std::map<std::int64_t, std::vector<std::int64_t>> classes;
  for (std::int64_t i = 0; i < set->size(); ++i) classes[set->label(i)].push_back(i);
  std::vector<std::int64_t> rest, held;
  for (auto& [label, items] : classes) {
    std::ranges::sort(
        items, {}, [&](std::int64_t i) { return key.child(static_cast<std::uint64_t>(i)).value; });
    const auto n = static_cast<double>(items.size());
    const auto count = static_cast<std::ptrdiff_t>(std::min(std::floor(n * share), n - 1));
    held.insert(held.end(), items.begin(), items.begin() + count);
    rest.insert(rest.end(), items.begin() + count, items.end());
  }
  std::ranges::sort(held);
  std::ranges::sort(rest);
  const std::string name = fmt::format("less {} by {}", share, seed);
  if (held.empty()) return {.rest = set, .held_out = nullptr};
  return {.rest = subset(set, std::move(rest), name),
          .held_out = subset(set, std::move(held), "held out: " + name)};
}

}  // namespace calor::data
