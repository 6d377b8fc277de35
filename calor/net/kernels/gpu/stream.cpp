// Compiled where LibTorch and the compiler have CUDA.
#include "calor/net/kernels/gpu/stream.h"

#include <c10/cuda/CUDAStream.h>

namespace calor::net::kernels::gpu {

void* current_stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

}  // namespace calor::net::kernels::gpu
