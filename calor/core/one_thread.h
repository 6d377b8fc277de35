// One thread for what must not depend on how many there are: products are summed in another order
// on other numbers of threads.
#pragma once

#include <ATen/Parallel.h>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace calor {

// For as long as this lives LibTorch's operators on the calling thread run on it alone. Not inside
// one of LibTorch's parallel regions.
//
// The number of threads belongs to each thread, but a thread takes the newest that any has set when
// it first computes, and again when it goes backwards: threads that compute meanwhile may do so on
// one thread, too.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  OneThread(OneThread&&) = delete;
  OneThread& operator=(OneThread&&) = delete;

 private:
  int before_;
};

// To be called inside a parallel region, until whose end it holds: oneDNN cuts its work for all the
// region's threads although it runs on one of them, so its sums would depend on their number.
inline void compute_alone() {
#ifdef _OPENMP
  if (omp_in_parallel() != 0) omp_set_num_threads(1);
#endif
}

}  // namespace calor
