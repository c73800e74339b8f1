// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/expr/fused.hpp"

#include "iapt/ops/activations.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/matmul.hpp"
#include "iapt/ops/rational.hpp"
#include "support/check.hpp"

namespace iapt::test::expr_fused {
namespace {

/// y = a·b·c, to see an operation of three operands.
struct triple_fn {
  static constexpr auto name = "triple";
  template <class V>
  IAPT_DEVICE static V forward(V a, V b, V c) {
    return a * b * c;
  }
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V a, V b, V c, V) {
    return adjoints(dy * b * c, dy * a * c, dy * a * b);
  }
};

constexpr elementwise<triple_fn> triple;

/// Numbers at least 0.1 away from zero.
auto away_from_zero(auto x) {
  for (double& v : x.values) v += v < 0 ? -0.1 : 0.1;
  return x;
}

}  // namespace

TEST_CASE("an expression computes nothing until a context runs it", "[expr]") {
  test_backend backend = with_threads(1);
  const auto x = upload_as<float>(backend, random({2, 3}));
  const std::size_t before = backend.bytes_in_use();
  const auto e = silu(x * 2) + x;
  CHECK(backend.bytes_in_use() == before);
  CHECK(e.shape() == extents<2>{2, 3});
  STATIC_REQUIRE(decltype(e)::rank == 2);
  STATIC_REQUIRE(std::is_same_v<typename decltype(e)::value_type, float>);
  STATIC_REQUIRE(expression<decltype(e)>);
  STATIC_REQUIRE_FALSE(expression<float>);
}

TEST_CASE("an operation of three operands, one of them a number", "[expr]") {
  const auto f = [](const auto& a, const auto& c) { return elementwise<triple_fn>{}(a, 3, c); };
  check_operation(f, each([](double a, double c) { return a * 3 * c; }), random({5, 7}), random({5, 7}, 2));
  check_gradient(f, random({5, 7}), random({5, 7}, 2));
}

TEST_CASE("statements of ranks 0, 1 and 3", "[expr]") {
  const auto f = [](const auto& x, const auto& b) { return silu(x) * b - b; };
  check_gradient(f, random({4, 5, 6}), random({5, 6}, 2));
  check_gradient(f, random({4, 5, 6}), random({6}, 2));
  check_gradient(f, random({40}), host_array<0>({}, {0.7}));
  check_gradient(f, host_array<0>({}, {0.3}), host_array<0>({}, {0.7}));
}

TEST_CASE("a table beside an operand that is repeated over the first of three extents", "[expr]") {
  const auto f = [](const auto& x, const auto& a, const auto& b, const auto& c) { return rational<1, 1>(x, a, b) + c; };
  check_gradient(f, away_from_zero(random({3, 4, 2})), numbers({0.5, 1}), numbers({0.75}), random({4, 2}, 3));
}

TEST_CASE("statements of nothing", "[expr]") {
  test_backend backend = with_threads(2);
  for (const extents<2> shape : {extents<2>{0, 5}, {3, 0}, {0, 0}}) {
    tape<test_backend> t(backend);
    const auto x = tracked<float>(backend, host_array<2>(shape)), b = tracked<float>(backend, host_array<2>(shape));
    const auto spread = tracked<float>(backend, random({shape[1]})), a = tracked<float>(backend, random({7})),
               c = tracked<float>(backend, random({5}));
    const auto y = t(rational(x, a, c) * b + spread);
    CHECK(y.shape() == shape);
    t.backward(y, y);
    CHECK(values_of(spread.gradient()) == std::vector<double>(shape[1]));
    CHECK(values_of(a.gradient()) == std::vector<double>(7));
    CHECK(x.gradient().size() == 0);
  }
}

TEST_CASE("a structured operation inside a statement is a statement of its own", "[expr]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto x = tracked<float>(backend, random({3, 3}));
  t(silu(matmul(x, x)) * matmul(x, silu(x)));
  CHECK(t.size() == 4);
}

TEST_CASE("what is kept for the gradient", "[expr]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<float>(backend, random({2, 3})), y = tracked<float>(backend, random({2, 3}, 2));
  const auto numbers_kept = [](const auto& e) {
    int kept = 0;
    e.saved_for_backward().visit([&](const auto& operand, auto) { kept += operand.data() != nullptr; });
    return kept;
  };
  CHECK(numbers_kept(x + y - x) == 0);
  CHECK(numbers_kept(x * y) == 2);
  CHECK(numbers_kept(silu(x) + y) == 1);
  CHECK(numbers_kept((x + y) * 2) == 2);
}

TEST_CASE("a repeated number is a constant of the other operands' type", "[expr]") {
  STATIC_REQUIRE(std::is_same_v<decltype(as_expression<float>(2)), constant<float>>);
  CHECK(as_expression<float>(0.1).c == 0.1f);
}

}  // namespace iapt::test::expr_fused
