// SPDX-License-Identifier: Apache-2.0
// What every operation must satisfy, in two calls: check_operation(f, reference, x...) and check_gradient(f, x...).
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "iapt/autograd/gradcheck.hpp"
#include "iapt/autograd/tape.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

namespace iapt::test {

/// Largest absolute value.
inline double largest_of(const std::vector<double>& x) {
  double largest = 0;
  for (double v : x) largest = std::max(largest, std::abs(v));
  return largest;
}

/// Largest difference, relative to the largest entry of the second or to `scale`, if that is more; infinity where the
/// sizes differ.
inline double difference(const std::vector<double>& a, const std::vector<double>& b, double scale = 1e-300) {
  if (a.size() != b.size()) return HUGE_VAL;
  double worst = 0;
  const double largest = std::max(scale, largest_of(b));
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i])) return HUGE_VAL;
    worst = std::max(worst, std::abs(a[i] - b[i]));
  }
  return worst / largest;
}

/// Root mean square of the differences, relative to that of the values.
inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double differences = 0, squares = 1e-300;
  for (std::size_t i = 0; i < a.size(); ++i) differences += (a[i] - b[i]) * (a[i] - b[i]), squares += b[i] * b[i];
  return std::sqrt(differences / squares);
}

/// The message of the error of type Error that a call throws; says so if there is none.
template <class Error, class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& failure) { return failure.what(); }
  return "nothing thrown";
}

/// Whether the number of threads may change the rounding: it does in products, nowhere else.
enum class threads_change { nothing, rounding };

/// A statement's value and its gradients after one backward, and after another that is added.
struct outcome {
  std::vector<double> value;                      ///< y
  std::vector<std::vector<double>> first, twice;  ///< gradients of all operands
};

/// Runs f(x...) on a tape twice, with a fixed random adjoint.
template <class T, class F, class... X>
outcome run(int threads, const F& f, const X&... x) {
  test_backend backend = with_threads(threads);
  outcome result;
  const auto step = [&](const auto&... p) {
    for (auto* gradients : {&result.first, &result.twice}) {
      tape<test_backend> recorded(backend);
      const auto y = recorded(f(p...));
      result.value = values_of(y);
      recorded.backward(y, random_normal<T>(backend, y.shape(), 1, random_stream(5)));
      (gradients->push_back(p.has_gradient() ? values_of(p.gradient()) : std::vector<double>()), ...);
    }
  };
  step(tracked<T>(backend, x)...);
  return result;
}

/// f(tensors...) is a statement, reference(arrays...) the same in plain double loops. Checked: double to 1e-12 and
/// float to 1e-5 of the reference, float gradients to 1e-4 of the double ones, the same bits (products: to rounding)
/// from one, two and three threads, and that a second backward adds.
template <class F, class Reference, class... X>
void check_operation(threads_change change, const F& f, const Reference& reference, const X&... x) {
  const outcome wide = run<double>(1, f, x...), narrow = run<float>(1, f, x...);
  const std::vector<double> expected = reference(x...).values;
  CHECK(difference(wide.value, expected) <= 1e-12);
  CHECK(difference(narrow.value, expected) <= 1e-5);
  double scale = 0;  // a gradient that vanishes is rounding alone: it is compared with the others' size
  for (const auto& gradient : wide.first) scale = std::max(scale, 1e-3 * largest_of(gradient));
  for (std::size_t i = 0; i < wide.first.size(); ++i) {
    CAPTURE(i);
    CHECK(difference(narrow.first[i], wide.first[i], scale) <= 1e-4);
    std::vector<double> doubled = wide.first[i];
    for (double& g : doubled) g *= 2;
    CHECK(difference(wide.twice[i], doubled, scale) <= 1e-12);
  }
  const double bound = change == threads_change::nothing ? 0 : 1e-5;
  for (int threads : {2, 3}) {
    CAPTURE(threads);
    const outcome many = run<float>(threads, f, x...);
    CHECK(difference(many.value, narrow.value) <= bound);
    for (std::size_t i = 0; i < many.first.size(); ++i)
      CHECK(difference(many.first[i], narrow.first[i], scale) <= bound);
  }
}
template <class F, class Reference, class... X>
void check_operation(const F& f, const Reference& reference, const X&... x) {
  check_operation(threads_change::nothing, f, reference, x...);
}

/// The tape's gradients of f(tensors...) against central differences, in double.
template <class F, class... X>
void check_gradient(const F& f, const X&... x) {
  test_backend backend = with_threads(2);
  const auto compare = [&](const auto&... p) {
    return gradcheck(
        backend, [&](auto& ctx) { return ctx(f(p...)); }, p...);
  };
  CHECK(compare(tracked<double>(backend, x)...) <= 1e-7);
}

/// x · w, or x · wᵀ, by loops.
inline host_array<2> product(const host_array<2>& x, const host_array<2>& w, bool by_rows) {
  host_array<2> y({x.size(0), w.size(by_rows ? 0 : 1)});
  for (index_t i = 0; i < y.size(0); ++i)
    for (index_t j = 0; j < y.size(1); ++j)
      for (index_t k = 0; k < x.size(1); ++k) y(i, j) += x(i, k) * (by_rows ? w(j, k) : w(k, j));
  return y;
}

/// Values of an elementwise operation, by hand.
template <class F>
void check_values(const F& f, const std::vector<double>& x, const std::vector<double>& expected) {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  CHECK(difference(values_of(ctx(f(upload_as<double>(backend, numbers(x))))), expected) <= 1e-9);
}
/// Reference of an elementwise operation: a function of numbers, applied to each.
template <class F>
auto each(F f) {
  return [f](const auto& first, const auto&... rest) {
    auto y = first;
    for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] = f(first.values[i], rest.values[i]...);
    return y;
  };
}

/// The message of the shape_error of a statement.
template <class F, class... X>
std::string shape_message(const F& f, const X&... x) {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  return message_of<shape_error>([&] { ctx(f(upload_as<float>(backend, x)...)); });
}

}  // namespace iapt::test
