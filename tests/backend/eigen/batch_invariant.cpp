// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The batch invariant backend: bits of a row do not depend on the rows beside it, nor on how a sequence is cut.
#include "iapt/ops/activations.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/attention.hpp"
#include "iapt/ops/weight_matrix.hpp"
#include "support/check.hpp"
#include "support/quantized.hpp"

namespace iapt::test::backend_eigen_batch_invariant {
namespace {

constexpr eigen_options invariant{.threads = 2, .batch_invariant = true};

/// Numbers of some rows of a matrix.
template <class T>
std::vector<T> rows_of(const std::vector<T>& numbers, index_t columns, index_t from, index_t count) {
  return {numbers.begin() + from * columns, numbers.begin() + (from + count) * columns};
}
template <class T>
std::vector<T> normal_numbers(index_t count, std::uint64_t seed) {
  const auto x = random({count}, seed);
  return {x.values.begin(), x.values.end()};
}

}  // namespace

TEMPLATE_TEST_CASE("batch invariant: a row's product is the same among any others", "[backend]", float, double) {
  using T = TestType;
  eigen_backend backend(invariant), one({.threads = 1, .batch_invariant = true});
  const index_t m = 150;
  for (const bool transposed : {false, true})
    for (const auto& [n, k] : {std::array<index_t, 2>{9, 7}, {70, 67}, {200, 96}}) {
      CAPTURE(transposed, n, k);
      const auto a = normal_numbers<T>(m * k, 1), b = normal_numbers<T>(k * n, 2), start = normal_numbers<T>(m * n, 3);
      for (const bool accumulate : {false, true}) {
        const auto product = [&](eigen_backend& on, index_t from, index_t count) {
          auto c = rows_of(start, n, from, count);
          on.matmul<T>(count, n, k, {a.data() + from * k, k}, {b.data(), transposed ? k : n, transposed}, {c.data(), n},
                       accumulate);
          return c;
        };
        const auto whole = product(backend, 0, m);
        CHECK(product(one, 0, m) == whole);
        for (const auto& [from, count] : {std::array<index_t, 2>{0, 1}, {5, 3}, {17, 16}, {17, 17}, {60, 90}})
          CHECK(product(backend, from, count) == rows_of(whole, n, from, count));
      }
    }
}

TEMPLATE_TEST_CASE("batch invariant: quantized weights by any number of rows", "[backend]", float, double) {
  using T = TestType;
  eigen_backend backend(invariant);
  for (const dtype type : quantized_types) {
    CAPTURE(name_of(type));
    const index_t n = 11, m = 40, k = layout_of(type).elements > 1 ? 512 : 75;
    const auto bytes = random_rows(type, n, k);
    const weight_matrix<T, eigen_backend> w(backend, {n, k}, type, bytes);
    const auto x = upload_as<T>(backend, random({m, k}, 1));
    const inference<eigen_backend> ctx(backend);
    const auto whole = to_host(ctx(matmul(x, transposed(w))));
    for (const index_t count : {1, 3, 16, 17})
      CHECK(to_host(ctx(matmul(x.slice(20, 20 + count), transposed(w)))) == rows_of(whole, n, 20, count));
  }
}

TEMPLATE_TEST_CASE("batch invariant: elementwise functions of rows of any length", "[backend]", float, double) {
  using T = TestType;
  eigen_backend backend(invariant);
  const inference<eigen_backend> ctx(backend);
  for (const index_t columns : {1, 7, 16, 21}) {
    CAPTURE(columns);
    const auto x = upload_as<T>(backend, random({50, columns}, 1, 3)),
               u = upload_as<T>(backend, random({50, columns}, 2));
    const auto whole = to_host(ctx(silu(x) * u));
    for (index_t i = 0; i < 50; ++i)
      CHECK(to_host(ctx(silu(x.slice(i, i + 1)) * u.slice(i, i + 1))) == rows_of(whole, columns, i, 1));
  }
}

TEMPLATE_TEST_CASE("batch invariant: attention of a query, whatever is past, soft token or own row", "[backend]", float,
                   double) {
  using T = TestType;
  eigen_backend backend(invariant);
  const inference<eigen_backend> ctx(backend);
  const head_layout layout{6, 2, 9};
  const index_t rows = 150, wide = 6 * 9, narrow = 2 * 9;
  const auto q = upload_as<T>(backend, random({rows, wide}, 1, 2)),
             k = upload_as<T>(backend, random({rows, narrow}, 2)), v = upload_as<T>(backend, random({rows, narrow}, 3));
  const key_values<T, eigen_backend> none;
  const std::vector<attention_segment> all{{.begin = 0, .count = rows}};
  const auto whole = to_host(ctx(attention(layout, all, q, k, v, none)));
  // Rows [from, to): those before are the past, or the last few of them soft tokens, or there are others beside them.
  for (const auto& [from, to] : {std::array<index_t, 2>{0, 100}, {0, 5}, {1, 2}, {37, 74}, {100, 150}, {149, 150}})
    for (const index_t soft : {0, 1, 30}) {
      if (soft > from) continue;
      CAPTURE(from, to, soft);
      const std::vector<attention_segment> segments{{.begin = from,
                                                     .count = to - from,
                                                     .past_count = from - soft,
                                                     .soft_begin = from - soft,
                                                     .soft_count = soft}};
      const key_values<T, eigen_backend> past{k, v};
      const auto found = to_host(ctx(attention(layout, segments, q, k, v, past, k, v)));
      CHECK(rows_of(found, wide, from, to - from) == rows_of(whole, wide, from, to - from));
    }
  // In blocks, which stand in order here.
  for (const index_t block : {5, 64}) {
    const block_table blocks{block, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}};
    const attention_pattern<eigen_backend> pattern({{.begin = 100, .count = 50, .past_count = 100}}, blocks);
    const auto found = to_host(ctx(attention(layout, pattern, q, k, v, key_values<T, eigen_backend>{k, v})));
    CHECK(rows_of(found, wide, 100, 50) == rows_of(whole, wide, 100, 50));
  }
  // Soft tokens that the first rows do not see.
  const std::vector<attention_segment> late{
      {.begin = 0, .count = 80, .soft_begin = 90, .soft_count = 4, .soft_from = 70}};
  const auto found = to_host(ctx(attention(layout, late, q, k, v, none, k, v)));
  CHECK(rows_of(found, wide, 0, 70) == rows_of(whole, wide, 0, 70));
  CHECK(rows_of(found, wide, 70, 1) != rows_of(whole, wide, 70, 1));
}

}  // namespace iapt::test::backend_eigen_batch_invariant
