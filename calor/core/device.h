// Where tensors live and how many threads work.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace calor {

// "auto" (CUDA where LibTorch sees a GPU, else the CPU), "cpu", "cuda" or "cuda:N". UsageError for
// anything else or a GPU that is not there.
c10::Device parse_device(const std::string& name);

// Threads of LibTorch's pool, the only one that computes; 0 keeps its default, one per core.
void set_threads(int threads);

// Tells the allocator to keep freed memory for the next step instead of returning it to the system,
// which would hand it out again page by page, zeroed. For programs that compute for a while.
void keep_freed_memory();

}  // namespace calor
