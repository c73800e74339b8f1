// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/nn/linear.hpp"

#include "nn/by_loops.hpp"

namespace iapt::test::nn_linear {
namespace {

/// A method that writes soft tokens and leaves the maps alone.
struct soft_tokens_only {
  static constexpr hook_set hooks{hook::prefix};
  index_t soft_tokens() const { return 2; }
  placement where() const { return placement::front; }
};
constexpr target_module here{3, projection::up};

}  // namespace

TEST_CASE("linear: x · weightᵀ, and a bias if there is one", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  for (index_t rows : {1, 5, 67}) {
    CAPTURE(rows);
    const auto x = upload_as<double>(backend, random({rows, 33}));
    const linear_map biased = random_linear(backend, 17, 33, 2), plain{biased.weight};
    CHECK(difference(to_host(biased(ctx, x)), linear_by_loops(biased, on_host(x), no_method{}, here).values) <= 1e-12);
    CHECK(difference(to_host(plain(ctx, x)), product(on_host(x), on_host(plain.weight.expanded()), true).values) <=
          1e-12);
  }
}

TEST_CASE("linear: a method without its hooks changes no bit and records nothing", "[nn]") {
  test_backend backend = with_threads(1);
  const linear_map map = random_linear(backend, 17, 33, 2);
  const auto x = tracked<double>(backend, random({6, 33}));
  tape<test_backend> alone(backend), with_bare(backend), with_other(backend);
  const auto expected = to_host(map(alone, x));
  CHECK(to_host(map(with_bare, x, no_method{}, here)) == expected);
  CHECK(to_host(map(with_other, x, soft_tokens_only{}, here)) == expected);
  CHECK(with_bare.size() == alone.size());
  CHECK(with_other.size() == alone.size());
  tape<test_backend> frozen(backend);
  map(frozen, x.detached(), no_method{}, here);
  CHECK(frozen.size() == 0);
}

TEMPLATE_TEST_CASE("linear: a method's hooks", "[nn]", method_of<delta_hook>, method_of<scale_hook>,
                   method_of<bias_hook>, linear_hooks) {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  const linear_map map = random_linear(backend, 7, 11, 2);
  const auto x = tracked<double>(backend, random({5, 11}));
  TestType method;
  hook_target(backend, method, here, 11, 7, 20);
  const auto plain = to_host(map(ctx, x)), found = to_host(map(ctx, x, method, here));
  CHECK(difference(found, linear_by_loops(map, on_host(x), method, here).values) <= 1e-12);
  CHECK(difference(found, plain) > 0.01);
  // Sites for which the hooks return empty handles.
  CHECK(to_host(map(ctx, x, method, {3, projection::gate})) == plain);
  CHECK(to_host(map(ctx, x, method, {2, projection::up})) == plain);
  check_gradients(
      backend, method, [&](auto& run) { return map(run, x, method, here); }, x);
}

TEST_CASE("linear: delta, then scale, then bias", "[nn]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto one = [&](double value) { return upload_as<double>(backend, host_array<2>({1, 1}, {value})); };
  const auto row = [&](double value) { return upload_as<double>(backend, numbers({value})); };
  linear_hooks method;
  const std::pair key{here.layer, here.part};
  method.downs[key] = one(1), method.ups[key] = one(3), method.scales[key] = row(10), method.biases[key] = row(1);
  const linear_map map{one(2), row(4)};
  CHECK(to_host(map(ctx, one(1), method, here)) == std::vector<double>{(1 * 2 + 4 + 3) * 10 + 1});
}

TEST_CASE("linear: rows of another length", "[nn]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const linear_map map{upload_as<double>(backend, random({5, 6}))};
  const auto x = upload_as<double>(backend, random({2, 7}));
  const std::string message = "matmul: inner extents differ: (2, 7) × (5, 6) transposed";
  CHECK(message_of<shape_error>([&] { map(ctx, x); }) == message);
  CHECK(message_of<shape_error>([&] { map(ctx, x, no_method{}, here); }) == message);
}

}  // namespace iapt::test::nn_linear
