// The image transformer's tasks, compiled for GPUs.
#include "calor/net/kernels/gpu/add_gated_tasks.h"
#include "calor/net/kernels/gpu/launch.cuh"
#include "calor/net/kernels/gpu/norm_modulate_tasks.h"
#include "calor/net/kernels/gpu/swiglu_tasks.h"
#include "calor/net/kernels/gpu/turned_heads_tasks.h"

namespace calor::net::kernels::gpu {

#define CALOR_ROWS(Task, S) template void launch_rows(const Task<S>&, std::int64_t)
#define CALOR_COLUMNS(Task, S) \
  template void launch_columns(const Task<S>&, std::int64_t, std::int64_t, std::int64_t)
#define CALOR_TASKS(S)                 \
  CALOR_ROWS(NormModulateForward, S);  \
  CALOR_ROWS(NormModulateBackward, S); \
  CALOR_COLUMNS(NormModulateSums, S);  \
  CALOR_ROWS(AddGatedForward, S);      \
  CALOR_COLUMNS(AddGatedBackward, S);  \
  CALOR_ROWS(SwigluForward, S);        \
  CALOR_ROWS(SwigluBackward, S);       \
  CALOR_ROWS(TurnedHeadsForward, S);   \
  CALOR_ROWS(TurnedHeadsBackward, S)

CALOR_TASKS(float);
CALOR_TASKS(double);
CALOR_TASKS(c10::BFloat16);

}  // namespace calor::net::kernels::gpu
