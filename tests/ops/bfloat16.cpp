// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
// The backbone's operations on numbers that are stored as bfloat16 and computed
// in float, where a backend has them.
#include "iapt/ops/activations.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/attention.hpp"
#include "iapt/ops/cast.hpp"
#include "iapt/ops/cross_entropy.hpp"
#include "iapt/ops/matmul.hpp"
#include "iapt/ops/rms_norm.hpp"
#include "iapt/ops/rope.hpp"
#include "support/check.hpp"

namespace iapt::test::ops_bfloat16 {
namespace {

/// Numbers that bfloat16 holds exactly, so that both types start from the same.
template <std::size_t Rank>
auto short_numbers(const index_t (&n)[Rank], std::uint64_t seed) {
  auto x = random(n, seed);
  for (double& v : x.values) v = float(bfloat16(float(v)));
  return x;
}
/// One statement in both types: values and gradients agree to the rounding of
/// what is stored, once unless a bound is given.
template <class F, class... X>
void check_narrow_to(double bound, const F& f, const X&... x) {
  const auto narrow = run<bfloat16>(2, f, x...), wide = run<float>(2, f, x...);
  CHECK(difference(narrow.value, wide.value) <= bound);
  double scale = 0;
  for (const auto& g : wide.first) scale = std::max(scale, 1e-2 * largest_of(g));
  for (std::size_t i = 0; i < wide.first.size(); ++i) {
    CAPTURE(i);
    CHECK(difference(narrow.first[i], wide.first[i], scale) <= 0x1p-6);
    CHECK(difference(narrow.twice[i], wide.twice[i], scale) <= 0x1p-6);
  }
  CHECK(run<bfloat16>(1, f, x...).value == narrow.value);
}

template <class F, class... X>
void check_narrow(const F& f, const X&... x) {
  check_narrow_to(0x1p-8, f, x...);
}

template <class Backend>
void check_backbone() {
  if constexpr (Backend::stores_bfloat16) {
    const auto a = short_numbers({37, 24}, 1), b = short_numbers({37, 24}, 2);
    const auto row = short_numbers({24}, 3);
    const auto by_rows = [](const auto& x, const auto& w) { return matmul(x, transposed(w)); };
    const auto sum = [](const auto& c, const auto& x, const auto& w) { return addmm(c, matmul(x, transposed(w))); };
    const auto residual = [](const auto& c, const auto& x, const auto& w) { return c + matmul(x, transposed(w)); };
    SECTION("statements") {
      check_narrow([](const auto& x, const auto& y) { return silu(x) * y; }, a, b);
      check_narrow([](const auto& x, const auto& w) { return x * w + 0.1; }, a, row);
    }
    SECTION("norm") {
      check_narrow([](const auto& x, const auto& w) { return rms_norm(x, w, 1e-3); }, a, row);
    }
    SECTION("products") {
      check_narrow(by_rows, a, short_numbers({9, 24}, 4));
      check_narrow([](const auto& x, const auto& w) { return matmul(x, w); }, a, short_numbers({24, 9}, 4));
      for (const index_t rows : {1, 2, 3, 4}) {  // a GPU has another way for these
        const auto x = short_numbers({rows, 1080}, 5), w = short_numbers({9, 1080}, 4), c = short_numbers({rows, 9}, 6);
        check_narrow(by_rows, x, w);
        check_narrow(sum, c, x, w);
        check_narrow_to(0x1p-7, residual, c, x, w);
      }
      check_narrow_to(0x1p-7, residual, short_numbers({37, 9}, 6), a, short_numbers({9, 24}, 4));
      check_narrow(sum, short_numbers({3, 9}, 6), short_numbers({3, 23}, 5), short_numbers({9, 23}, 4));
    }
    SECTION("a product and what is small beside it") {
      auto small = short_numbers({64, 48}, 6);
      for (double& v : small.values) v *= 0x1p-8;
      const auto x = short_numbers({64, 24}, 7), w = short_numbers({48, 24}, 8);
      check_narrow(sum, small, x, w);
      // Rounding each sum once, they have all of it together; rounding the product first, hardly any.
      const auto with = run<bfloat16>(2, sum, small, x, w).value, without = run<float>(2, by_rows, x, w).value;
      double along = 0, all = 0;
      for (std::size_t i = 0; i < with.size(); ++i)
        along += (with[i] - without[i]) * small.values[i], all += small.values[i] * small.values[i];
      CHECK(along == Approx(all).epsilon(0.2));
    }
    SECTION("positions") {
      check_narrow([](const auto& x, const auto& cos_sin) { return rope(x, cos_sin.detached()); }, a,
                   short_numbers({37, 8}, 5));
    }
    SECTION("attention") {
      const std::vector<attention_segment> segments{{.begin = 0, .count = 30, .soft_begin = 0, .soft_count = 3},
                                                    {.begin = 30, .count = 7, .soft_begin = 2, .soft_count = 3}};
      check_narrow(
          [&]<class Q>(const Q& q, const auto& k, const auto& v, const auto& soft_k, const auto& soft_v) {
            return attention<typename Q::value_type, Backend>({3, 1, 8}, segments, q, k, v, {}, soft_k, soft_v);
          },
          a, short_numbers({37, 8}, 6), short_numbers({37, 8}, 7), short_numbers({5, 8}, 8), short_numbers({5, 8}, 9));
    }
    SECTION("losses are float") {
      Backend backend = with_threads(1);
      const auto f = [&](const auto& x) {
        std::vector<std::int32_t> targets(37);
        for (std::size_t i = 0; i < 37; ++i) targets[i] = std::int32_t(i * 7 % 24);
        return token_losses(x, row_indices<Backend>(x.backend(), targets));
      };
      const auto x = tracked<bfloat16>(backend, a);
      tape<Backend> t(backend);
      const tensor<float, 1, Backend> y = t(f(x));
      const inference<Backend> ctx(backend);
      CHECK(difference(values_of(y), values_of(ctx(f(upload_as<float>(backend, a))))) <= 1e-6);
      t.backward(y, y);
      CHECK(x.gradient().size() == x.size());
    }
  }
}

}  // namespace

TEST_CASE("the backbone's operations in bfloat16", "[ops]") { check_backbone<test_backend>(); }

}  // namespace iapt::test::ops_bfloat16
