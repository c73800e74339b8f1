// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/nn/decoder_layer.hpp"

#include "nn/by_loops.hpp"

namespace iapt::test::nn_decoder_layer {
namespace {

using layer_type = decoder_layer<double, test_backend>;

view_type one_view(test_backend& backend) {
  return {{{.begin = 0, .count = 6}}, rope_cos_sin<double>(backend, rope_frequencies(6, {}), {0, 1, 2, 3, 4, 5})};
}
/// x + y, or x + y · gate + x · skip where there is a hook.
template <class Method>
host_array<2> added_by_loops(const Method& method, int number, sublayer half, const host_array<2>& x,
                             const host_array<2>& y) {
  if constexpr (requires { method.gates; })
    if (const auto gate = find(method.gates, number, half)) {
      const auto g = on_host(gate), s = on_host(find(method.skips, number, half));
      return changed(x, [&](double v, index_t i, index_t j) { return v + y(i, j) * g(j) + v * s(j); });
    }
  return changed(x, [&](double v, index_t i, index_t j) { return v + y(i, j); });
}
/// The layer's rows, given the normalised ones.
template <class Method>
host_array<2> layer_by_loops(const layer_type& layer, const host_array<2>& x, const host_array<2>& h,
                             const Method& method, int number, const view_type& view) {
  const auto middle = added_by_loops(method, number, sublayer::attention, x,
                                     attention_by_loops(layer.attention, h, method, number, view).y);
  return added_by_loops(method, number, sublayer::feed_forward, middle,
                        mlp_by_loops(layer.mlp, norm_by_loops(layer.mlp_norm, middle), method, number));
}

}  // namespace

TEST_CASE("a layer: attention and feed-forward, each added to its input", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const auto layer = random_layer(backend);
  const auto view = one_view(backend);
  const auto x = upload_as<double>(backend, random({6, small_width}));
  const auto normalised = layer.attention_norm(ctx, x), other = upload_as<double>(backend, random({6, small_width}, 2));
  for (const auto& h : {normalised, other}) {  // what it attends with is the caller's
    const auto found = layer(ctx, x, h, no_method{}, 0, view);
    CHECK(difference(to_host(found.y), layer_by_loops(layer, on_host(x), on_host(h), no_method{}, 0, view).values) <=
          1e-12);
    const auto own = layer.attention(ctx, h, no_method{}, 0, view).own;
    CHECK(to_host(found.own.keys) == to_host(own.keys));
    CHECK(to_host(found.own.values) == to_host(own.values));
  }
}

TEST_CASE("a layer: what a method makes of each half's result", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const auto layer = random_layer(backend);
  const auto view = one_view(backend);
  const auto x = tracked<double>(backend, random({6, small_width}));
  const auto run_layer = [&](auto& run, const auto& method, int number) {
    return layer(run, x, layer.attention_norm(run, x), method, number, view).y;
  };
  const auto plain = to_host(run_layer(ctx, no_method{}, 2));
  for (const auto& halves :
       {std::vector{sublayer::attention}, {sublayer::feed_forward}, {sublayer::attention, sublayer::feed_forward}}) {
    method_of<after_hook> method;
    for (sublayer half : halves) hook_half(backend, method, 2, half, small_width, half == halves[0] ? 60 : 70);
    const auto h = on_host(layer.attention_norm(ctx, x));
    CHECK(difference(to_host(run_layer(ctx, method, 2)),
                     layer_by_loops(layer, on_host(x), h, method, 2, view).values) <= 1e-12);
    CHECK(difference(to_host(run_layer(ctx, method, 2)), plain) > 0.01);
    CHECK(to_host(run_layer(ctx, method, 1)) == plain);
    check_gradients(
        backend, method, [&](auto& run) { return run_layer(run, method, 2); }, x);
  }
}

TEST_CASE("a layer with every hook", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const auto layer = random_layer(backend);
  const auto view = one_view(backend);
  const auto x = tracked<double>(backend, random({6, small_width}));
  all_hooks method;
  hook_layer(layer, method, 2);
  hook_half(backend, method, 2, sublayer::attention, small_width, 60);
  hook_half(backend, method, 2, sublayer::feed_forward, small_width, 70);
  const auto h = layer.attention_norm(ctx, x);
  CHECK(difference(to_host(layer(ctx, x, h, method, 2, view).y),
                   layer_by_loops(layer, on_host(x), on_host(h), method, 2, view).values) <= 1e-12);
  check_gradients(backend, method,
                  [&](auto& run) { return layer(run, x, layer.attention_norm(run, x), method, 2, view).y; });
}

TEST_CASE("a layer without biases: each half ends in one operation", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  auto layer = random_layer(backend);
  const auto view = one_view(backend);
  const auto x = tracked<double>(backend, random({6, small_width}));
  const auto entries = [&] {
    tape<test_backend> t(backend);
    layer(t, x, x, no_method{}, 0, view);
    return t.size();
  };
  const auto with_biases = entries();
  layer.attention.output.bias = layer.mlp.down.bias = {};
  CHECK(entries() == with_biases - 4);  // two biases, two residual sums
  all_hooks method;
  hook_layer(layer, method, 2);
  const auto h = layer.attention_norm(ctx, x);
  const auto check = [&](const auto& hooks, int number) {
    CHECK(difference(to_host(layer(ctx, x, h, hooks, number, view).y),
                     layer_by_loops(layer, on_host(x), on_host(h), hooks, number, view).values) <= 1e-12);
    check_gradients(
        backend, hooks, [&](auto& run) { return layer(run, x, layer.attention_norm(run, x), hooks, number, view).y; },
        x);
  };
  check(no_method{}, 0), check(method, 1), check(method, 2);
  const auto narrow = upload_as<double>(backend, random({6, 9}));
  CHECK(message_of<shape_error>([&] { layer(ctx, narrow, h, no_method{}, 0, view); }) ==
        "add: (6, 9) + a product of (6, 10)");
}

TEST_CASE("a layer: rows that do not fit", "[nn]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto layer = random_layer(backend);
  const auto view = one_view(backend);
  const auto x = upload_as<double>(backend, random({6, 9})), h = upload_as<double>(backend, random({6, small_width}));
  CHECK(message_of<shape_error>([&] { layer(ctx, x, h, no_method{}, 0, view); }) ==
        "add: extents differ: (6, 9) in a statement of (6, 10)");
}

}  // namespace iapt::test::nn_decoder_layer
