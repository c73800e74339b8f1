// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/cast.hpp"

#include "iapt/ops/arithmetic.hpp"
#include "support/check.hpp"

namespace iapt::test::ops_cast {

TEST_CASE("a cast rounds, and its gradient arrives in the operand's type, added", "[ops]") {
  test_backend backend = with_threads(2);
  const host_array<2> numbers({3, 20}, std::vector<double>(60, 1.0 / 3));
  const auto x = tracked<double>(backend, numbers);
  tape<test_backend> t(backend);
  const auto y = t(cast<float>(x));
  CHECK(values_of(y) == std::vector<double>(60, double(1.f / 3)));
  CHECK(t(cast<double>(x)).data() == x.data());
  CHECK(t.size() == 1);
  const auto z = t(cast<double>(y * 2) * x);  // inside a statement it becomes one of its own
  t.backward(z, z);
  const double third = 1.0 / 3, narrow = 1.f / 3;
  for (double d : values_of(x.gradient()))
    CHECK(d == Approx(2 * narrow * third * 2 * narrow + double(float(2 * narrow * third * third)) * 2).epsilon(1e-7));
}

TEST_CASE("a cast of no rows", "[ops]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  CHECK(ctx(cast<float>(upload_as<double>(backend, host_array<2>({0, 4})))).shape() == extents<2>{0, 4});
}

}  // namespace iapt::test::ops_cast
