// SPDX-License-Identifier: Apache-2.0
// A context evaluates tensors of its own backend only.
// expect: a tensor of another backend
#include <iapt/autograd/tape.hpp>
#include <iapt/backend/eigen/backend.hpp>

struct other_backend : iapt::memory_pool<other_backend> {
  void* allocate_raw(std::size_t) { return nullptr; }
  void deallocate_raw(void*) {}
};

auto same(iapt::eigen_backend& backend, const iapt::tensor<float, 1, other_backend>& x,
          const iapt::tensor<float, 1, iapt::eigen_backend>& y) {
  iapt::tape ctx(backend);
#ifdef CORRECT
  (void)x;
  return ctx(y);
#else
  (void)y;
  return ctx(x);
#endif
}
