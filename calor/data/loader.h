// Batches in an order that is a pure function of (seed, step): shuffled by an explicit key each
// epoch, prepared ahead on background threads, the same for any number of threads, and able to
// start at any step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "calor/data/dataset.h"

namespace calor::data {

struct LoaderOptions {
  std::int64_t batch = 128;
  std::uint64_t seed = 0;
  bool flip = false;  // mirror each picture left-right with probability 1/2, keyed
  std::int64_t first_step = 0;
  int threads = 1;  // background threads
  int ahead = 4;    // batches prepared in advance
};

// The batch of a step, made on the calling thread: what the Loader must deliver.
Batch make_batch(const Dataset& set, const LoaderOptions& options, std::int64_t step);

// The items `first` ... `first` + count - 1 of a set, in order and not mirrored; what is random
// about an item follows its number.
Batch batch_of(const Dataset& set, std::int64_t first, std::int64_t count);

class Loader {
 public:
  Loader(std::shared_ptr<const Dataset> set, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next step's batch; to be called from one thread. An error met by a background thread is
  // thrown here, at its step, and again if asked again.
  Batch next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace calor::data
