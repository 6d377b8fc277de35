// The loader: a pool of threads that claim steps in turn, and a shelf where finished batches wait
// for their turn to be delivered. What a batch holds is decided by make_batch alone, so threads
// decide only when it is ready.
#include "calor/data/loader.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/core/threads.h"

namespace calor::data {
namespace {

// The shuffled epochs, one after another: position p of the run is an item of the set. The last two
// permutations are kept, since threads work on both sides of an epoch's border.
class EpochOrder {
 public:
  EpochOrder(std::int64_t items, std::uint64_t seed)
      : items_(items), key_(random_key(seed, RandomUse::data_order)) {}

  std::vector<std::int64_t> indices(std::int64_t first_position, std::int64_t count) {
    std::vector<std::int64_t> result(static_cast<std::size_t>(count));
    std::int64_t epoch = -1;
    Permutation order;
    for (std::int64_t k = 0; k < count; ++k) {
      const std::int64_t position = first_position + k;
      if (position / items_ != epoch) order = permutation(epoch = position / items_);
      result[static_cast<std::size_t>(k)] = (*order)[static_cast<std::size_t>(position % items_)];
    }
    return result;
  }

 private:
  using Permutation = std::shared_ptr<const std::vector<std::int64_t>>;

  Permutation permutation(std::int64_t epoch) {
    const std::lock_guard lock(mutex_);
    auto& slot = kept_[static_cast<std::size_t>(epoch % 2)];
    if (slot.first != epoch) {
      const RandomKey key = key_.child(static_cast<std::uint64_t>(epoch));
      slot = {epoch,
              std::make_shared<const std::vector<std::int64_t>>(random_permutation(key, items_))};
    }
    return slot.second;
  }

  std::int64_t items_;
  RandomKey key_;
  std::mutex mutex_;
  std::array<std::pair<std::int64_t, Permutation>, 2> kept_{{{-1, nullptr}, {-1, nullptr}}};
};

// Datasets fill batches by plain copies, no tensor operations on whole batches: those would start a
// team of compute threads under each loader thread.
Batch assemble(const Dataset& set, const LoaderOptions& options, EpochOrder& order,
               std::int64_t step) {
  const std::int64_t first_position = step * options.batch;
  Batch batch{.step = step,
              .items = {},
              .labels = {},
              .condition = {},
              .indices = order.indices(first_position, options.batch)};
  set.fill(batch, first_position, options.seed, options.flip);
  return batch;
}

void check(const Dataset& set, const LoaderOptions& options) {
  const auto at_least = [](const char* what, std::int64_t value, std::int64_t low) {
    if (value >= low) return;
    throw usage_error(fmt::format("{} of at least {}", what, low), fmt::format("{}", value),
                      "give a larger number");
  };
  at_least("a batch size", options.batch, 1);
  at_least("a first step", options.first_step, 0);
  at_least("a number of loader threads", options.threads, 1);
  at_least("a number of batches prepared ahead", options.ahead, 1);
  if (set.size() < 1) {
    throw Error("a data set with at least one item", "an empty set", "choose another data set");
  }
}

}  // namespace

Batch make_batch(const Dataset& set, const LoaderOptions& options, std::int64_t step) {
  check(set, options);
  EpochOrder order(set.size(), options.seed);
  return assemble(set, options, order, step);
}

Batch batch_of(const Dataset& set, std::int64_t first, std::int64_t count) {
  Batch batch;
  batch.indices.resize(static_cast<std::size_t>(count));
  std::iota(batch.indices.begin(), batch.indices.end(), first);
  set.fill(batch, first, /*seed=*/0, /*flip=*/false);
  return batch;
}

struct Loader::State {
  State(std::shared_ptr<const Dataset> dataset, LoaderOptions loader_options)
      : set(std::move(dataset)),
        options(loader_options),
        order(set->size(), options.seed),
        to_claim(options.first_step),
        to_deliver(options.first_step) {
    start_threads(
        threads, options.threads, [this] { work(); }, [this] { shut_down(); },
        "threads that read the data",
        "give fewer with train.loader_threads, or raise the limit on threads or memory");
  }
  ~State() { shut_down(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void shut_down() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    room.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  // The next step to work on, as soon as the shelf has room; nothing when it is time to stop.
  std::optional<std::int64_t> claim() {
    std::unique_lock lock(mutex);
    room.wait(lock, [this] { return stop || to_claim < to_deliver + options.ahead; });
    if (stop) return std::nullopt;
    return to_claim++;
  }

  void work() {
    while (const std::optional<std::int64_t> step = claim()) {
      Result result;
      try {
        result.batch = assemble(*set, options, order, *step);
      } catch (...) {
        result.error = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      shelf.emplace(*step, std::move(result));
      if (*step == to_deliver) ready.notify_all();
    }
  }

  Batch next() {
    std::unique_lock lock(mutex);
    ready.wait(lock, [this] { return shelf.contains(to_deliver); });
    const auto found = shelf.find(to_deliver);
    // A failed step stays on the shelf: asking again gives the same error, never a gap.
    if (found->second.error) std::rethrow_exception(found->second.error);
    Batch batch = std::move(found->second.batch);
    shelf.erase(found);
    ++to_deliver;
    lock.unlock();
    room.notify_one();
    return batch;
  }

  struct Result {
    Batch batch;
    std::exception_ptr error;
  };

  std::shared_ptr<const Dataset> set;
  LoaderOptions options;
  EpochOrder order;

  std::mutex mutex;               // guards what follows
  std::condition_variable room;   // a step may be claimed
  std::condition_variable ready;  // the step to deliver is on the shelf
  std::int64_t to_claim;
  std::int64_t to_deliver;
  std::map<std::int64_t, Result> shelf;
  bool stop = false;
  std::vector<std::thread> threads;  // last, so that threads see complete members
};

Loader::Loader(std::shared_ptr<const Dataset> set, LoaderOptions options) {
  check(*set, options);
  state_ = std::make_unique<State>(std::move(set), options);
}

Loader::~Loader() = default;

Batch Loader::next() { return state_->next(); }

}  // namespace calor::data
