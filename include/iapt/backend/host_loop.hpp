// SPDX-License-Identifier: Apache-2.0
// A parallel loop on host threads.
#pragma once
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <exception>

#include "iapt/core/shape.hpp"

namespace iapt {

/// Calls f(k) for each k from 0 to n - 1, on `threads` threads: each thread has a contiguous part. Without OpenMP there
/// is one thread.
/// @throws what f throws; if several calls throw, one of their exceptions
template <class F>
void host_loop([[maybe_unused]] int threads, index_t n, F f) {
#if defined(_OPENMP)
  if (threads > 1 && n > 1) {
    std::exception_ptr failure;  // no exception may leave the region
#pragma omp parallel for num_threads(threads) schedule(static)
    for (index_t k = 0; k < n; ++k) {
      try {
        f(k);
      } catch (...) {
#pragma omp critical(iapt_failure)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#endif
  for (index_t k = 0; k < n; ++k) f(k);
}

/// Number of host threads for work beside a backend: the backend's own number if it runs on the host, else OpenMP's
/// default.
template <class Backend>
int host_threads([[maybe_unused]] const Backend& backend) {
  if constexpr (requires { backend.threads(); }) {
    return backend.threads();
  } else {
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
  }
}

}  // namespace iapt
