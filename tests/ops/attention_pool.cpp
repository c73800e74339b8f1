// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/attention_pool.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_attention_pool {
namespace {

auto pooled(const std::vector<row_span>& segments) {
  return [segments](const auto& u, const auto& scores) { return attention_pool(u, scores, segments); };
}
auto reference_of(const std::vector<row_span>& segments) {
  return [segments](const host_array<2>& u, const host_array<2>& scores) {
    const index_t tokens = scores.size(1);
    host_array<2> z({index_t(segments.size()) * tokens, u.size(1)});
    for (index_t k = 0; k < z.size(0); ++k) {
      const row_span s = segments[k / tokens];
      double total = 0;
      for (index_t i = s.begin; i < s.end; ++i) total += std::exp(scores(i, k % tokens));
      for (index_t i = s.begin; i < s.end; ++i)
        for (index_t j = 0; j < z.size(1); ++j) z(k, j) += u(i, j) * std::exp(scores(i, k % tokens)) / total;
    }
    return z;
  };
}

}  // namespace

TEST_CASE("attention_pool", "[ops]") {
  const std::vector<row_span> segments{{0, 5}, {7, 8}, {8, 60}};  // rows 5 and 6 belong to nobody
  for (index_t columns : {1, 33, 256}) {
    CAPTURE(columns);
    check_operation(pooled(segments), reference_of(segments), random({61, columns}), random({61, 4}, 2));
  }
  check_gradient(pooled({{0, 5}, {7, 8}, {8, 12}}), random({13, 9}), random({13, 4}, 2));
}

TEST_CASE("attention_pool: rows outside of a segment change nothing", "[ops]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  auto u = random({6, 9}), scores = random({6, 2}, 2);
  const auto f = pooled({{1, 4}});
  const auto before = values_of(ctx(f(upload_as<float>(backend, u), upload_as<float>(backend, scores))));
  for (index_t j = 0; j < 9; ++j) u(0, j) = 1e30, u(4, j) = NAN;
  scores(0, 0) = 1e30, scores(5, 1) = NAN;
  CHECK(values_of(ctx(f(upload_as<float>(backend, u), upload_as<float>(backend, scores)))) == before);
}

TEST_CASE("attention_pool: large scores do not overflow", "[ops]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto u = upload_as<float>(backend, host_array<2>({2, 1}, {3, 5}));
  const auto scores = upload_as<float>(backend, host_array<2>({2, 2}, {1e30, -1e30, 0, 1e30}));
  CHECK(values_of(ctx(attention_pool(u, scores, {{0, 2}}))) == std::vector<double>{3, 5});
}

TEST_CASE("attention_pool: what does not fit", "[ops]") {
  CHECK(shape_message(pooled({{0, 2}}), random({3, 5}), random({2, 4})) ==
        "attention_pool: rows (3, 5) with scores (2, 4)");
  CHECK(shape_message(pooled({{2, 2}}), random({3, 5}), random({3, 4})) ==
        "attention_pool: rows 2 to 2 of 3; a segment needs at least one row");
}

}  // namespace iapt::test::ops_attention_pool
