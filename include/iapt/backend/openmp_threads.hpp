// SPDX-License-Identifier: Apache-2.0
// How many threads OpenMP gives to whoever asks it: a product library, or Thrust.
#pragma once
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace iapt {

/// Sets the number for a scope. Without OpenMP nothing asks.
class openmp_threads {
 public:
  /// From here to the end of the scope.
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
