// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/rms_norm.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_rms_norm {
namespace {

const auto norm = [](const auto& x, const auto& w) { return rms_norm(x, w, 1e-3); };
const auto reference = [](const auto& x, const auto& w) {
  auto y = x;
  for (index_t i = 0; i < x.size(0); ++i) {
    double squares = 0;
    for (index_t j = 0; j < x.size(1); ++j) squares += x(i, j) * x(i, j);
    for (index_t j = 0; j < x.size(1); ++j) y(i, j) = x(i, j) * w(j) / std::sqrt(squares / x.size(1) + 1e-3);
  }
  return y;
};

}  // namespace

TEST_CASE("rms_norm", "[ops]") {
  for (index_t rows : {1, 32, 33, 100})
    for (index_t columns : {1, 7, 64, 131}) {
      CAPTURE(rows, columns);
      check_operation(norm, reference, random({rows, columns}), random({columns}, 2));
    }
  check_gradient(norm, random({35, 9}), random({9}, 2));
}

TEST_CASE("rms_norm of no rows", "[ops]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto w = tracked<float>(backend, random({5}));
  const auto y = t(rms_norm(upload_as<float>(backend, random({0, 5})), w));
  t.backward(y, y);
  CHECK(values_of(w.gradient()) == std::vector<double>(5));
}

TEST_CASE("rms_norm: a weight of another length", "[ops]") {
  CHECK(shape_message(norm, random({2, 6}), random({5})) == "rms_norm: rows of (2, 6) with a weight of (5)");
}

}  // namespace iapt::test::ops_rms_norm
