// SPDX-License-Identifier: Apache-2.0
// The same statement on a GPU's stand-in, beside the processor's: two backends in one program.
#include <cmath>
#include <iapt/autograd/tape.hpp>
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/backend/thrust/backend.hpp>
#include <iapt/ops/activations.hpp>
#include <iapt/ops/reduce.hpp>
#include <vector>

using namespace iapt;

template <class Backend>
std::vector<float> gradient() {
  Backend backend;
  auto x = from_host(backend, extents<2>{2, 3}, std::vector<float>{0, 1, 2, 3, 4, 5});
  x.track();
  tape t{backend};
  t.backward(t(sum(silu(x))));
  return to_host(x.gradient());
}

int main() {
  const auto expected = gradient<eigen_backend>(), found = gradient<thrust_backend<thrust::cpp::tag>>();
  for (std::size_t i = 0; i < 6; ++i)
    if (std::abs(found[i] - expected[i]) > 1e-6f) return 1;
  return 0;
}
