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

// Idle threads of the pool spin by default and take cores from others; where anything else runs,
// work slows down several times. The pool reads its policy when a program is loaded, so this sets
// it and begins the program again; to be called first in main(). OMP_WAIT_POLICY in the environment
// wins.
void let_idle_threads_sleep(char** argv);

// Tells the allocator to keep freed memory for the next step instead of returning it to the system,
// which would hand it out again page by page, zeroed. For programs that compute for a while.
void keep_freed_memory();

}  // namespace calor
