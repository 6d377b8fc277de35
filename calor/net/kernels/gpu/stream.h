// The stream on which LibTorch works.
#pragma once

namespace calor::net::kernels::gpu {

// The current stream of the current GPU, a cudaStream_t. Only where LibTorch has CUDA.
void* current_stream();

}  // namespace calor::net::kernels::gpu
