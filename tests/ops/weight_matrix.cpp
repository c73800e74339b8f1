// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/weight_matrix.hpp"

#include "support/check.hpp"
#include "support/quantized.hpp"

namespace iapt::test::ops_weight_matrix {
namespace {

// Quantized rows on the host, as double, and on a backend.
struct quantized_matrix {
  dtype type;
  host_array<2> numbers;
  std::vector<std::byte> bytes;

  quantized_matrix(dtype type, index_t rows, index_t columns)
      : type(type), numbers({rows, columns}), bytes(random_rows(type, rows, columns)) {
    const quantized_rows all{bytes.data(), type, columns};
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < columns; ++j) numbers(i, j) = all.number<double>(i, j);
  }
  template <class T>
  weight_matrix<T, test_backend> on(test_backend& backend) const {
    return {backend, numbers.shape, type, bytes};
  }
};

// y = x · wᵀ and dx = dy · w, against loops.
template <class T>
void check_product(const quantized_matrix& w, index_t rows, int threads, double bound) {
  CAPTURE(name_of(w.type), rows, threads);
  test_backend backend = with_threads(threads);
  const auto x = random({rows, w.numbers.size(1)}), dy = random({rows, w.numbers.size(0)}, 2);
  const auto xs = tracked<T>(backend, x);
  for (int times : {1, 2}) {  // the second gradient is added
    tape<test_backend> t(backend);
    const auto y = t(matmul(xs, transposed(w.on<T>(backend))));
    CHECK(difference(values_of(y), product(x, w.numbers, true).values) <= bound);
    const auto twice = values_of(t(addmm(y.detached(), matmul(xs.detached(), transposed(w.on<T>(backend))))));
    auto doubled = values_of(y);
    for (double& v : doubled) v *= 2;
    CHECK(difference(twice, doubled) <= bound);
    CHECK(values_of(t(y.detached() + matmul(xs.detached(), transposed(w.on<T>(backend))))) == twice);
    t.backward(y, upload_as<T>(backend, dy));
    auto expected = product(dy, w.numbers, false).values;
    for (double& v : expected) v *= times;
    CHECK(difference(values_of(xs.gradient()), expected) <= bound);
  }
}

}  // namespace

TEST_CASE("products with quantized weights", "[ops]") {
  for (dtype type : quantized_types) {
    const bool blocks = layout_of(type).elements > 1;
    const quantized_matrix w(type, 19, blocks ? 256 : 83);
    for (index_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 40}) {
      check_product<double>(w, rows, 1, 1e-12);
      check_product<float>(w, rows, 2, 1e-5);
    }
    check_product<double>(quantized_matrix(type, 1, blocks ? 512 : 1), 3, 1, 1e-12);
  }
}

TEST_CASE("quantized weights of several panels", "[ops]") {
  check_product<double>(quantized_matrix(dtype::q8_0, 2100, 1024), 17, 2, 1e-12);
}

TEST_CASE("gradients of products with quantized weights", "[ops]") {
  test_backend backend = with_threads(1);
  const auto w = quantized_matrix(dtype::q5_1, 6, 32).on<double>(backend);
  for (index_t rows : {2, 20}) {
    const auto x = tracked<double>(backend, random({rows, 32}));
    CHECK(gradcheck(
              backend, [&](auto& ctx) { return ctx(matmul(x, transposed(w))); }, x) <= 1e-7);
  }
}

TEST_CASE("weights of numbers: as their tensor, gradients and all", "[ops]") {
  const auto by_rows = [](const auto& x, const auto& w) {
    using T = typename std::remove_cvref_t<decltype(w)>::value_type;
    return matmul(x, transposed(weight_matrix<T, test_backend>(w)));
  };
  const auto reference = [](const auto& x, const auto& w) { return product(x, w, true); };
  check_operation(threads_change::rounding, by_rows, reference, random({5, 7}), random({6, 7}, 2));
  check_gradient(by_rows, random({5, 7}), random({6, 7}, 2));
  test_backend backend = with_threads(1);
  const auto w = tracked<double>(backend, random({4, 3}));
  const auto rows = [&](auto& ctx) {
    return ctx(gather(weight_matrix<double, test_backend>(w), row_indices(backend, {2, 0, 2})));
  };
  CHECK(gradcheck(backend, rows, w) <= 1e-7);
}

TEST_CASE("rows of quantized weights", "[ops]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  for (dtype type : quantized_types) {
    CAPTURE(name_of(type));
    const quantized_matrix w(type, 7, layout_of(type).elements > 1 ? 256 : 37);
    std::vector<double> expected;
    const std::vector<std::int32_t> numbers{3, 0, 6, 3};
    for (index_t i : numbers)
      for (index_t j = 0; j < w.numbers.size(1); ++j) expected.push_back(w.numbers(i, j));
    CHECK(difference(values_of(ctx(gather(w.on<double>(backend), row_indices(backend, numbers)))), expected) <= 1e-15);
  }
  const auto w = quantized_matrix(dtype::f16, 2, 3).on<double>(backend);
  CHECK(message_of<shape_error>([&] { ctx(gather(w, row_indices(backend, {2}))); }) == "gather: row 2 of (2, 3)");
}

TEST_CASE("quantized weights whose inner extent differs", "[ops]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto w = quantized_matrix(dtype::q4_0, 3, 32).on<double>(backend);
  const auto x = upload_as<double>(backend, random({2, 3}));
  CHECK(message_of<shape_error>([&] { ctx(matmul(x, transposed(w))); }) ==
        "matmul: inner extents differ: (2, 3) × (3, 32) transposed\n      did you mean matmul(x, w)?");
}

}  // namespace iapt::test::ops_weight_matrix
