// SPDX-License-Identifier: Apache-2.0
// Tutorial 1: tensors, statements and gradients.
#include <iapt/autograd/tape.hpp>
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/ops/activations.hpp>
#include <iapt/ops/arithmetic.hpp>
#include <iapt/ops/matmul.hpp>
#include <iapt/ops/reduce.hpp>
#include <iostream>

using namespace iapt;

int main() {
  // A backend is an explicit object. Tensors live in its memory; their type has the backend and the number of extents.
  eigen_backend backend{{.threads = 1}};
  auto x = from_host<float>(backend, extents<2>{2, 3}, {1, 2, 3, 4, 5, 6});
  auto w = from_host<float>(backend, extents<2>{3, 2}, {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f});
  w.track();  // w needs a gradient; x does not, and costs nothing

  // An expression computes nothing. A context evaluates it: this one runs statements and records none.
  const auto expression = silu(matmul(x, w)) * 2;
  inference run(backend);
  for (float value : to_host(run(expression))) std::cout << value << ' ';
  std::cout << '\n';

  // A tape records. The matmul is one statement. The elementwise operations around it are another one: one loop.
  tape t(backend);
  const auto y = t(sum(expression));
  std::cout << "entries on the tape: " << t.size() << '\n';
  t.backward(y);
  std::cout << "gradient of w:";
  for (float value : to_host(w.gradient())) std::cout << ' ' << value;
  std::cout << '\n';

  // Extents that do not match are an error with both shapes and, if it can be guessed, the intended call.
  try {
    run(matmul(x, from_host<float>(backend, extents<2>{2, 3}, {1, 2, 3, 4, 5, 6})));
  } catch (const shape_error& failure) { std::cout << failure.what() << '\n'; }
}
