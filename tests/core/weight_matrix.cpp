// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/core/weight_matrix.hpp"

#include "support/check.hpp"
#include "support/quantized.hpp"

namespace iapt::test::core_weight_matrix {

using matrix = weight_matrix<double, test_backend>;

TEST_CASE("a weight matrix of numbers is its tensor", "[core]") {
  test_backend backend = with_threads(1);
  CHECK_FALSE(matrix());
  const auto numbers = tracked<double>(backend, random({5, 3}));
  const matrix w = numbers;
  CHECK(w);
  CHECK_FALSE(w.quantized());
  CHECK(w.shape() == extents<2>{5, 3});
  CHECK(w.expanded().data() == numbers.data());
  CHECK(w.expanded().tracked());
  CHECK(w.expanded(1, 3).data() == numbers.data() + 3);
  CHECK(&w.backend() == &backend);
}

TEST_CASE("a quantized weight matrix expands to its rows' numbers", "[core]") {
  test_backend backend = with_threads(2);
  for (dtype type : quantized_types) {
    CAPTURE(name_of(type));
    const index_t columns = layout_of(type).elements > 1 ? 256 : 37;
    const auto bytes = random_rows(type, 6, columns);
    const quantized_rows rows{bytes.data(), type, columns};
    std::vector<double> expected;
    for (index_t i = 0; i < 6; ++i)
      for (index_t j = 0; j < columns; ++j) expected.push_back(rows.number<double>(i, j));
    const matrix w(backend, {6, columns}, type, bytes);
    CHECK(w.quantized());
    CHECK(&w.backend() == &backend);
    CHECK(difference(values_of(w.expanded()), expected) <= 1e-15);
    expected.erase(expected.begin() + 5 * columns, expected.end());
    expected.erase(expected.begin(), expected.begin() + 2 * columns);
    CHECK(difference(values_of(w.expanded(2, 5)), expected) <= 1e-15);
  }
}

TEST_CASE("bytes that are no quantized matrix", "[core]") {
  test_backend backend = with_threads(1);
  const std::vector<std::byte> bytes(40);
  const auto message = [&](extents<2> shape, dtype type) {
    return message_of<shape_error>([&] { matrix(backend, shape, type, bytes); });
  };
  CHECK(message({2, 32}, dtype::q4_1) == "nothing thrown");
  CHECK(message({3, 32}, dtype::q4_1) == "weight_matrix: 40 bytes are no matrix of (3, 32) in Q4_1");
  CHECK(message({2, 48}, dtype::q4_1) == "weight_matrix: 40 bytes are no matrix of (2, 48) in Q4_1");
  CHECK(message({2, 5}, dtype::f32) == "weight_matrix: 40 bytes are no matrix of (2, 5) in F32");
  CHECK(message({-2, -32}, dtype::q4_1) == "weight_matrix: 40 bytes are no matrix of (-2, -32) in Q4_1");
  const matrix w(backend, {2, 32}, dtype::q4_1, bytes);
  CHECK(message_of<shape_error>([&] { w.expanded(1, 3); }) == "expanded: rows 1 to 3 of (2, 32)");
}

}  // namespace iapt::test::core_weight_matrix
