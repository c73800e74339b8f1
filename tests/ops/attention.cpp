// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/attention.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_attention {
namespace {

/// A packed attention: heads, sequences, and how many rows there are of each kind.
struct problem {
  head_layout layout;
  std::vector<attention_segment> segments;
  index_t rows, past_rows, prefix_rows;

  auto q() const { return random({rows, layout.heads * layout.head_size}, 1); }
  auto keys(index_t n, int seed) const { return random({n, layout.kv_heads * layout.head_size}, seed); }
};

/// The statement, with a constant past, as a function of queries, keys, values and soft tokens.
auto statement_of(const problem& p) {
  return [p](const auto& q, const auto& k, const auto& v, const auto&... prefix) {
    using tensor_type = std::remove_cvref_t<decltype(q)>;
    using T = typename tensor_type::value_type;
    key_values<T, typename tensor_type::backend_type> past;
    if (p.past_rows)
      past = {upload_as<T>(q.backend(), p.keys(p.past_rows, 11)), upload_as<T>(q.backend(), p.keys(p.past_rows, 12))};
    return attention(p.layout, p.segments, q, k, v, past, prefix...);
  };
}
/// The same with all scores of a query in one row, T² of them.
auto reference_of(const problem& p) {
  return [p](const host_array<2>& q, const host_array<2>& k, const host_array<2>& v, const auto&... soft) {
    const host_array<2> none({0, 0}), past_k = p.keys(p.past_rows, 11), past_v = p.keys(p.past_rows, 12);
    const host_array<2>* prefix[] = {&soft..., &none, &none};
    const index_t size = p.layout.head_size, shared = p.layout.heads / p.layout.kv_heads;
    host_array<2> y(q.shape);
    for (const attention_segment& s : p.segments)
      for (index_t i = 0; i < s.count; ++i)
        for (index_t h = 0; h < p.layout.heads; ++h) {
          const index_t column = h / shared * size;
          std::vector<double> weights;
          std::vector<std::pair<const host_array<2>*, index_t>> seen;
          const auto look = [&](const host_array<2>& key, const host_array<2>& value, index_t j) {
            double score = 0;
            for (index_t e = 0; e < size; ++e) score += q(s.begin + i, h * size + e) * key(j, column + e);
            weights.push_back(std::exp(score / std::sqrt(double(size)))), seen.push_back({&value, j});
          };
          for (index_t j = 0; j < s.past_count; ++j) look(past_k, past_v, s.past_begin + j);
          for (index_t j = 0; i >= s.soft_from && j < s.soft_count; ++j) look(*prefix[0], *prefix[1], s.soft_begin + j);
          for (index_t j = 0; j <= i; ++j) look(k, v, s.begin + j);
          double total = 0;
          for (double w : weights) total += w;
          for (std::size_t j = 0; j < seen.size(); ++j)
            for (index_t e = 0; e < size; ++e)
              y(s.begin + i, h * size + e) += weights[j] / total * (*seen[j].first)(seen[j].second, column + e);
        }
    return y;
  };
}
void check_attention(const problem& p) {
  CAPTURE(p.rows, p.past_rows, p.prefix_rows, p.layout.heads, p.layout.kv_heads, p.layout.head_size);
  const auto f = statement_of(p);
  const auto reference = reference_of(p);
  if (p.prefix_rows)
    check_operation(f, reference, p.q(), p.keys(p.rows, 2), p.keys(p.rows, 3), p.keys(p.prefix_rows, 4),
                    p.keys(p.prefix_rows, 5));
  else
    check_operation(f, reference, p.q(), p.keys(p.rows, 2), p.keys(p.rows, 3));
}

}  // namespace

TEST_CASE("causal attention of packed sequences", "[ops]") {
  check_attention({{1, 1, 4}, {{.begin = 0, .count = 1}}, 1, 0, 0});
  check_attention({{4, 2, 5}, {{.begin = 0, .count = 7}, {.begin = 7, .count = 2}}, 9, 0, 0});
  check_attention({{3, 1, 16}, {{.begin = 0, .count = 64}, {.begin = 64, .count = 65}}, 129, 0, 0});
  check_attention({{2, 2, 9}, {{.begin = 0, .count = 130}, {.begin = 131, .count = 3}}, 140, 0, 0});
}

TEST_CASE("attention with soft tokens in front", "[ops]") {
  check_attention({{4, 2, 5},
                   {{.begin = 0, .count = 7, .soft_begin = 0, .soft_count = 3},
                    {.begin = 7, .count = 70, .soft_begin = 3, .soft_count = 3}},
                   77,
                   0,
                   6});
}

TEST_CASE("attention with soft tokens that only the last rows see", "[ops]") {
  check_attention({{6, 3, 8},
                   {{.begin = 0, .count = 90, .soft_begin = 0, .soft_count = 4, .soft_from = 70},
                    {.begin = 90, .count = 20, .soft_begin = 4, .soft_count = 4, .soft_from = 19},
                    {.begin = 110, .count = 5, .soft_begin = 8, .soft_count = 4, .soft_from = 5}},
                   115,
                   0,
                   12});
}

TEST_CASE("attention over a past", "[ops]") {
  check_attention({{4, 2, 6},
                   {{.begin = 0, .count = 1, .past_begin = 0, .past_count = 100},
                    {.begin = 1, .count = 5, .past_begin = 100, .past_count = 3, .soft_count = 2}},
                   6,
                   103,
                   2});
  // Heads of more numbers than a subgroup holds at once, and whole ones.
  for (const index_t size : {48, 136})
    check_attention({{2, 1, size}, {{.begin = 0, .count = 2, .past_begin = 1, .past_count = 90}}, 2, 91, 0});
}

TEST_CASE("a past may lie in blocks", "[ops]") {
  const problem p{{4, 2, 6},
                  {{.begin = 0, .count = 1, .past_begin = 0, .past_count = 150},
                   {.begin = 1, .count = 70, .past_begin = 150, .past_count = 9, .soft_count = 2}},
                  71,
                  159,
                  2};
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const auto on = [&](const host_array<2>& x) { return upload_as<double>(backend, x); };
  const auto q = on(p.q()), k = on(p.keys(71, 2)), v = on(p.keys(71, 3)), soft_k = on(p.keys(2, 4)),
             soft_v = on(p.keys(2, 5));
  const auto whole = values_of(ctx(statement_of(p)(q, k, v, soft_k, soft_v)));
  for (const index_t rows : {5, 32, 64, 200}) {
    CAPTURE(rows);
    // Blocks in any order, some of nobody; what no block holds must not matter.
    block_table table{rows, {}};
    auto segments = p.segments;
    host_array<2> keys({60 * rows, 12}), values({60 * rows, 12});
    std::fill(keys.values.begin(), keys.values.end(), 1e3);
    std::fill(values.values.begin(), values.values.end(), 1e30);
    const auto past_k = p.keys(159, 11), past_v = p.keys(159, 12);
    for (attention_segment& s : segments) {
      const index_t first = s.past_begin, place = index_t(table.blocks.size());
      for (index_t i = 0; i < s.past_count; ++i) {
        if (i % rows == 0) table.blocks.push_back(std::int32_t(59 - 7 * table.blocks.size() % 60));
        for (index_t e = 0; e < 12; ++e) {
          keys(table.blocks.back() * rows + i % rows, e) = past_k(first + i, e);
          values(table.blocks.back() * rows + i % rows, e) = past_v(first + i, e);
        }
      }
      s.past_begin = place;
    }
    attention_pattern<test_backend> pattern(segments, table);
    const key_values<double, test_backend> past{on(keys), on(values)};
    const auto found = values_of(ctx(attention(p.layout, pattern, q, k, v, past, soft_k, soft_v)));
    if (rows % 64 == 0)
      CHECK(found == whole);
    else
      CHECK(difference(found, whole) < 1e-12);
    // Other blocks, the same plan.
    pattern.replace(segments, table);
    CHECK(values_of(ctx(attention(p.layout, pattern, q, k, v, past, soft_k, soft_v))) == found);
    table.blocks[0] = 60;
    pattern.replace(segments, table);
    CHECK(message_of<shape_error>([&] {
            ctx(attention(p.layout, pattern, q, k, v, past, soft_k, soft_v));
          }).find("reaches outside") != std::string::npos);
    table.blocks.push_back(0);
    CHECK(message_of<shape_error>([&] { pattern.replace(segments, table); }).find("more than their past") !=
          std::string::npos);
  }
}

TEST_CASE("sequences may share soft tokens", "[ops]") {
  problem p{{4, 2, 6}, {}, 240, 0, 4};
  for (index_t s = 0; s < 8; ++s) p.segments.push_back({.begin = s * 30, .count = 30, .soft_count = 4});
  check_attention(p);
}

TEST_CASE("gradients of attention", "[ops]") {
  const problem p{
      {4, 2, 3},
      {{.begin = 0, .count = 5, .soft_begin = 0, .soft_count = 2},
       {.begin = 5, .count = 4, .past_begin = 1, .past_count = 2, .soft_begin = 2, .soft_count = 2, .soft_from = 2}},
      9,
      3,
      4};
  check_gradient(statement_of(p), p.q(), p.keys(9, 2), p.keys(9, 3), p.keys(4, 4), p.keys(4, 5));
  const problem plain{{2, 1, 4}, {{.begin = 0, .count = 67}}, 67, 0, 0};
  check_gradient(statement_of(plain), plain.q(), plain.keys(67, 2), plain.keys(67, 3));
}

TEST_CASE("attention: frozen operands get no adjoint, and change none", "[ops]") {
  const problem p{{2, 1, 4}, {{.begin = 0, .count = 5, .soft_count = 2}}, 5, 0, 2};
  const auto gradient = [&](auto tracked_operand) {
    test_backend backend = with_threads(1);
    std::array x{upload_as<double>(backend, p.q()), upload_as<double>(backend, p.keys(5, 2)),
                 upload_as<double>(backend, p.keys(5, 3)), upload_as<double>(backend, p.keys(2, 4)),
                 upload_as<double>(backend, p.keys(2, 5))};
    for (std::size_t i = 0; i < x.size(); ++i)
      if (tracked_operand == 5 || tracked_operand == i) x[i].track();
    tape<test_backend> t(backend);
    const auto y = t(statement_of(p)(x[0], x[1], x[2], x[3], x[4]));
    t.backward(y, random_normal<double>(backend, y.shape(), 1, random_stream(2)));
    std::vector<std::vector<double>> all;
    for (const auto& one : x) all.push_back(one.has_gradient() ? values_of(one.gradient()) : std::vector<double>());
    return all;
  };
  const auto all = gradient(5u);
  for (std::size_t i = 0; i < 5; ++i) {
    const auto one = gradient(i);
    for (std::size_t j = 0; j < 5; ++j) CHECK(one[j] == (i == j ? all[j] : std::vector<double>()));
  }
}

TEST_CASE("later rows and other sequences change nothing, bit for bit", "[ops]") {
  const problem p{{2, 1, 16}, {{.begin = 0, .count = 40}, {.begin = 40, .count = 8}}, 48, 0, 0};
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  auto k = p.keys(48, 2), v = p.keys(48, 3);
  for (index_t i = 0; i < 20; ++i)
    for (index_t e = 0; e < 16; ++e) v(i, e) = 0;  // even the smallest weight of a later row would show
  const auto run = [&] {
    const auto y = values_of(ctx(
        statement_of(p)(upload_as<float>(backend, p.q()), upload_as<float>(backend, k), upload_as<float>(backend, v))));
    return std::vector<double>(y.begin(), y.begin() + 20 * 32);
  };
  CHECK(run() == std::vector<double>(20 * 32));
  for (index_t i = 20; i < 48; ++i)
    for (index_t e = 0; e < 16; ++e) k(i, e) = 3, v(i, e) = 1e30;
  CHECK(run() == std::vector<double>(20 * 32));
}

TEST_CASE("attention: only differences of scores matter, however far they are from zero", "[ops]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  for (const index_t rows : {2, 40})
    for (const double score : {-1000., 1000.}) {  // of every key
      CAPTURE(rows, score);
      const problem p{{1, 1, 16}, {{.begin = 0, .count = rows}}, rows, 0, 0};
      host_array<2> q({rows, 16}), k({rows, 16}), expected({rows, 16});
      const auto v = p.keys(rows, 3);
      std::fill(q.values.begin(), q.values.end(), 1), std::fill(k.values.begin(), k.values.end(), score / 4);
      for (index_t i = 0; i < rows; ++i)
        for (index_t j = 0; j <= i; ++j)
          for (index_t e = 0; e < 16; ++e) expected(i, e) += v(j, e) / double(i + 1);
      const auto y =
          statement_of(p)(upload_as<float>(backend, q), upload_as<float>(backend, k), upload_as<float>(backend, v));
      CHECK(difference(values_of(ctx(y)), expected.values) <= 1e-5);
    }
}

TEST_CASE("attention: a sequence of a packed batch equals itself alone", "[ops]") {
  const problem packed{{4, 2, 8}, {{.begin = 0, .count = 70}, {.begin = 70, .count = 33}}, 103, 0, 0};
  const problem alone{{4, 2, 8}, {{.begin = 0, .count = 33}}, 33, 0, 0};
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const auto q = upload_as<float>(backend, packed.q()), k = upload_as<float>(backend, packed.keys(103, 2)),
             v = upload_as<float>(backend, packed.keys(103, 3));
  const auto last = [](const auto& x) { return x.slice(70, 103); };
  CHECK(values_of(last(ctx(statement_of(packed)(q, k, v)))) ==
        values_of(ctx(statement_of(alone)(last(q), last(k), last(v)))));
}

TEST_CASE("attention: what does not fit", "[ops]") {
  const auto message = [](const problem& p, index_t q_columns, index_t k_rows, index_t v_columns) {
    return shape_message(statement_of(p), random({5, q_columns}), random({k_rows, 4}), random({5, v_columns}));
  };
  const std::string with = " with 4 heads, 2 key/value heads of 2";
  const problem p{{4, 2, 2}, {{.begin = 0, .count = 5}}, 5, 0, 0};
  CHECK(message(p, 7, 5, 4) == "attention: queries (5, 7), keys (5, 4), values (5, 4)" + with);
  CHECK(message(p, 8, 4, 4) == "attention: queries (5, 8), keys (4, 4), values (5, 4)" + with);
  CHECK(message(p, 8, 5, 3) == "attention: queries (5, 8), keys (5, 4), values (5, 3)" + with);
  const auto outside = [&](attention_segment s) {
    problem other = p;
    other.segments = {s};
    return message(other, 8, 5, 4);
  };
  CHECK(outside({.begin = 1, .count = 5}) ==
        "attention: a sequence of rows 1 to 6 reaches outside of queries (5, 8), its past or its soft tokens");
  CHECK_THAT(outside({.count = 5, .past_count = 1}), has_text("reaches outside"));
  CHECK_THAT(outside({.count = 5, .soft_count = 1}), has_text("reaches outside"));
  CHECK_THAT(outside({.begin = -1, .count = 2}), has_text("reaches outside"));
  CHECK_THAT(outside({.begin = 0, .count = -2}), has_text("reaches outside"));
}

TEST_CASE("a pattern may change its past alone", "[ops]") {
  attention_pattern<test_backend> pattern{{.begin = 0, .count = 2, .past_count = 1}, {.begin = 2, .count = 1}};
  pattern.replace(
      {{.begin = 0, .count = 2, .past_begin = 7, .past_count = 5}, {.begin = 2, .count = 1, .past_count = 1}});
  CHECK(pattern.segments()[0].past_begin == 7);
  const auto message = [&](std::vector<attention_segment> others) {
    return message_of<shape_error>([&] { pattern.replace(others); });
  };
  const std::string refused = "attention: sequences to replace differ in more than their past";
  CHECK(message({{.begin = 0, .count = 2}}) == refused);
  CHECK(message({{.begin = 0, .count = 2}, {.begin = 2, .count = 2}}) == refused);
  CHECK(message({{.begin = 0, .count = 2, .soft_count = 1}, {.begin = 2, .count = 1}}) == refused);
  CHECK(pattern.segments()[1].past_count == 1);
}

}  // namespace iapt::test::ops_attention
