#include "calor/policy/two_ways.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "calor/policy/numpy_random.h"

namespace calor::policy {
namespace {

double dot(const Vec2& a, const Vec2& b) { return a[0] * b[0] + a[1] * b[1]; }
double length(const Vec2& a) { return std::hypot(a[0], a[1]); }
Vec2 minus(const Vec2& a, const Vec2& b) { return {a[0] - b[0], a[1] - b[1]}; }
Vec2 along(const Vec2& a, const Vec2& direction, double t) {
  return {a[0] + t * direction[0], a[1] + t * direction[1]};
}

// Whether the segment from a to b keeps out of the open disc around the origin.
bool in_sight(const Vec2& a, const Vec2& b, double radius) {
  const Vec2 d = minus(b, a);
  const double square = dot(d, d);
  const double t = square == 0 ? 0 : std::clamp(-dot(a, d) / square, 0.0, 1.0);
  return length(along(a, d, t)) >= radius;
}

// How much of the segment from a, outside of the disc, along d is outside too: in [0, 1].
double free_part(const Vec2& a, const Vec2& d, double radius) {
  constexpr double room = 1e-9;  // keeps rounding from carrying the point inside
  const double square = dot(d, d);
  const double towards = -dot(a, d);
  if (square == 0 || towards <= 0) return 1;  // away from the disc
  const double discriminant = towards * towards - square * (dot(a, a) - radius * radius);
  if (discriminant <= 0) return 1;  // passes it
  return std::clamp((towards - std::sqrt(discriminant)) / square - room, 0.0, 1.0);
}

Vec2 moved(const Vec2& position, const Vec2& target) {
  Vec2 d = minus(target, position);
  const double wanted = length(d);
  if (wanted > two_ways_step) d = {d[0] * two_ways_step / wanted, d[1] * two_ways_step / wanted};
  const Vec2 next = along(position, d, free_part(position, d, two_ways_radius));
  return {std::clamp(next[0], -1.0, 1.0), std::clamp(next[1], -1.0, 1.0)};
}

Vec2 drawn_start(NumpyRandom& random) { return {0, -(0.7 + 0.2 * random.uniform())}; }

EnvironmentSpec two_ways_spec() {
  return {.name = "two-ways",
          .text = "a point goes round a disc, on either side, to the goal behind it",
          .action = {.name = "target",
                     .text = "the point's target, x and y in [-1, 1]",
                     .low = {-1, -1},
                     .high = {1, 1}},
          .observations = {{.name = "state", .text = "x and y", .low = {-1, -1}, .high = {1, 1}}},
          .max_steps = 100,
          .control_hz = 10};
}

}  // namespace

double two_ways_distance(const Vec2& position, double radius) {
  const Vec2& goal = two_ways_goal;
  if (in_sight(position, goal, radius)) return length(minus(goal, position));
  // Rounding may leave a point that touches the disc a little inside.
  const double from = std::max(length(position), radius), to = length(goal);
  const double between = std::acos(std::clamp(dot(position, goal) / (from * to), -1.0, 1.0));
  const double arc = between - std::acos(radius / from) - std::acos(radius / to);
  return std::sqrt(from * from - radius * radius) + std::sqrt(to * to - radius * radius) +
         radius * std::max(arc, 0.0);
}

std::int64_t two_ways_least_steps(const Vec2& start) {
  const double distance = two_ways_distance(start) - two_ways_tolerance;
  return std::max<std::int64_t>(0, std::llrint(std::ceil(distance / two_ways_step)));
}

Vec2 two_ways_expert(const Vec2& position, Way way) {
  constexpr double radius = two_ways_radius + 0.02;
  if (in_sight(position, two_ways_goal, radius)) return two_ways_goal;
  const double distance = length(position);
  // The tangent from within the larger disc is taken to be the one at its edge.
  const double angle = std::asin(std::min(1.0, radius / distance)) * (way == Way::left ? 1 : -1);
  const Vec2 inwards{-position[0] / distance, -position[1] / distance};
  return along(position, placed(inwards, {}, angle), two_ways_step);
}

std::optional<Way> way_of(std::span<const Vec2> path) {
  const auto there = std::ranges::find_if(path, [](const Vec2& p) { return p[1] >= 0; });
  if (there == path.end()) return std::nullopt;
  return (*there)[0] < 0 ? Way::left : Way::right;
}

TwoWays::TwoWays() : Environment(two_ways_spec()) {}

void TwoWays::start(std::uint32_t seed) {
  NumpyRandom random(seed);
  position_ = drawn_start(random);
  way_ = std::nullopt;
  first_distance_ = two_ways_distance(position_);
}

Outcome TwoWays::advance(std::span<const double> action) {
  position_ = moved(position_, {action[0], action[1]});
  if (!way_) way_ = way_of(std::span(&position_, 1));
  if (length(minus(two_ways_goal, position_)) <= two_ways_tolerance) {
    return {.reward = 1, .done = true};
  }
  const double left = two_ways_distance(position_) / first_distance_;
  return {.reward = std::clamp(1 - left, 0.0, 1.0), .done = false};
}

std::string TwoWays::way() const {
  if (!way_) return {};
  return *way_ == Way::left ? "left" : "right";
}

std::vector<double> TwoWays::observation(std::size_t /*index*/) const {
  return {position_[0], position_[1]};
}

Vec2 TwoWays::on_picture(const Vec2& target) const {
  return {(1 + target[0]) / 2, (1 - target[1]) / 2};
}

Canvas TwoWays::draw(std::int64_t side, const std::optional<Vec2>& action) const {
  constexpr std::int64_t large = 512;
  constexpr double unit = large / 2.0;
  const auto pixel = [](const Vec2& p) {
    return nearest_pixel({unit * (1 + p[0]), unit * (1 - p[1])});
  };
  const auto pixels = [](double v) { return std::llrint(unit * v); };
  Canvas canvas(large, {255, 255, 255});
  canvas.fill_disc(pixel({0, 0}), pixels(two_ways_radius), {119, 136, 153});
  canvas.fill_disc(pixel(two_ways_goal), pixels(two_ways_tolerance), {144, 238, 144});
  canvas.fill_disc(pixel(position_), pixels(0.03), {65, 105, 225});
  if (action) canvas.cross(pixel(*action), 40, 6, {255, 0, 0});
  return canvas.reduced(side);
}

TwoWaysDemonstration two_ways_demonstration(std::uint32_t seed, double disturbance,
                                            std::int64_t picture_side) {
  TwoWays environment;
  environment.reset(seed);
  NumpyRandom random(seed);
  drawn_start(random);
  TwoWaysDemonstration out{.way = random.uniform() < 0.5 ? Way::left : Way::right,
                           .positions = {environment.position()},
                           .actions = {}};
  while (!environment.over()) {
    const Vec2 action = two_ways_expert(environment.position(), out.way);
    if (picture_side > 0) out.pictures.push_back(environment.picture({.side = picture_side}));
    const Vec2 taken{action[0] + disturbance * random.normal(),
                     action[1] + disturbance * random.normal()};
    environment.step(taken);
    out.actions.push_back(action);
    out.positions.push_back(environment.position());
  }
  return out;
}

std::vector<std::pair<std::string, at::Tensor>> two_ways_demonstrations(std::uint32_t seed,
                                                                        std::int64_t episodes,
                                                                        double disturbance,
                                                                        std::int64_t picture_side) {
  std::vector<double> states, actions;
  std::vector<at::Tensor> pictures;
  std::vector<std::int64_t> ends;
  for (std::int64_t i = 0; i < episodes; ++i) {
    const auto one =
        two_ways_demonstration(seed + static_cast<std::uint32_t>(i), disturbance, picture_side);
    pictures.insert(pictures.end(), one.pictures.begin(), one.pictures.end());
    for (std::size_t step = 0; step < one.actions.size(); ++step) {
      states.insert(states.end(), one.positions[step].begin(), one.positions[step].end());
      actions.insert(actions.end(), one.actions[step].begin(), one.actions[step].end());
    }
    ends.push_back(static_cast<std::int64_t>(actions.size() / 2));
  }
  const auto rows = [](const std::vector<double>& numbers) {
    return at::tensor(numbers, at::kDouble).view({-1, 2}).to(at::kFloat);
  };
  std::vector<std::pair<std::string, at::Tensor>> arrays{
      {"state", rows(states)},
      {"action", rows(actions)},
      {"episode_ends", at::tensor(ends, at::kLong)}};
  if (!pictures.empty()) {
    arrays.emplace_back("img", at::stack(pictures).permute({0, 2, 3, 1}).contiguous());
  }
  return arrays;
}

}  // namespace calor::policy
