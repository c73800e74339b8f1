// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/backend/eigen/product.hpp"

#include "support/check.hpp"
#include "support/quantized.hpp"

namespace iapt::test::backend_eigen_product {
namespace {

/// A stored matrix with unused numbers at the end of each row; what is outside must stay as it was.
template <class T>
struct padded {
  static constexpr index_t padding = 5;
  index_t columns;
  std::vector<T> numbers;
  padded(const host_array<2>& x, bool transposed) : columns(x.size(transposed ? 0 : 1)) {
    const index_t rows = x.size(transposed ? 1 : 0);
    numbers.assign(rows * (columns + padding), T(1e6));
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < columns; ++j) numbers[i * (columns + padding) + j] = T(transposed ? x(j, i) : x(i, j));
  }
  template <class U>
  matrix_ref<U> ref(bool transposed = false) {
    return {numbers.data(), columns + padding, transposed};
  }
};

template <class T, class Product>
void check_product(index_t m, index_t n, index_t k, bool left, bool right, Product product) {
  CAPTURE(m, n, k, left, right);
  const host_array<2> x = random({m, k}, 1), w = random({k, n}, 2), start = random({m, n}, 3);
  padded<T> a(x, left), b(w, right);
  for (bool accumulate : {false, true}) {
    host_array<2> expected = accumulate ? start : host_array<2>({m, n});
    for (index_t i = 0; i < m; ++i)
      for (index_t j = 0; j < n; ++j)
        for (index_t l = 0; l < k; ++l) expected(i, j) += x(i, l) * w(l, j);
    padded<T> c(start, false);
    product(m, n, k, a.template ref<const T>(left), b.template ref<const T>(right), c.template ref<T>(), accumulate);
    const padded<T> right_answer(expected, false);
    CHECK(difference({c.numbers.begin(), c.numbers.end()}, {right_answer.numbers.begin(), right_answer.numbers.end()}) *
              1e6 <=
          (sizeof(T) == 4 ? 1e-4 : 1e-11));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("every product: all transposes, strides, stored and added", "[backend]", float, double) {
  using T = TestType;
  eigen_backend one({.threads = 1}), two({.threads = 2});
  for (bool left : {false, true})
    for (bool right : {false, true})
      for (const auto& [m, n, k] : {std::array<index_t, 3>{1, 1, 1}, {3, 5, 7}, {4, 33, 17}, {66, 70, 75}}) {
        check_product<T>(m, n, k, left, right, eigen_matmul<T>);
#if defined(IAPT_ONEDNN)
        if constexpr (has_product_library<T>) check_product<T>(m, n, k, left, right, library_matmul);
#endif
        for (eigen_backend* backend : {&one, &two})
          check_product<T>(m, n, k, left, right, [&](auto... arguments) { backend->matmul<T>(arguments...); });
      }
}

TEMPLATE_TEST_CASE("a few rows by dot products", "[backend]", float, double) {
  using T = TestType;
  const auto in_two_parts = [](index_t m, index_t n, index_t k, auto a, auto b, auto c, bool accumulate) {
    const dense_rows<T> rows{b.data, b.stride};
    dot_products<T>(m, 0, n / 2, k, a, rows, c, accumulate);
    dot_products<T>(m, n / 2, n, k, a, rows, c, accumulate);
  };
  for (index_t m : {1, 2, 3, 4, 5, 7, 8, 16})
    for (index_t k : {1, 15, 16, 17, 32, 50, 67}) check_product<T>(m, 9, k, false, true, in_two_parts);
}

TEMPLATE_TEST_CASE("a row's dot products do not depend on the rows beside it", "[backend]", float, double) {
  using T = TestType;
  const index_t m = 7, n = 9, k = 67;
  std::vector<T> a(m * k), b(n * k), together(m * n), alone(m * n);
  random_stream random(1);
  for (auto* numbers : {&a, &b})
    for (T& x : *numbers) x = T(random.normal());
  dot_products<T>(m, 0, n, k, {a.data(), k}, dense_rows<T>{b.data(), k}, {together.data(), n}, false);
  for (index_t i = 0; i < m; ++i)
    dot_products<T>(1, 0, n, k, {a.data() + i * k, k}, dense_rows<T>{b.data(), k}, {alone.data() + i * n, n}, false);
  CHECK(together == alone);
}

TEMPLATE_TEST_CASE("a few rows of quantized weights: the bits of the expanded ones", "[backend]", float, double) {
  using T = TestType;
  eigen_backend backend({.threads = 2});
  for (dtype type : quantized_types) {
    CAPTURE(name_of(type));
    const index_t n = 11, k = 512;
    const auto bytes = random_rows(type, n, k);
    const quantized_rows w{bytes.data(), type, k};
    std::vector<T> a(16 * k), expanded(n * k), y(16 * n), expected(16 * n);
    random_stream random(1);
    for (T& x : a) x = T(random.normal());
    backend.dequantize<T>(w, nullptr, n, expanded.data());
    for (index_t m : {1, 2, 3, 4, 7, 16}) {
      backend.matmul<T>(m, n, k, {a.data(), k}, {expanded.data(), k, true}, {expected.data(), n}, false);
      backend.matmul_quantized<T>(m, n, {a.data(), k}, w, {y.data(), n});
      CHECK(y == expected);
    }
  }
}

#if defined(IAPT_ONEDNN)
TEST_CASE("what the product library refuses is told", "[backend]") {
  const float a[4] = {}, b[4] = {};
  float c[4] = {};
  CHECK(product_library == "oneDNN");
  CHECK_THAT(with_threads(1).description(), has_text("1 thread, products by oneDNN ") && has_text("."));
  CHECK_THAT(message_of<device_error>([&] {
               library_matmul(2, 2, 2, {a, 1}, {b, 2}, {c, 2}, false);
             }),
             starts_with("matmul: oneDNN refuses"));
}
#endif

}  // namespace iapt::test::backend_eigen_product
