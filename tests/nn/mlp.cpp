// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/nn/mlp.hpp"

#include "nn/by_loops.hpp"

namespace iapt::test::nn_mlp {

TEST_CASE("the gated feed-forward: down(silu(gate(x)) · up(x))", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const auto mlp = random_layer(backend).mlp;
  for (index_t rows : {1, 9, 70}) {
    const auto x = upload_as<double>(backend, random({rows, small_width}));
    CHECK(difference(to_host(mlp(ctx, x, no_method{}, 0)), mlp_by_loops(mlp, on_host(x), no_method{}, 0).values) <=
          1e-12);
  }
}

TEST_CASE("the feed-forward's three sites", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const auto layer = random_layer(backend);
  const auto x = tracked<double>(backend, random({6, small_width}));
  const auto plain = to_host(layer.mlp(ctx, x, no_method{}, 2));
  all_hooks method;
  hook_layer(layer, method, 2);
  CHECK(difference(to_host(layer.mlp(ctx, x, method, 2)), mlp_by_loops(layer.mlp, on_host(x), method, 2).values) <=
        1e-12);
  CHECK(to_host(layer.mlp(ctx, x, method, 1)) == plain);  // nothing for layer 1
  check_gradients(
      backend, method, [&](auto& run) { return layer.mlp(run, x, method, 2); }, x);
}

TEST_CASE("the inner rows of a feed-forward are one statement", "[nn]") {
  test_backend backend = with_threads(1);
  const auto mlp = random_layer(backend).mlp;
  const auto x = tracked<double>(backend, random({3, small_width}));
  tape<test_backend> t(backend);
  mlp(t, x, no_method{}, 0);
  CHECK(t.size() == 7);  // three products, three biases, one loop between them
}

TEST_CASE("the feed-forward: rows of another length", "[nn]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto mlp = random_layer(backend).mlp;
  CHECK(message_of<shape_error>([&] {
          mlp(ctx, upload_as<double>(backend, random({2, 9})), no_method{}, 0);
        }) == "matmul: inner extents differ: (2, 9) × (12, 10) transposed");
}

}  // namespace iapt::test::nn_mlp
