// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/nn/attention.hpp"

#include "nn/by_loops.hpp"

namespace iapt::test::nn_attention {
namespace {

/// Two sequences at positions that are not their rows' numbers.
view_type packed_view(test_backend& backend) {
  const std::vector<index_t> positions{2, 3, 4, 5, 6, 0, 1, 2, 3};
  return {{{.begin = 0, .count = 5}, {.begin = 5, .count = 4}},
          rope_cos_sin<double>(backend, rope_frequencies(small_heads.head_size, {.theta = 100}), positions)};
}
/// The same with a past of the first and two soft tokens of each.
view_type full_view(test_backend& backend) {
  view_type view = packed_view(backend);
  view.pattern = {{.begin = 0, .count = 5, .past_begin = 1, .past_count = 3, .soft_begin = 0, .soft_count = 2},
                  {.begin = 5, .count = 4, .soft_begin = 2, .soft_count = 2}};
  view.past = {upload_as<double>(backend, random({5, 12}, 31)), upload_as<double>(backend, random({5, 12}, 32))};
  view.prefix = {tracked<double>(backend, random({4, 12}, 33)), tracked<double>(backend, random({4, 12}, 34))};
  return view;
}
template <class Method>
void check_block(const attention_block<double, test_backend>& block, const matrix& x, const Method& method,
                 const view_type& view) {
  const inference<test_backend> ctx(x.backend());
  const auto found = block(ctx, x, method, 2, view);
  const auto expected = attention_by_loops(block, on_host(x), method, 2, view);
  CHECK(difference(to_host(found.y), expected.y.values) <= 1e-12);
  CHECK(difference(to_host(found.own.keys), expected.keys.values) <= 1e-12);
  CHECK(difference(to_host(found.own.values), expected.values.values) <= 1e-12);
}

}  // namespace

TEST_CASE("the attention half, its keys and its values", "[nn]") {
  test_backend backend = with_threads(2);
  const auto block = random_layer(backend).attention;
  const auto x = upload_as<double>(backend, random({9, small_width}));
  check_block(block, x, no_method{}, packed_view(backend));
  check_block(block, x, no_method{}, full_view(backend));
}

TEST_CASE("the attention's four sites", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const auto layer = random_layer(backend);
  const auto x = tracked<double>(backend, random({9, small_width}));
  const auto view = full_view(backend);
  all_hooks method;
  hook_layer(layer, method, 2);
  check_block(layer.attention, x, method, view);
  const auto untouched = layer.attention(ctx, x, method, 1, view),
             plain = layer.attention(ctx, x, no_method{}, 1, view);
  CHECK(to_host(untouched.y) == to_host(plain.y));
  CHECK(to_host(untouched.own.keys) == to_host(plain.own.keys));
  check_gradients(
      backend, method, [&](auto& run) { return layer.attention(run, x, method, 2, view).y; }, x, view.prefix->keys,
      view.prefix->values);
}

TEST_CASE("gradients go through the keys and values that an attention leaves", "[nn]") {
  test_backend backend = with_threads(1);
  const auto layer = random_layer(backend);
  const auto x = tracked<double>(backend, random({9, small_width}));
  const auto view = packed_view(backend);
  CHECK(gradcheck(
            backend, [&](auto& run) { return layer.attention(run, x, no_method{}, 0, view).own.keys; }, x) <= 1e-7);
  CHECK(gradcheck(
            backend, [&](auto& run) { return layer.attention(run, x, no_method{}, 0, view).own.values; }, x) <= 1e-7);
}

TEST_CASE("the attention half: what does not fit", "[nn]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto block = random_layer(backend).attention;
  const auto message = [&](index_t rows, index_t columns, const view_type& view) {
    const auto x = upload_as<double>(backend, random({rows, columns}));
    return message_of<shape_error>([&] { block(ctx, x, no_method{}, 0, view); });
  };
  CHECK(message(9, 8, packed_view(backend)) == "matmul: inner extents differ: (9, 8) × (24, 10) transposed");
  CHECK(message(8, 10, packed_view(backend)) == "rope: rows of (8, 24) with angles of (9, 6)");
  view_type outside = packed_view(backend);
  auto segments = outside.pattern.segments();
  segments[1].past_count = 1;
  outside.pattern = segments;
  CHECK(message(9, 10, outside) ==
        "attention: a sequence of rows 5 to 9 reaches outside of queries (9, 24), its past or its soft tokens");
}

}  // namespace iapt::test::nn_attention
