// SPDX-License-Identifier: Apache-2.0
// The backend that a test runs on, and numbers that cross between backends: as double, on the host. The build compiles
// one test body once for each backend, with IAPT_TEST_BACKEND and IAPT_TEST_BACKEND_HEADER (see ../CMakeLists.txt).
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include IAPT_TEST_BACKEND_HEADER
#include "iapt/core/random.hpp"
#include "iapt/core/tensor.hpp"

namespace iapt::test {

/// The backend of this build of the test.
using test_backend = IAPT_TEST_BACKEND;

/// Whether a backend is the host, with threads of its own.
template <class Backend = test_backend>
inline constexpr bool has_threads = requires(const Backend& backend) {
  backend.threads();
};
/// The backend, with a number of threads where it has any.
template <class Backend = test_backend>
Backend with_threads(int threads) {
  if constexpr (has_threads<Backend>)
    return Backend({.threads = threads});
  else
    return Backend();
}

/// Row-major numbers on the host.
template <int Rank>
struct host_array {
  extents<Rank> shape;         ///< outermost first
  std::vector<double> values;  ///< row-major

  /// Zeros, or the given numbers.
  explicit host_array(extents<Rank> n) : shape(n), values(element_count(n)) {}
  host_array(extents<Rank> n, std::vector<double> v) : shape(n), values(std::move(v)) {}
  /// One extent.
  index_t size(int axis) const { return shape[axis]; }
  /// One element.
  double& operator()(index_t i) { return values[i]; }
  double operator()(index_t i) const { return values[i]; }
  double& operator()(index_t i, index_t j) requires(Rank == 2) { return values[i * shape[1] + j]; }
  double operator()(index_t i, index_t j) const requires(Rank == 2) { return values[i * shape[1] + j]; }
};

/// Normal numbers, rounded to float so that both precisions start from the same: random({7, 33}).
template <std::size_t Rank>
host_array<int(Rank)> random(const index_t (&n)[Rank], std::uint64_t seed = 1, double deviation = 1) {
  host_array<int(Rank)> x(std::to_array(n));
  random_stream stream(seed, Rank);
  for (double& v : x.values) v = static_cast<float>(deviation * stream.normal());
  return x;
}
/// A vector of the given numbers.
inline host_array<1> numbers(std::vector<double> values) { return {{index_t(values.size())}, values}; }

/// Host numbers as a tensor of T.
template <class T, class Backend, int Rank>
tensor<T, Rank, Backend> upload_as(Backend& backend, const host_array<Rank>& x) {
  return from_host(backend, x.shape, std::vector<T>(x.values.begin(), x.values.end()));
}
/// The same, wanting a gradient.
template <class T, class Backend, int Rank>
tensor<T, Rank, Backend> tracked(Backend& backend, const host_array<Rank>& x) {
  auto parameter = upload_as<T>(backend, x);
  parameter.track();
  return parameter;
}
/// A tensor's numbers as double.
template <class T, int Rank, class Backend>
std::vector<double> values_of(const tensor<T, Rank, Backend>& x) {
  const std::vector<T> values = to_host(x);
  return {values.begin(), values.end()};
}

}  // namespace iapt::test
