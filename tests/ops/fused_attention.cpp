// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
// Where a fused kernel lets sequences see their own rows, tiles see to the rest: both together are what tiles alone
// are.
// The kernel is cuDNN's on a GPU, Eigen's attention on Thrust's host systems; Eigen itself has none.
#include "iapt/autograd/tape.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/attention.hpp"
#include "support/check.hpp"

namespace iapt::test::ops_fused_attention {
namespace {

/// A packed attention; `past_rows` in one piece, or in blocks.
struct problem {
  std::vector<attention_segment> segments;
  index_t rows, past_rows = 0, prefix_rows = 0;
  block_table blocks = {};
};
constexpr head_layout layout{6, 2, 16};

/// Calls f(backend, T()) for the type of number that the backend has a fused kernel for, if it has one.
template <class Backend, class F>
void with_fused_type(F f) {
  if constexpr (requires(Backend b) { b.template most_fused_rows<double>(layout); }) {
    Backend backend({.fused_attention = true});
    if (backend.template most_fused_rows<double>(layout)) return f(backend, double());
    if (backend.template most_fused_rows<bfloat16>(layout)) return f(backend, bfloat16());
    WARN("skipped: no fused attention here, " << backend.description());
  }
}
/// Results and the gradients of queries, keys, values and soft tokens; of the sum of two such statements, if `again`.
template <class T, class Backend = test_backend>
std::vector<std::vector<double>> run(bool fused, const problem& p, bool again) {
  Backend backend({.fused_attention = fused});
  const index_t wide = layout.heads * layout.head_size, narrow = layout.kv_heads * layout.head_size;
  const auto q = tracked<T>(backend, random({p.rows, wide}, 1));
  const auto k = tracked<T>(backend, random({p.rows, narrow}, 2));
  const auto v = tracked<T>(backend, random({p.rows, narrow}, 3));
  const auto soft_k = tracked<T>(backend, random({p.prefix_rows, narrow}, 4));
  const auto soft_v = tracked<T>(backend, random({p.prefix_rows, narrow}, 5));
  key_values<T, Backend> past;
  if (p.past_rows)
    past = {upload_as<T>(backend, random({p.past_rows, narrow}, 6)),
            upload_as<T>(backend, random({p.past_rows, narrow}, 7))};
  tape<Backend> step(backend);
  const attention_pattern<Backend> pattern(p.segments, p.blocks);
  CHECK((pattern.template plan<T>(backend, layout).fused().count > 0) == fused);
  // Two statements that read the same queries: adjoints of the second are added to those of the first.
  auto y = step(attention<T>(layout, pattern, q, k, v, past, soft_k, soft_v));
  if (again) y = step(y + attention<T>(layout, pattern, q, k, v, past, soft_k, soft_v));
  step.backward(y, upload_as<T>(backend, random({p.rows, wide}, 8)));
  std::vector<std::vector<double>> all{values_of(y)};
  for (const auto& x : {q, k, v, soft_k, soft_v}) all.push_back(values_of(x.gradient()));
  return all;
}

}  // namespace

TEST_CASE("a fused kernel and tiles together are what tiles alone are", "[ops]") {
  const std::vector<problem> problems{
      {{{.begin = 0, .count = 70}, {.begin = 70, .count = 9}}, 79},
      {{{.begin = 0, .count = 3}, {.begin = 4, .count = 90}, {.begin = 100, .count = 1}}, 103},
      {{{.begin = 0, .count = 40}, {.begin = 40, .count = 3}, {.begin = 43, .count = 20}}, 63},
      {{{.begin = 0, .count = 40, .soft_begin = 0, .soft_count = 4},
        {.begin = 40, .count = 5, .soft_begin = 2, .soft_count = 6},
        {.begin = 50, .count = 2, .soft_begin = 0, .soft_count = 8}},
       52,
       0,
       8},
      {{{.begin = 0, .count = 90, .soft_begin = 0, .soft_count = 4, .soft_from = 70},
        {.begin = 90, .count = 20, .soft_begin = 4, .soft_count = 4, .soft_from = 19},
        {.begin = 110, .count = 6, .soft_begin = 8, .soft_count = 4, .soft_from = 6}},
       116,
       0,
       12},
      {{{.begin = 0, .count = 1, .past_begin = 0, .past_count = 100},
        {.begin = 1, .count = 30, .past_begin = 100, .past_count = 67, .soft_count = 2, .soft_from = 10},
        {.begin = 31, .count = 8}},
       39,
       167,
       2},
      {{{.begin = 0, .count = 70, .past_begin = 0, .past_count = 40},
        {.begin = 70, .count = 12, .past_begin = 3, .past_count = 0},
        {.begin = 82, .count = 1, .past_begin = 3, .past_count = 20}},
       83,
       96,
       0,
       {16, {4, 0, 2, 5, 1}}}};
  with_fused_type<test_backend>([&]<class T>(auto&, T) {
    const bool exact = std::same_as<T, double>;
    for (const problem& p : problems)
      for (const bool again : {false, true}) {
        CAPTURE(p.rows, p.past_rows, p.prefix_rows, again);
        const auto fused = run<T>(true, p, again), tiles = run<T>(false, p, again);
        double scale = 1e-300;
        for (std::size_t i = 1; i < tiles.size(); ++i) scale = std::max(scale, 1e-2 * largest_of(tiles[i]));
        for (std::size_t i = 0; i < tiles.size(); ++i) {
          CAPTURE(i);
          CHECK(difference(fused[i], tiles[i], scale) < (exact ? 1e-13 : 0x1p-6));
        }
        CHECK((run<T>(true, p, again) == fused));  // the order of its sums is fixed
      }
  });
}

TEST_CASE("a plan is of one type of number, and has tiles for what is too long for a fused kernel", "[ops]") {
  with_fused_type<test_backend>([]<class T>(auto& backend, T) {
    const attention_pattern<test_backend> pattern(std::vector<attention_segment>{{.begin = 0, .count = 9}});
    // Two types that are computed in float; one is fused, the other is not.
    using fused = std::conditional_t<std::same_as<T, double>, float, T>;
    using other = std::conditional_t<std::same_as<T, double>, bfloat16, float>;
    CHECK(pattern.template plan<fused>(backend, layout).fused().count == 1);
    CHECK(pattern.template plan<fused>(backend, layout).query_tiles() == 0);
    CHECK(pattern.template plan<other>(backend, layout).fused().count == 0);
    const index_t most = backend.template most_fused_rows<T>(layout);
    const attention_pattern<test_backend> two(
        std::vector<attention_segment>{{.begin = 0, .count = most}, {.begin = most, .count = most + 1}});
    CHECK(two.template plan<T>(backend, layout).fused().count == 1);
    CHECK(two.template plan<T>(backend, layout).fused().longest == most);
  });
}

TEST_CASE("tiles that were not planned are not silently left out", "[ops]") {
  with_fused_type<test_backend>([]<class T>(auto& backend, T) {
    const attention_pattern<test_backend> pattern(std::vector<attention_segment>{{.begin = 0, .count = 9}});
    pattern.template plan<T>(backend, layout);
    auto other = pattern;
    CHECK(message_of<shape_error>([&] { other.replace({{.begin = 0, .count = 9, .past_count = 3}}); }) ==
          "attention: sequence 0 had no past when its tiles were planned");
  });
}

}  // namespace iapt::test::ops_fused_attention
