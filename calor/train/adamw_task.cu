// The optimiser's update, compiled for GPUs.
#include "calor/train/adamw_task.h"

#include "calor/net/kernels/gpu/launch.cuh"

namespace calor::net::kernels::gpu {

template void launch_elements(const train::AdamwTask&, std::int64_t);

}  // namespace calor::net::kernels::gpu
