#include "calor/distill/teacher_states.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/loader.h"
#include "calor/distill/lessons.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/file_lock.h"
#include "calor/path/log_snr.h"
#include "calor/path/picture_space.h"

namespace calor::distill {
namespace {

namespace fs = std::filesystem;

// `where`: what the store holds of the request.
std::string identity_of(const StatesRequest& request, const std::string& where) {
  const auto notes = solve::notes_from_options(request.sampling);
  std::string text =
      fmt::format("{} {} {} {} {} {}", request.teacher, where, request.count, request.seed,
                  request.store == train::ParticleStore::fp16 ? 16 : 32, notes.begin()->second);
  if (!request.conditions.empty()) text += " " + request.conditions;
  return io::checksum(io::as_bytes(text));
}

// Told the place on a way that is being made, counted from 1, and the items done.
using OnPiece = std::function<void(std::int64_t piece, std::int64_t done)>;

// Items from a number on, so many of them.
using Make = std::function<at::Tensor(std::int64_t first, std::int64_t count)>;

// Nothing where a signal asked to stop before another process let the file go.
std::optional<io::FileLock> lock_when_free(const fs::path& file) {
  while (!interrupted()) {
    auto lock = io::FileLock::try_lock(file, io::FileLock::Kind::exclusive);
    if (lock) return lock;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return {};
}

// One file of the request, `name` in its folder. Where another process makes it, this one waits for
// that, and finds it whole.
std::optional<at::Tensor> fill(const StatesRequest& request, const data::ItemSpec& items,
                               const std::string& name, const std::string& where, const Make& make,
                               const std::function<void(std::int64_t)>& progress) {
  const auto lock = lock_when_free(request.folder / (name + ".lock"));
  if (!lock) return {};
  const train::StoreRequest store{
      .file = request.folder / fmt::format("{}.{}", name, store_ending(request.store)),
      .identity = identity_of(request, where),
      .rows = request.count,
      .chunk = train::push_chunk_rows(items.numbers()),
      .spec = items,
      .kind = request.store};
  return fill_store(store, make, progress);
}

std::string border_title(std::size_t border) {
  return border == 0 ? "the teacher's samples"
                     : fmt::format("the teacher's states before stage {}", border);
}

// A flow that was trained to be straight: on the way from its right end to its left one it goes
// along the linear path, whatever path its network was made for.
class StraightFlow {
 public:
  StraightFlow(const flow::Flow& flow, std::size_t stage, const solve::SolverOptions& solver)
      : stage_(flow.stage(stage)), solver_(solver) {
    const data::ItemSpec& items = flow.items();
    space_ = {path::make_path({.kind = path::PathKind::linear}, items.height, items.width),
              items.height, items.width, at::kFloat, flow.device()};
    solver_.clip_data = false;  // the left end of a stage need not be data
  }

  // Its states [N, times, C, H, W] from the right end z on, at times ascending, 0 < t <= 1.
  at::Tensor way(const at::Tensor& z, const std::vector<double>& times,
                 const flow::Given& given) const {
    if (solve::has_way(solver_)) {
      return solve::sample_way(
          space_, [&](const at::Tensor& state, double t) { return clean(state, t, given); }, z,
          times, solver_);
    }
    std::vector<at::Tensor> states{z};
    double from = 0;
    for (const double to : times) {
      states.push_back(integrated(states.back(), from, to, given));
      from = to;
    }
    return at::stack(at::TensorList(states).slice(1), 1);
  }

 private:
  // The left end that is expected at time t < 1.
  at::Tensor clean(const at::Tensor& state, double t, const flow::Given& given) const {
    const at::Tensor times = at::full({state.size(0)}, t, state.options());
    const at::Tensor said = stage_.predict(state, times, given);
    return stage_.predicts_velocity() ? state + (1 - t) * said : said;
  }

  // By an ODE solver. Where the network says the clean item, the last piece is that.
  at::Tensor integrated(const at::Tensor& z, double from, double to,
                        const flow::Given& given) const {
    solve::SolverOptions solver = solver_;
    if (!is_ode(solver.solver)) solver.solver = solve::Solver::adams;
    const double last = stage_.predicts_velocity() ? to : std::min(to, 1 - solver.t_eps);
    const auto derivative = [&](const at::Tensor& t, const at::Tensor& x) {
      return straight_velocity(stage_, x.view(z.sizes()), t, given).reshape(x.sizes());
    };
    at::Tensor state = z;
    if (last > from) {
      state =
          integrate(derivative, z.flatten(1), from, last, ode_options(solver)).y.view(z.sizes());
    }
    if (last == to) return state;
    return to == 1 ? clean(state, last, given) : state;
  }

  const flow::Stage& stage_;
  solve::SolverOptions solver_;
  path::PictureSpace space_;
};

// The conditions [count, c] of a set's items, in turn.
at::Tensor conditions_in_turn(const data::Dataset& set, std::int64_t count) {
  constexpr std::int64_t at_once = 4096;
  const std::int64_t own = std::min(count, set.size());
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < own; first += at_once) {
    parts.push_back(data::batch_of(set, first, std::min(at_once, own - first)).condition);
  }
  return at::cat(parts).index_select(0, at::arange(count, at::kLong).remainder(own));
}

}  // namespace

std::string states_name(const StatesRequest& request) { return identity_of(request, "all"); }

flow::Given given_in_turn(const data::ItemSpec& items, const data::Dataset* conditions,
                          std::int64_t count) {
  require_usage(items.observed.count == 0, "a teacher that observes numbers",
                fmt::format("one that observes {} pictures", items.observed.count),
                "pairs with pictures are not kept: distil a policy of numbers");
  flow::Given given{
      .labels = at::arange(count, at::kLong) % std::max<std::int64_t>(items.classes(), 1),
      .condition = {}};
  if (items.condition_width == 0) return given;
  require_usage(
      conditions != nullptr && conditions->spec().condition_width == items.condition_width,
      fmt::format("a set whose items have {} conditions", items.condition_width),
      conditions == nullptr ? std::string("none")
                            : fmt::format("one with {}", conditions->spec().condition_width),
      "give the data that the teacher was trained on");
  given.condition = conditions_in_turn(*conditions, count);
  return given;
}

std::optional<TeacherStates> teacher_states(const flow::Flow& teacher, const StatesRequest& request,
                                            const OnStates& progress) {
  const c10::NoGradGuard no_grad;
  const data::ItemSpec& items = teacher.items();
  TeacherStates states{.borders = std::vector<at::Tensor>(teacher.size() + 1),
                       .given = request.given};
  for (std::size_t border = teacher.size() + 1; border-- > 0;) {
    const auto make = [&](std::int64_t first, std::int64_t count) {
      if (border == teacher.size()) {
        return teacher.initial_noise(solve::sampling_keys(request.seed, first, count)).cpu();
      }
      const at::Tensor right = states.borders[border + 1].narrow(0, first, count).to(at::kFloat);
      return solve::generate_between(teacher, border + 1, border, right,
                                     states.given.narrow(first, count), request.sampling)
          .items;
    };
    const auto made = fill(request, items, fmt::format("border-{}", border), std::to_string(border),
                           make, [&](std::int64_t done) { progress(border_title(border), done); });
    if (!made) return std::nullopt;
    states.borders[border] = *made;
  }
  return states;
}

Place teacher_place(const flow::Flow& teacher, StageGroup group, const flow::Stage& student,
                    double t) {
  const double wanted = path::log_snr_at(student.whole_path(), t);
  auto n = static_cast<std::size_t>(group.last);
  while (n > static_cast<std::size_t>(group.first) &&
         wanted >= path::log_snr_at(teacher.stage(n).whole_path(), 1)) {
    --n;
  }
  return {.stage = n, .t = path::time_of_log_snr(teacher.stage(n).whole_path(), wanted)};
}

namespace {

// The states between, one after another, each from the one before by an ODE solver.
std::optional<std::vector<at::Tensor>> states_by_ode(const flow::Flow& teacher,
                                                     const StatesRequest& request,
                                                     const TeacherStates& states,
                                                     const std::vector<Place>& places,
                                                     const OnPiece& on_piece) {
  const auto pieces = static_cast<std::int64_t>(places.size()) + 1;
  std::vector<at::Tensor> between;
  Place before{.stage = teacher.size(), .t = 0};
  for (const Place& place : places) {
    const bool go_on = place.stage == before.stage;
    const double from = go_on ? before.t : 0;
    const at::Tensor start = go_on ? between.back() : states.borders[place.stage + 1];
    const auto make = [&](std::int64_t first, std::int64_t count) {
      return solve::generate_within(teacher, place.stage, from, place.t,
                                    start.narrow(0, first, count),
                                    states.given.narrow(first, count), request.sampling)
          .items;
    };
    const auto i = static_cast<std::int64_t>(between.size()) + 1;
    const auto made = fill(request, teacher.items(), fmt::format("{}-of-{}", i, pieces),
                           fmt::format("{} {:.17g} from {:.17g}", place.stage, place.t, from), make,
                           [&](std::int64_t done) { on_piece(i, done); });
    if (!made) return std::nullopt;
    between.push_back(*made);
    before = place;
  }
  return between;
}

// States at these times, which `make` says for some of the items as [count, times, C, H, W], kept
// side by side in one file.
std::optional<std::vector<at::Tensor>> side_by_side(
    const StatesRequest& request, const data::ItemSpec& items, const std::string& name,
    const std::string& where, const std::vector<double>& times, const Make& make,
    const std::function<void(std::int64_t)>& progress) {
  const auto count_of_times = static_cast<std::int64_t>(times.size());
  data::ItemSpec all = items;
  all.channels *= count_of_times;
  const auto made = fill(
      request, all, name, fmt::format("{} at {}", where, fmt::join(times, " ")),
      [&](std::int64_t first, std::int64_t count) { return make(first, count).flatten(1, 2); },
      progress);
  if (!made) return std::nullopt;
  std::vector<at::Tensor> states;
  for (std::int64_t i = 0; i < count_of_times; ++i) {
    states.push_back(made->narrow(1, i * items.channels, items.channels));
  }
  return states;
}

// All of them in one go of the sampler.
std::optional<std::vector<at::Tensor>> states_by_sampler(const flow::Flow& teacher,
                                                         const StatesRequest& request,
                                                         const TeacherStates& states,
                                                         const std::vector<Place>& places,
                                                         const OnPiece& on_piece) {
  std::vector<double> times;
  for (const Place& place : places) times.push_back(place.t);
  const auto make = [&](std::int64_t first, std::int64_t count) {
    return solve::generate_way(teacher, times, states.borders.back().narrow(0, first, count),
                               states.given.narrow(first, count), request.sampling);
  };
  const auto last = static_cast<std::int64_t>(times.size());
  return side_by_side(request, teacher.items(), fmt::format("of-{}", last + 1), "sampled", times,
                      make, [&](std::int64_t done) { on_piece(last, done); });
}

}  // namespace

std::optional<Way> teacher_way(const flow::Flow& teacher, const StatesRequest& request,
                               const TeacherStates& states, StageGroup group,
                               const flow::Stage& student, std::int64_t pieces,
                               const OnStates& progress) {
  const c10::NoGradGuard no_grad;
  Way way{.times = path::log_snr_cuts(student.whole_path(), pieces),
          .states = {states.borders[static_cast<std::size_t>(group.last) + 1]},
          .given = states.given};
  if (pieces > 1) {
    StatesRequest own = request;
    own.folder = request.folder / fmt::format("way-{}-{}", group.first + 1, group.last + 1);
    io::make_folder(own.folder);
    std::vector<Place> places;
    for (std::size_t i = 1; i < static_cast<std::size_t>(pieces); ++i) {
      places.push_back(teacher_place(teacher, group, student, way.times[i]));
    }
    const OnPiece on_piece = [&](std::int64_t i, std::int64_t done) {
      progress(fmt::format("the teacher's way through the stages {} to {}, {} of {}",
                           group.first + 1, group.last + 1, i, pieces - 1),
               done);
    };
    const auto between = solve::has_way(teacher, own.sampling.solver)
                             ? states_by_sampler(teacher, own, states, places, on_piece)
                             : states_by_ode(teacher, own, states, places, on_piece);
    if (!between) return std::nullopt;
    way.states.insert(way.states.end(), between->begin(), between->end());
  }
  way.states.push_back(states.borders[static_cast<std::size_t>(group.first)]);
  return way;
}

std::optional<Way> straight_way(const flow::Flow& flow, std::size_t stage,
                                const StatesRequest& request, const at::Tensor& right,
                                const std::vector<double>& times, const OnStates& progress) {
  const c10::NoGradGuard no_grad;
  const StraightFlow straight(flow, stage, request.sampling.solver);
  const std::vector<double> wanted(times.begin() + 1, times.end());
  const auto make = [&](std::int64_t first, std::int64_t count) {
    std::vector<at::Tensor> parts;
    for (std::int64_t begin = first; begin < first + count; begin += request.sampling.batch) {
      const std::int64_t rows = std::min(request.sampling.batch, first + count - begin);
      parts.push_back(straight
                          .way(right.narrow(0, begin, rows).to(flow.device(), at::kFloat), wanted,
                               request.given.narrow(begin, rows).to(flow.device()))
                          .cpu());
    }
    return at::cat(parts);
  };
  const auto made =
      side_by_side(request, flow.items(), "way", "straight", wanted, make,
                   [&](std::int64_t done) { progress("the straight flow's way", done); });
  if (!made) return std::nullopt;
  Way way{.times = times, .states = {right}, .given = request.given};
  way.states.insert(way.states.end(), made->begin(), made->end());
  return way;
}

}  // namespace calor::distill
