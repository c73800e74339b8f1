// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/expr/operation.hpp"

#include "support/check.hpp"

namespace iapt::test::expr_operation {
namespace {

/// y = first · second of two scalars: the least that a structured operation must say.
struct scale_op {
  static constexpr auto name = "scale";
  static constexpr int rank = 0;
  int* forwards;
  template <class A, class B>
  extents<0> shape(const A&, const B&) const {
    return {};
  }
  template <class A, class B>
  std::array<bool, 2> reads(const A& a, const B& b) const {
    return {b.tracked(), a.tracked()};
  }
  template <class Backend, class Y, class A, class B>
  void forward(Backend&, const Y& y, const A& a, const B& b) const {
    ++*forwards, upload(y, std::vector{to_host(a)[0] * to_host(b)[0]});
  }
  template <class Backend, class Y, class A, class B>
  void backward(Backend&, const Y& y, const A& a, const B& b) const {
    const auto deliver = [&](const auto& x, const auto& other) {
      const bool more = x.has_gradient();
      const double before = more ? to_host(x.gradient())[0] : 0, d = to_host(y.gradient())[0] * to_host(other)[0];
      if (const auto to = x.adjoint().first) {
        const double sum = before + d;
        x.backend().upload(to, &sum, 1);
      }
    };
    deliver(a, b), deliver(b, a);
  }
};

}  // namespace

TEST_CASE("a structured operation is lazy, runs once, and keeps what its gradient reads", "[expr]") {
  test_backend backend = with_threads(1);
  int forwards = 0;
  const auto a = tracked<double>(backend, host_array<0>({}, {3})), b = tracked<double>(backend, host_array<0>({}, {4}));
  const auto frozen = b.detached();
  const auto kept = [](const auto& e) {
    std::vector<bool> values;
    e.saved_for_backward().visit([&](const auto& x, auto) { values.push_back(x.data() != nullptr); });
    return values;
  };
  CHECK(kept(operate(scale_op{&forwards}, a, b)) == std::vector<bool>{true, true});
  CHECK(kept(operate(scale_op{&forwards}, a, frozen)) == std::vector<bool>{false, true});
  CHECK(forwards == 0);
  tape<test_backend> t(backend);
  const auto y = t(operate(scale_op{&forwards}, operate(scale_op{&forwards}, a, b), a));
  CHECK(forwards == 2);
  CHECK(t.size() == 2);
  t.backward(y);
  CHECK(forwards == 2);
  CHECK(values_of(y) == std::vector<double>{36});
  CHECK(values_of(a.gradient()) == std::vector<double>{24});
  CHECK(values_of(b.gradient()) == std::vector<double>{9});
}

}  // namespace iapt::test::expr_operation
