// SPDX-License-Identifier: Apache-2.0
// Uses what needs Eigen alone: a fused statement, a product, and the gradients of both.
#include <cmath>
#include <iapt/autograd/tape.hpp>
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/core/tensor.hpp>
#include <iapt/ops/activations.hpp>
#include <iapt/ops/arithmetic.hpp>
#include <iapt/ops/matmul.hpp>
#include <iapt/ops/reduce.hpp>
#include <vector>

int main() {
  using namespace iapt;
  eigen_backend backend;
  auto x = from_host(backend, extents<2>{2, 3}, std::vector<float>{0, 1, 2, 3, 4, 5});
  auto w = from_host(backend, extents<2>{3, 1}, std::vector<float>{1, 1, 1});
  w.track();
  tape t{backend};
  auto h = t(silu(x) * x);
  auto y = t(matmul(h, w));
  t.backward(t(sum(y)));
  const auto gradient = to_host(w.gradient());
  const auto expected = [](double a) { return a * a / (1 + std::exp(-a)); };
  return gradient.size() == 3 && std::abs(gradient[1] - expected(1) - expected(4)) < 1e-4 ? 0 : 1;
}
