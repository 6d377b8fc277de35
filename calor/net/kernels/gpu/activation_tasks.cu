// The perceptrons' tasks, compiled for GPUs.
#include "calor/net/kernels/gpu/activation_tasks.h"

#include "calor/net/kernels/gpu/launch.cuh"

namespace calor::net::kernels::gpu {

#define CALOR_ACTIVATE(F, T) template void launch_elements(const Activate<F, T>&, std::int64_t)
#define CALOR_TASKS(T)                                                  \
  CALOR_ACTIVATE(Relu, T);                                              \
  CALOR_ACTIVATE(Elu, T);                                               \
  CALOR_ACTIVATE(Softplus20, T);                                        \
  CALOR_ACTIVATE(Silu, T);                                              \
  CALOR_ACTIVATE(Gelu, T);                                              \
  CALOR_ACTIVATE(Tanh, T);                                              \
  template void launch_elements(const ScaleTangents<T>&, std::int64_t); \
  template void launch_rows(const ContractTangents<T>&, std::int64_t)

CALOR_TASKS(float);
CALOR_TASKS(double);

}  // namespace calor::net::kernels::gpu
