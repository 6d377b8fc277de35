// The same computation on several numbers of threads.
#pragma once

#include <ATen/Parallel.h>

#include <initializer_list>
#include <vector>

namespace calor::test {

// What `compute` gives on each number of LibTorch's threads, in that order; the number is put back.
template <typename Compute>
auto on_threads(std::initializer_list<int> counts, Compute&& compute) {
  const int before = at::get_num_threads();
  std::vector<decltype(compute())> results;
  for (const int count : counts) {
    at::set_num_threads(count);
    results.push_back(compute());
  }
  at::set_num_threads(before);
  return results;
}

}  // namespace calor::test
