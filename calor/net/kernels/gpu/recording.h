// Work of a GPU as a CUDA graph: recorded once, then started with one call in place of one for each
// kernel.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace calor::net::kernels::gpu {

class Recording {
 public:
  virtual ~Recording() = default;
  // Starts the work again, on the current stream: it reads and writes the memory that it read and
  // wrote when it was recorded.
  virtual void replay() = 0;
};

// Records what `work` gives to a GPU, without doing it; its tensors live as long as the recording.
// Null where something in it cannot be recorded, as what waits for the GPU. On a processor, where
// tests see recordings without a GPU, the work itself is kept and done again each time.
std::unique_ptr<Recording> record(const at::Device& device, std::function<void()> work);

// The same for the current GPU. Only where LibTorch has CUDA.
std::unique_ptr<Recording> record_cuda_graph(const std::function<void()>& work);

}  // namespace calor::net::kernels::gpu
