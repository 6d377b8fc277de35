#include "calor/data/point_sets.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calor/core/error.h"
#include "calor/data/point_law.h"
#include "calor/data/point_tensors.h"

namespace calor::data {
namespace {

struct NamedLaw {
  PointSetInfo info;
  std::unique_ptr<PointLaw> law;
};

std::vector<std::string> numbered(const std::string& noun, int count) {
  std::vector<std::string> names;
  for (int k = 1; k <= count; ++k) names.push_back(fmt::format("{} {}", noun, k));
  return names;
}

std::vector<NamedLaw> make_laws() {
  std::vector<NamedLaw> laws;
  const auto add = [&](std::unique_ptr<PointLaw> law, const char* name, const char* description,
                       std::vector<std::string> class_names = {}) {
    laws.push_back({.info = {name, description, std::move(class_names)}, .law = std::move(law)});
  };
  add(checkerboard_law(), "checkerboard", "Evenly on every other one of 4 x 4 squares.");
  add(two_moons_law(), "two-moons", "Two half circles with noise that reach into each other.",
      {"upper moon", "lower moon"});
  add(spirals_law(), "spirals", "Two interleaved spirals with noise.", numbered("arm", 2));
  add(pinwheel_law(), "pinwheel", "Five arms, twisted around the centre.", numbered("arm", 5));
  add(rings_law(), "rings", "Four concentric circles with noise.", numbered("ring", 4));
  add(eight_gaussians_law(), "8-gaussians", "Eight narrow Gaussians on a circle.",
      numbered("gaussian", 8));
  add(tree_law(), "tree", "A tree whose branches fork nine times and grow ever thinner.");
  add(rose_law(), "rose", "A rose with a stem and two leaves, drawn in thin lines.");
  return laws;
}

const std::vector<NamedLaw>& laws() {
  static const std::vector<NamedLaw> all = make_laws();
  return all;
}

const NamedLaw& find_law(const std::string& name) {
  const auto found =
      std::ranges::find_if(laws(), [&](const NamedLaw& law) { return law.info.name == name; });
  if (found != laws().end()) return *found;
  std::vector<std::string> names;
  for (const NamedLaw& law : laws()) names.push_back(law.info.name);
  const std::string nearest = nearest_name(name, names);
  throw usage_error(
      fmt::format("the name of a set of points: {}", fmt::join(names, ", ")),
      fmt::format("\"{}\"", name),
      nearest.empty() ? "choose one of these" : fmt::format("did you mean {}?", nearest));
}

PointRandom random_of(RandomKey key) {
  PointRandom random;
  fill_uniform(key.child(0), random.uniform);
  fill_normal(key.child(1), std::span<double>(random.normal));
  return random;
}

}  // namespace

const std::vector<PointSetInfo>& known_point_sets() {
  static const std::vector<PointSetInfo> infos = [] {
    std::vector<PointSetInfo> all;
    for (const NamedLaw& law : laws()) all.push_back(law.info);
    return all;
  }();
  return infos;
}

const PointSetInfo& known_point_set(const std::string& name) { return find_law(name).info; }

Points draw_labelled_points(const std::string& name, std::int64_t n, RandomKey key) {
  const NamedLaw& named = find_law(name);
  std::vector<std::int64_t> labels(static_cast<std::size_t>(std::max<std::int64_t>(n, 0)));
  at::Tensor points = make_points(n, [&](std::int64_t i) {
    const auto item = static_cast<std::uint64_t>(i);
    const DrawnPoint drawn = named.law->draw(random_of(key.child(item)));
    labels[item] = drawn.label;
    return std::array{static_cast<float>(drawn.position[0]), static_cast<float>(drawn.position[1])};
  });
  return {.points = std::move(points),
          .labels = at::tensor(labels, at::kLong),
          .class_names = named.info.class_names};
}

at::Tensor draw_points(const std::string& name, std::int64_t n, RandomKey key) {
  return draw_labelled_points(name, n, key).points;
}

at::Tensor point_log_density(const std::string& name, const at::Tensor& points) {
  const NamedLaw& named = find_law(name);
  return log_density_at(points, [&](const Vec2& p) { return named.law->log_density(p); });
}

}  // namespace calor::data
