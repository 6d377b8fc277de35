#include "calor/distill/way.h"

#include <ATen/ATen.h>

namespace calor::distill {

Way Way::narrow(std::int64_t first, std::int64_t count) const {
  Way own{.times = times, .states = {}, .given = given.narrow(first, count)};
  for (const at::Tensor& state : states) own.states.push_back(state.narrow(0, first, count));
  return own;
}

Way Way::every(std::int64_t stride) const {
  Way own{.times = {}, .states = {}, .given = given};
  for (std::size_t i = 0; i < times.size(); i += static_cast<std::size_t>(stride)) {
    own.times.push_back(times[i]);
    own.states.push_back(states[i]);
  }
  return own;
}

// One gather for each place, put where its rows belong.
at::Tensor Way::at(std::span<const std::int64_t> rows, std::span<const std::int64_t> places) const {
  std::vector<std::vector<std::int64_t>> wanted(states.size()), positions(states.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    wanted.at(static_cast<std::size_t>(places[i])).push_back(rows[i]);
    positions[static_cast<std::size_t>(places[i])].push_back(static_cast<std::int64_t>(i));
  }
  std::vector<std::int64_t> shape = states.front().sizes().vec();
  shape[0] = static_cast<std::int64_t>(rows.size());
  at::Tensor out = at::empty(shape, at::kFloat);
  for (std::size_t p = 0; p < states.size(); ++p) {
    if (wanted[p].empty()) continue;
    const at::Tensor found = states[p].index_select(0, at::tensor(wanted[p], at::kLong));
    out.index_copy_(0, at::tensor(positions[p], at::kLong), found.to(at::kFloat));
  }
  return out;
}

at::Tensor Way::times_at(std::span<const std::int64_t> places) const {
  std::vector<float> own;
  own.reserve(places.size());
  for (const std::int64_t place : places) {
    own.push_back(static_cast<float>(times.at(static_cast<std::size_t>(place))));
  }
  return at::tensor(own, at::kFloat);
}

}  // namespace calor::distill
