// SPDX-License-Identifier: Apache-2.0
// A check of gradients by central differences.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "iapt/autograd/tape.hpp"
#include "iapt/core/random.hpp"

namespace iapt {

/// Largest difference between the tape's gradient of Σ c·f(context), for random c, and its central difference, over all
/// elements of the parameters (double, tracked). It is relative to the largest element of each gradient, but at least
/// 1e-3 of the largest of all. f must read the parameters themselves. The result is about 1e-8 where f is smooth.
/// @throws numeric_error if f depends on no parameter
template <class Backend, class F, class... Parameters>
double gradcheck(Backend& backend, const F& f, const Parameters&... parameters) {
  (parameters.clear_gradient(), ...);
  tape<Backend> recorded(backend);
  const auto y = f(recorded);
  const auto c = random_normal<double>(backend, y.shape(), 1, random_stream(7, 0x9c));
  recorded.backward(y, c);

  const std::vector<double> weights = to_host(c);
  const auto value = [&] {
    inference<Backend> run(backend);
    const std::vector<double> now = to_host(f(run));
    long double total = 0;
    for (std::size_t i = 0; i < now.size(); ++i) total += static_cast<long double>(weights[i]) * now[i];
    return total;
  };
  struct comparison {
    double difference = 0, largest = 0;
  };
  const auto compare = [&](const auto& x) {
    comparison worst;
    std::vector<double> at = to_host(x);
    const std::vector<double> gradient = x.has_gradient() ? to_host(x.gradient()) : std::vector<double>(at.size());
    for (std::size_t i = 0; i < at.size(); ++i) {
      const double middle = at[i], step = 1e-5 * std::max(1.0, std::abs(middle));
      at[i] = middle + step, upload(x, at);
      const long double above = value();
      at[i] = middle - step, upload(x, at);
      const double expected = double((above - value()) / (2 * step));
      at[i] = middle, upload(x, at);
      worst.difference = std::max(worst.difference, std::abs(expected - gradient[i]));
      worst.largest = std::max(worst.largest, std::abs(expected));
    }
    return worst;
  };
  const std::vector<comparison> all{compare(parameters)...};
  double scale = 0, error = 0;
  for (const comparison& one : all) scale = std::max(scale, one.largest);
  for (const comparison& one : all)
    error = std::max(error, one.difference / std::max({one.largest, 1e-3 * scale, 1e-12}));
  return error;
}

}  // namespace iapt
