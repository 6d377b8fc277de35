// A task for a policy: an episode starts from a seed, takes actions at a fixed rate, shows vectors
// and pictures, and pays rewards in [0, 1]. An episode is a function of its seed and its actions
// alone; two environments share nothing, so each thread can have its own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calor/policy/canvas.h"

namespace calor::policy {

// A vector of numbers and the range that each has in ordinary episodes; none is cut to it.
struct VectorSpec {
  std::string name, text;
  std::vector<double> low, high;
  bool beside_pictures = false;  // too little to act on without a picture

  std::size_t size() const { return low.size(); }
};

struct EnvironmentSpec {
  std::string name, text;
  VectorSpec action;
  std::vector<VectorSpec> observations;  // the first is the default
  std::int64_t picture_side = 96;        // of the pictures that policies are trained on
  std::int64_t max_steps = 0;            // of an episode that counts
  double control_hz = 0;                 // actions a second
  double success_reward = 1;             // the best reward of an episode that succeeds, at least
};

struct Outcome {
  double reward = 0;
  bool done = false;  // the task is accomplished
};

struct PictureOptions {
  std::int64_t side = 96;       // 1 to 512
  bool show_action = false;     // marks the last action
  std::vector<Vec2> plan = {};  // targets that are planned, marked from yellow to red
};

class Environment {
 public:
  explicit Environment(EnvironmentSpec spec) : spec_(std::move(spec)) {}
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  Environment(Environment&&) = delete;
  Environment& operator=(Environment&&) = delete;
  virtual ~Environment() = default;

  const EnvironmentSpec& spec() const { return spec_; }

  // Starts an episode. Error for seeds of more than 32 bits.
  void reset(std::uint64_t seed);
  // One control step. What lies outside of the action's range is taken as it is; Error where the
  // size is wrong, for numbers that are not finite or beyond +-1e5, and before the first reset. An
  // episode that is over may be stepped on.
  Outcome step(std::span<const double> action);

  std::int64_t steps() const { return steps_; }
  double best_reward() const { return best_reward_; }
  bool success() const { return steps_ > 0 && best_reward_ >= spec_.success_reward; }
  // Done once, or out of steps.
  bool over() const { return done_ || steps_ >= spec_.max_steps; }
  // The one of several equally good ways that the episode took; empty where there are none, or not
  // yet.
  virtual std::string way() const { return {}; }

  // The observation `name`, as its spec has it; Error where there is none, and before a reset.
  std::vector<double> observe(std::string_view name) const;
  // uint8 [3, side, side].
  at::Tensor picture(const PictureOptions& options = {}) const;

 protected:
  virtual void start(std::uint32_t seed) = 0;
  virtual Outcome advance(std::span<const double> action) = 0;
  // observations[index].
  virtual std::vector<double> observation(std::size_t index) const = 0;
  virtual Canvas draw(std::int64_t side, const std::optional<Vec2>& action) const = 0;
  // Where a target lies on a picture: from its left and upper edge, as shares of its side.
  virtual Vec2 on_picture(const Vec2& target) const = 0;

  // An episode that starts otherwise than by reset().
  void begin_episode();

 private:
  void require_started() const;
  void check_action(std::span<const double> action) const;

  EnvironmentSpec spec_;
  bool started_ = false, done_ = false;
  std::int64_t steps_ = 0;
  double best_reward_ = 0;
  std::vector<double> last_action_;
};

}  // namespace calor::policy
