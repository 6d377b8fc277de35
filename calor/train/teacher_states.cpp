#include "calor/train/teacher_states.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"

namespace calor::train {
namespace {

std::string identity_of(const StatesRequest& request, std::size_t border) {
  const auto notes = solve::notes_from_options(request.sampling);
  const std::string text =
      fmt::format("{} {} {} {} {} {}", request.teacher, border, request.count, request.seed,
                  request.store == ParticleStore::fp16 ? 16 : 32, notes.begin()->second);
  return io::checksum(io::as_bytes(text));
}

at::Tensor labels_of(const data::ItemSpec& items, std::int64_t count) {
  return at::arange(count, at::kLong) % std::max<std::int64_t>(items.classes(), 1);
}

}  // namespace

std::optional<TeacherStates> teacher_states(
    const flow::Flow& teacher, const StatesRequest& request,
    const std::function<void(std::size_t, std::int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  const data::ItemSpec& items = teacher.items();
  if (items.condition_width > 0) {
    throw usage_error("a teacher without conditions, or with labels only",
                      fmt::format("one that is given {} numbers", items.condition_width),
                      "distil a model without data.condition");
  }
  TeacherStates states{.borders = std::vector<at::Tensor>(teacher.size() + 1),
                       .labels = labels_of(items, request.count)};
  for (std::size_t border = teacher.size() + 1; border-- > 0;) {
    const auto make = [&](std::int64_t first, std::int64_t count) {
      if (border == teacher.size()) {
        return teacher.initial_noise(solve::sampling_keys(request.seed, first, count)).cpu();
      }
      const at::Tensor right = states.borders[border + 1].narrow(0, first, count).to(at::kFloat);
      const flow::Given given{.labels = states.labels.narrow(0, first, count), .condition = {}};
      return solve::generate_between(teacher, border + 1, border, right, given, request.sampling)
          .items;
    };
    const StoreRequest store{
        .file = request.folder / fmt::format("border-{}.{}", border, store_ending(request.store)),
        .identity = identity_of(request, border),
        .rows = request.count,
        .chunk = push_chunk_rows(items.numbers()),
        .spec = items,
        .kind = request.store};
    const auto made = fill_store(store, make, [&](std::int64_t done) { progress(border, done); });
    if (!made) return std::nullopt;
    states.borders[border] = *made;
  }
  return states;
}

}  // namespace calor::train
