// Passes through a network on a GPU, recorded once and replayed: a small network, or a small batch,
// waits for the start of some hundred kernels, a recording for one. Results are the same.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <cstddef>
#include <mutex>
#include <vector>

#include "calor/net/network.h"

namespace calor::net {

class Replay {
 public:
  Replay();
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  // network.forward(input, context). From the second call with inputs of the same sizes on it is a
  // recording that answers, where the network is on a GPU (or within gpu::TasksOnProcessor) and
  // either nothing asks for gradients or the pass only trains (ForwardContext); not where dropout
  // or taps are asked for. backward() then adds to parameters().flat_gradient(). Weights may change
  // between calls, but not move.
  at::Tensor forward(Network& network, const NetworkInput& input, ForwardContext& context);

  // The passes that have recordings: four at most, those asked for last, each of other sizes or
  // precision, with gradients or without.
  std::size_t recordings() const;

  struct Known;  // a pass of given sizes

 private:
  mutable std::mutex mutex_;
  std::vector<c10::intrusive_ptr<Known>> known_;  // the one that was asked last is the last
};

// While it lives, networks are asked themselves: for whoever wants to see their operators.
class WithoutRecordings {
 public:
  WithoutRecordings();
  ~WithoutRecordings();
  WithoutRecordings(const WithoutRecordings&) = delete;
  WithoutRecordings& operator=(const WithoutRecordings&) = delete;
};

}  // namespace calor::net
