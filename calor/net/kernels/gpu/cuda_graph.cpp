// Compiled where LibTorch and the compiler have CUDA.
#include "calor/net/kernels/gpu/recording.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>
#include <map>
#include <mutex>

namespace calor::net::kernels::gpu {
namespace {

// A stream's work cannot be recorded where it is the default one. One for all recordings of a GPU:
// a backward pass works on the stream of its forward pass.
c10::cuda::CUDAStream stream_for_recording() {
  static std::mutex mutex;
  static std::map<int, c10::cuda::CUDAStream> streams;
  const std::scoped_lock lock(mutex);
  const int device = c10::cuda::current_device();
  auto place = streams.find(device);
  if (place == streams.end()) {
    place = streams.emplace(device, c10::cuda::getStreamFromPool()).first;
  }
  return place->second;
}

class CudaGraph final : public Recording {
 public:
  void replay() override { graph.replay(); }
  at::cuda::CUDAGraph graph;
};

}  // namespace

std::unique_ptr<Recording> record_cuda_graph(const std::function<void()>& work) {
  auto recording = std::make_unique<CudaGraph>();
  c10::cuda::device_synchronize();
  // What was in use until now would stay reserved beside what the recording reserves.
  c10::cuda::CUDACachingAllocator::emptyCache();
  const c10::cuda::CUDAStreamGuard aside(stream_for_recording());
  // What other threads do meanwhile is theirs.
  recording->graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
  bool recorded = true;
  try {
    work();
  } catch (const std::exception&) {
    recorded = false;
  }
  try {
    recording->graph.capture_end();
  } catch (const std::exception&) {
    recorded = false;
  }
  cudaGetLastError();  // forgets what failed; whoever asked goes on without a recording
  if (!recorded) return nullptr;
  return recording;
}

}  // namespace calor::net::kernels::gpu
