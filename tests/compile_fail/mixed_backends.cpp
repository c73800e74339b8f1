// SPDX-License-Identifier: Apache-2.0
// Nothing moves silently from one backend to another.
// expect: a tensor of another backend
#include <iapt/autograd/tape.hpp>
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/ops/arithmetic.hpp>

struct other_backend : iapt::memory_pool<other_backend> {
  void* allocate_raw(std::size_t) { return nullptr; }
  void deallocate_raw(void*) {}
  void upload(float*, const float*, iapt::index_t) {}
  void download(float*, const float*, iapt::index_t) {}
};

template <class Backend>
using vector = iapt::tensor<float, 1, Backend>;

auto total(iapt::eigen_backend& backend, const vector<iapt::eigen_backend>& x, const vector<other_backend>& y) {
  iapt::inference ctx(backend);
#ifdef CORRECT
  return ctx(x + iapt::copy_to(backend, y));
#else
  return ctx(x + y);
#endif
}
