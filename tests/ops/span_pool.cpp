// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/span_pool.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_span_pool {
namespace {

const std::vector<row_span> overlapping{{0, 4}, {3, 7}, {8, 9}, {0, 9}};

template <class Reduce>
auto reference_of(Reduce reduce) {
  return [reduce](const auto& x) {
    host_array<2> y({index_t(overlapping.size()), x.size(1)});
    for (index_t k = 0; k < y.size(0); ++k)
      for (index_t j = 0; j < y.size(1); ++j) {
        std::vector<double> column;
        for (index_t i = overlapping[k].begin; i < overlapping[k].end; ++i) column.push_back(x(i, j));
        y(k, j) = reduce(column);
      }
    return y;
  };
}

}  // namespace

TEST_CASE("span_mean", "[ops]") {
  const auto f = [](const auto& x) { return span_mean(x, overlapping); };
  const auto reference = reference_of([](const std::vector<double>& column) {
    double s = 0;
    for (double v : column) s += v;
    return s / double(column.size());
  });
  for (index_t columns : {1, 33, 1500}) check_operation(f, reference, random({11, columns}));
  check_gradient(f, random({11, 9}));
}

TEST_CASE("span_max", "[ops]") {
  const auto f = [](const auto& x) { return span_max(x, overlapping); };
  const auto reference =
      reference_of([](const auto& column) { return *std::max_element(column.begin(), column.end()); });
  for (index_t columns : {1, 33, 1500}) check_operation(f, reference, random({11, columns}));
  check_gradient(f, random({11, 9}));
}

TEST_CASE("span_max: of equal rows the first gets the adjoint", "[ops]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto x = tracked<float>(backend, host_array<2>({3, 1}, {1, 2, 2}));
  const auto y = t(span_max(x, {{0, 3}}));
  t.backward(y, filled<float>(backend, y.shape(), 5));
  CHECK(values_of(x.gradient()) == std::vector<double>{0, 5, 0});
}

TEST_CASE("span_max of what is not a number stays inside its rows", "[ops]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto x = tracked<float>(backend, host_array<2>({2, 1}, {1, NAN}));
  const auto y = t(span_max(x, {{0, 2}}));
  t.backward(y, filled<float>(backend, y.shape(), 1));
  CHECK(std::isnan(values_of(y)[0]));
  CHECK(x.has_gradient());
}

TEST_CASE("a span outside of the rows", "[ops]") {
  CHECK(shape_message(
            [](const auto& x) {
              return span_mean(x, {{1, 4}});
            },
            random({3, 2})) == "span_mean: rows 1 to 4 of 3; a segment needs at least one row");
  CHECK(shape_message(
            [](const auto& x) {
              return span_max(x, {{1, 1}});
            },
            random({3, 2})) == "span_max: rows 1 to 1 of 3; a segment needs at least one row");
}

}  // namespace iapt::test::ops_span_pool
