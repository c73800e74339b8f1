// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/nn/parameter.hpp"

#include "iapt/autograd/tape.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

namespace iapt::test::nn_parameter {

TEST_CASE("a list of parameters has what is there, in order", "[nn]") {
  test_backend backend = with_threads(1);
  parameter_list<double, test_backend> list;
  add_parameter(list, "matrix", tracked<double>(backend, random({3, 4})));
  add_parameter(list, "absent", tensor<double, 2, test_backend>());
  add_parameter(list, "row", tracked<double>(backend, random({5})), parameter_group::coefficients);
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "matrix");
  CHECK(list[0].shape == std::vector<index_t>{3, 4});
  CHECK(list[0].values.shape() == extents<1>{12});
  CHECK(list[0].group == parameter_group::weights);
  CHECK(list[1].name == "row");
  CHECK(list[1].shape == std::vector<index_t>{5});
  CHECK(list[1].group == parameter_group::coefficients);
  CHECK(parameter_count(list) == 17);
  CHECK(parameter_count(parameter_list<double, test_backend>()) == 0);
}

TEST_CASE("a parameter shares numbers and adjoint with the tensor that is used", "[nn]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<double>(backend, host_array<2>({2, 2}, {1, 2, 3, 4}));
  parameter_list<double, test_backend> list;
  add_parameter(list, "x", x);
  upload(list[0].values, std::vector<double>{5, 6, 7, 8});
  CHECK(to_host(x) == std::vector<double>{5, 6, 7, 8});
  tape<test_backend> t(backend);
  const auto y = t(x * 2);
  t.backward(y, x);
  CHECK(to_host(list[0].values.gradient()) == std::vector<double>{10, 12, 14, 16});
  list[0].values.clear_gradient();
  CHECK_FALSE(x.has_gradient());
}

}  // namespace iapt::test::nn_parameter
