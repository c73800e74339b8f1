// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/rope.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_rope {
namespace {

/// Cosines, then sines of random angles.
host_array<2> cos_sin_of(index_t rows, index_t head_size) {
  host_array<2> cos_sin({rows, head_size});
  const auto angles = random({rows, head_size}, 9, 3);
  for (index_t i = 0; i < rows; ++i)
    for (index_t j = 0; j < head_size / 2; ++j) {
      cos_sin(i, j) = float(std::cos(angles(i, j)));
      cos_sin(i, j + head_size / 2) = float(std::sin(angles(i, j)));
    }
  return cos_sin;
}
/// rotary with angles that are constants in the type that x has.
auto rope_by(const host_array<2>& cos_sin) {
  return [cos_sin](const auto& x) {
    return rope(x, upload_as<typename std::remove_cvref_t<decltype(x)>::value_type>(x.backend(), cos_sin));
  };
}
auto reference_by(const host_array<2>& cos_sin) {
  return [cos_sin](const auto& x) {
    auto y = x;
    const index_t size = cos_sin.size(1), half = size / 2;
    for (index_t i = 0; i < x.size(0); ++i)
      for (index_t h = 0; h < x.size(1); h += size)
        for (index_t j = 0; j < half; ++j) {
          const double c = cos_sin(i, j), s = cos_sin(i, j + half), a = x(i, h + j), b = x(i, h + j + half);
          y(i, h + j) = a * c - b * s;
          y(i, h + j + half) = a * s + b * c;
        }
    return y;
  };
}

}  // namespace

TEST_CASE("rope", "[ops]") {
  for (index_t head_size : {2, 6, 64})
    for (index_t rows : {1, 70}) {
      CAPTURE(head_size, rows);
      const auto cos_sin = cos_sin_of(rows, head_size);
      check_operation(rope_by(cos_sin), reference_by(cos_sin), random({rows, head_size * 3}));
    }
  check_gradient(rope_by(cos_sin_of(5, 6)), random({5, 18}));
}

TEST_CASE("rope: a quarter turn", "[ops]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto x = upload_as<float>(backend, host_array<2>({1, 4}, {1, 2, 3, 4}));
  const auto quarter = upload_as<float>(backend, host_array<2>({1, 4}, {0, 0, 1, 1}));
  CHECK(values_of(ctx(rope(x, quarter))) == std::vector<double>{-3, -4, 1, 2});
}

TEST_CASE("rope: angles that do not fit", "[ops]") {
  const auto f = [](const auto& x, const auto& cos_sin) { return rope(x, cos_sin); };
  CHECK(shape_message(f, random({3, 8}), random({2, 4})) == "rope: rows of (3, 8) with angles of (2, 4)");
  CHECK(shape_message(f, random({3, 8}), random({3, 6})) == "rope: rows of (3, 8) with angles of (3, 6)");
  CHECK(shape_message(f, random({3, 9}), random({3, 3})) == "rope: rows of (3, 9) with angles of (3, 3)");
  CHECK(shape_message(f, random({3, 8}), random({3, 0})) == "rope: rows of (3, 8) with angles of (3, 0)");
}

}  // namespace iapt::test::ops_rope
