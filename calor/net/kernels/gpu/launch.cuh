// The three kernels that run tasks (launch.h), and what starts them. For .cu files, which
// instantiate the launch functions for their tasks.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "calor/core/error.h"
#include "calor/net/kernels/gpu/stream.h"
#include "calor/net/kernels/gpu/team.h"

namespace calor::net::kernels::gpu {

inline constexpr int row_teams = 8;    // warps of a block
inline constexpr int column_rows = 8;  // rows of a sample that a block reads at a time
inline constexpr int element_threads = 256;

template <class Task>
__global__ void run_rows(Task task, std::int64_t rows) {
  const std::int64_t row =
      static_cast<std::int64_t>(blockIdx.x) * row_teams + threadIdx.x / Warp::size;
  if (row < rows) task(Warp{}, row);
}

// A block has 32 columns of one sample; thread (x, y) takes its rows y, y + 8, ... of column x.
template <class Task>
__global__ void run_columns(Task task, std::int64_t length, std::int64_t width) {
  using Number = typename Task::Number;
  __shared__ Number parts[column_rows][Task::sums][Warp::size];
  const std::int64_t sample = blockIdx.x;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * Warp::size + threadIdx.x;
  Number sums[Task::sums] = {};
  if (column < width) {
    for (std::int64_t l = threadIdx.y; l < length; l += column_rows) {
      task.add(sample, l, column, sums);
    }
  }
  for (int k = 0; k < Task::sums; ++k) parts[threadIdx.y][k][threadIdx.x] = sums[k];
  __syncthreads();
  if (threadIdx.y != 0 || column >= width) return;
  for (int k = 0; k < Task::sums; ++k) {
    for (int y = 1; y < column_rows; ++y) sums[k] += parts[y][k][threadIdx.x];
  }
  task.finish(sample, column, sums);
}

template <class Task>
__global__ void run_elements(Task task, std::int64_t count) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    task(i);
  }
}

inline void require_started() {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  throw Error("a kernel that starts on the GPU", cudaGetErrorString(error),
              "take --device cpu, or report this with the GPU's name and the driver's version");
}

inline cudaStream_t stream() { return static_cast<cudaStream_t>(current_stream()); }

template <class Task>
void launch_rows(const Task& task, std::int64_t rows) {
  const auto blocks = static_cast<unsigned>((rows + row_teams - 1) / row_teams);
  run_rows<<<blocks, row_teams * Warp::size, 0, stream()>>>(task, rows);
  require_started();
}

template <class Task>
void launch_columns(const Task& task, std::int64_t samples, std::int64_t length,
                    std::int64_t width) {
  const dim3 blocks(static_cast<unsigned>(samples),
                    static_cast<unsigned>((width + Warp::size - 1) / Warp::size));
  run_columns<<<blocks, dim3(Warp::size, column_rows), 0, stream()>>>(task, length, width);
  require_started();
}

template <class Task>
void launch_elements(const Task& task, std::int64_t count) {
  constexpr std::int64_t most_blocks = 1 << 16;
  const std::int64_t blocks = (count + element_threads - 1) / element_threads;
  run_elements<<<static_cast<unsigned>(std::min(blocks, most_blocks)), element_threads, 0,
                 stream()>>>(task, count);
  require_started();
}

}  // namespace calor::net::kernels::gpu
