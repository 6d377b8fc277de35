// Runs a fused operator's tasks on a GPU, where the program was built with a CUDA compiler; a
// processor runs the same tasks one after another, which is how tests see them without a GPU.
//
// A task is a small struct of pointers and sizes with a call operator, passed by value:
//   by rows      task(team, row): a team of threads shares a row;
//   by columns   task.add(sample, l, column, sums) for each of a sample's rows, then
//                task.finish(sample, column, sums): what is summed over rows;
//   by elements  task(i).
// Sums are added in an order of their own, the same every time.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>

#include <cstdint>

#include "calor/net/kernels/gpu/team.h"
#include "calor/net/kernels/stored.h"

namespace calor::net::kernels::gpu {

#ifdef CALOR_GPU_KERNELS
inline constexpr bool has_kernels = true;
#else
inline constexpr bool has_kernels = false;
#endif

// Whether there are tasks for this tensor's device: on a GPU where kernels exist and were found to
// agree with the references (trusted.h), on a processor within TasksOnProcessor only.
bool serves(const at::Tensor& x);

// Whether an operator that has a fused form for x runs it as tasks, and not as a processor's loops.
bool runs_tasks(const at::Tensor& x);

// Whether kernels know such numbers (stored.h) and have loops or tasks for their device.
inline bool has_fused(const at::Tensor& wide, at::ScalarType stored) {
  return are_stored_numbers(wide, stored) && (wide.is_cpu() || serves(wide));
}

// While it lives, operators run their tasks on the processor. For tests, one at a time.
class TasksOnProcessor {
 public:
  TasksOnProcessor();
  ~TasksOnProcessor();
  TasksOnProcessor(const TasksOnProcessor&) = delete;
  TasksOnProcessor& operator=(const TasksOnProcessor&) = delete;
  TasksOnProcessor(TasksOnProcessor&&) = delete;
  TasksOnProcessor& operator=(TasksOnProcessor&&) = delete;
};

// The kernels (launch.cuh), on the current stream of the current device; Error where they do not
// start.
template <class Task>
void launch_rows(const Task& task, std::int64_t rows);
template <class Task>
void launch_columns(const Task& task, std::int64_t samples, std::int64_t length,
                    std::int64_t width);
template <class Task>
void launch_elements(const Task& task, std::int64_t count);

template <class Task>
void for_rows(const at::Device& device, const Task& task, std::int64_t rows) {
  if (device.is_cpu()) {
    for (std::int64_t row = 0; row < rows; ++row) task(Alone{}, row);
  } else if constexpr (has_kernels) {
    const c10::DeviceGuard guard(device);
    launch_rows(task, rows);
  }
}

template <class Task>
void for_columns(const at::Device& device, const Task& task, std::int64_t samples,
                 std::int64_t length, std::int64_t width) {
  if (device.is_cpu()) {
    for (std::int64_t i = 0; i < samples * width; ++i) {
      typename Task::Number sums[Task::sums] = {};
      for (std::int64_t l = 0; l < length; ++l) task.add(i / width, l, i % width, sums);
      task.finish(i / width, i % width, sums);
    }
  } else if constexpr (has_kernels) {
    const c10::DeviceGuard guard(device);
    launch_columns(task, samples, length, width);
  }
}

template <class Task>
void for_elements(const at::Device& device, const Task& task, std::int64_t count) {
  if (device.is_cpu()) {
    for (std::int64_t i = 0; i < count; ++i) task(i);
  } else if constexpr (has_kernels) {
    const c10::DeviceGuard guard(device);
    launch_elements(task, count);
  }
}

}  // namespace calor::net::kernels::gpu
