// SPDX-License-Identifier: Apache-2.0
// Tutorial 2: your own operation, and the check of its gradient.
#include <iapt/autograd/gradcheck.hpp>
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/ops/arithmetic.hpp>
#include <iostream>

using namespace iapt;

// Softsign: y = x / (1 + |x|), dx = dy / (1 + |x|)². V is one element or a vec of neighbours; the same code is compiled
// for both.
struct softsign_fn {
  static constexpr auto name = "softsign";
  template <class V>
  static V forward(V x) {
    using std::abs;
    return x / (V(1) + abs(x));
  }
  template <class V>
  static auto backward(V dy, V x, V) {
    using std::abs;
    const V q = V(1) + abs(x);
    return adjoints(dy / (q * q));
  }
};
inline constexpr elementwise<softsign_fn> softsign;

int main() {
  eigen_backend backend{{.threads = 1}};
  auto x = random_normal<double>(backend, extents<2>{7, 33}, 1, random_stream(1));
  auto w = random_normal<double>(backend, extents<1>{33}, 1, random_stream(2));
  x.track(), w.track();
  // It fuses with other elementwise operations: one loop forward, one backward.
  const double error = gradcheck(
      backend, [&](auto& ctx) { return ctx(softsign(x * w) + x); }, x, w);
  std::cout << "largest difference from central differences: " << error << '\n';
  return error < 1e-7 ? 0 : 1;
}
