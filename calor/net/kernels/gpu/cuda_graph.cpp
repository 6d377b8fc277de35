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

// A capture that failed has not let go of its memory: what it had begun is ended, and what fails in
// doing so had ended before.
void let_go(c10::DeviceIndex device, const at::cuda::MempoolId_t& pool) {
  const auto tried = [](const auto& what) {
    try {
      what();
    } catch (const std::exception&) {
      cudaGetLastError();
    }
  };
  namespace allocator = c10::cuda::CUDACachingAllocator;
  tried([&] { allocator::get()->endAllocateToPool(device, pool); });
  tried([&] { allocator::get()->releasePool(device, pool); });
  tried([&] { allocator::emptyCache(); });
}

}  // namespace

std::unique_ptr<Recording> record_cuda_graph(const std::function<void()>& work) {
  static std::mutex one_at_a_time;  // all record on one stream
  const std::scoped_lock lock(one_at_a_time);
  const c10::DeviceIndex device = c10::cuda::current_device();
  const auto pool = at::cuda::graph_pool_handle();
  auto recording = std::make_unique<CudaGraph>();
  bool begun = false;
  bool recorded = true;
  const c10::cuda::CUDAStreamGuard aside(stream_for_recording());
  try {
    c10::cuda::device_synchronize();
    // What was in use until now would stay reserved beside what the recording reserves.
    c10::cuda::CUDACachingAllocator::emptyCache();
    // What other threads do meanwhile is theirs.
    recording->graph.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    begun = true;
    work();
  } catch (const std::exception&) {
    recorded = false;
  }
  try {
    if (begun) recording->graph.capture_end();
  } catch (const std::exception&) {
    recorded = false;
  }
  if (recorded) return recording;
  cudaGetLastError();  // forgets what failed; whoever asked goes on without a recording
  if (begun) let_go(device, pool);
  return nullptr;
}

}  // namespace calor::net::kernels::gpu
