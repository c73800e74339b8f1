// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/nn/norm.hpp"

#include "nn/by_loops.hpp"

namespace iapt::test::nn_norm {

TEST_CASE("the norm layer has a weight and an epsilon of its own", "[nn]") {
  test_backend backend = with_threads(2);
  const inference<test_backend> ctx(backend);
  for (double epsilon : {1e-5, 0.5}) {
    const norm_layer<double, test_backend> norm{tracked<double>(backend, random({9}, 2)), epsilon};
    const auto x = tracked<double>(backend, random({35, 9}));
    CHECK(difference(to_host(norm(ctx, x)), norm_by_loops(norm, on_host(x)).values) <= 1e-12);
    CHECK(gradcheck(
              backend, [&](auto& run) { return norm(run, x); }, x, norm.weight) <= 1e-7);
  }
  const norm_layer<double, test_backend> usual{upload_as<double>(backend, random({9}, 2))};
  CHECK(usual.epsilon == 1e-5);
}

TEST_CASE("the norm layer: rows of another length", "[nn]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const norm_layer<double, test_backend> norm{upload_as<double>(backend, random({5}))};
  const auto x = upload_as<double>(backend, random({2, 6}));
  CHECK(message_of<shape_error>([&] { norm(ctx, x); }) == "rms_norm: rows of (2, 6) with a weight of (5)");
}

}  // namespace iapt::test::nn_norm
