// The group norm's tasks, compiled for GPUs.
#include "calor/net/kernels/gpu/group_norm_tasks.h"

#include "calor/net/kernels/gpu/launch.cuh"

namespace calor::net::kernels::gpu {

#define CALOR_TASKS(X, Y)                                                  \
  template void launch_rows(const GroupNormForward<X, Y>&, std::int64_t);  \
  template void launch_rows(const GroupNormBackward<X, Y>&, std::int64_t); \
  template void launch_columns(const GroupNormSums<X, Y>&, std::int64_t, std::int64_t, std::int64_t)

CALOR_TASKS(float, float);
CALOR_TASKS(float, c10::BFloat16);
CALOR_TASKS(c10::BFloat16, float);
CALOR_TASKS(c10::BFloat16, c10::BFloat16);
CALOR_TASKS(double, double);

}  // namespace calor::net::kernels::gpu
