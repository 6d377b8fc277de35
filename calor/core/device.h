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

// To be called first by what computes for a while (and not by what only answers a question).
// Idle threads of the pool spin by default and take cores from others; where anything else runs,
// work slows down several times. The pool reads its policy when a program is loaded, so this sets
// it and begins the program again with the same arguments; OMP_WAIT_POLICY in the environment wins.
// Freed memory is kept for the next step instead of being returned to the system, which would hand
// it out again page by page, zeroed.
void prepare_to_compute();

}  // namespace calor
