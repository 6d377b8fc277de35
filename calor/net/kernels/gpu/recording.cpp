#include "calor/net/kernels/gpu/recording.h"

#include <c10/core/DeviceGuard.h>

#include <utility>

#include "calor/net/kernels/gpu/launch.h"

namespace calor::net::kernels::gpu {
namespace {

class Repeated final : public Recording {
 public:
  explicit Repeated(std::function<void()> work) : work_(std::move(work)) {}
  void replay() override { work_(); }

 private:
  std::function<void()> work_;
};

}  // namespace

std::unique_ptr<Recording> record(const at::Device& device, std::function<void()> work) {
  if constexpr (has_kernels) {
    if (device.is_cuda()) {
      const c10::DeviceGuard guard(device);
      return record_cuda_graph(work);
    }
  }
  work();
  return std::make_unique<Repeated>(std::move(work));
}

}  // namespace calor::net::kernels::gpu
