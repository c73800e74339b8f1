// SPDX-License-Identifier: Apache-2.0
// The number of threads that OpenMP gives to a library, such as oneDNN or Thrust.
#pragma once
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace iapt {

/// Sets OpenMP's number of threads for a scope. Without OpenMP it does nothing.
class openmp_threads {
 public:
  /// Sets the number until the end of the scope.
  explicit openmp_threads([[maybe_unused]] int threads) {
#if defined(_OPENMP)
    omp_set_num_threads(threads);
#endif
  }
  ~openmp_threads() {
#if defined(_OPENMP)
    omp_set_num_threads(before_);
#endif
  }
  openmp_threads(const openmp_threads&) = delete;
  openmp_threads& operator=(const openmp_threads&) = delete;

 private:
#if defined(_OPENMP)
  int before_ = omp_get_max_threads();
#endif
};

}  // namespace iapt
