// SPDX-License-Identifier: Apache-2.0
// The learned rational activation (Padé activation unit, form B).
#pragma once
#include <array>
#include <cmath>

#include "iapt/expr/fused.hpp"
#include "iapt/expr/scalar_math.hpp"

namespace iapt {

/// y = P(x) / (1 + |S(x)|), P(x) = Σ_{j=0..M} a_j x^j, S(x) = Σ_{i=1..K} b_i x^i: it has no poles.
/// For |x| > 10⁴ it has the value at ±10⁴.
/// @par Gradient With Q = 1 + |S|, all in one loop: dx = dy (P' − y sgn(S) S') / Q, da_j = Σ dy x^j / Q,
///               db_i = −Σ dy y sgn(S) x^i / Q, sgn(0) = 0. (So if all b are 0 at the start, they stay 0.)
///               For |x| > 10⁴: dx = 0, and x = ±10⁴ in da and db.
/// @par Source   Molina et al. 2020, "Padé activation units"; IAPT, ACL 2024, learns one for each layer
template <int M, int K>
struct rational_fn {
  static constexpr auto name = "rational";
  /// P, S and their derivatives at x.
  template <class V>
  struct polynomials {
    V p,     ///< P(x)
        dp,  ///< P'(x)
        s,   ///< S(x)
        ds;  ///< S'(x)
  };
  /// Evaluates both polynomials by Horner's scheme.
  template <class V, class A, class B>
  IAPT_DEVICE static polynomials<V> evaluate(V x, const A& a, const B& b) {
    polynomials<V> at{V(a[M]), V(0), V(b[K - 1]), V(0)};
    for (int k = M - 1; k >= 0; --k) at.dp = at.dp * x + at.p, at.p = at.p * x + V(a[k]);
    for (int k = K - 2; k >= 0; --k) at.ds = at.ds * x + at.s, at.s = at.s * x + V(b[k]);
    at.ds = at.ds * x + at.s, at.s = at.s * x;
    return at;
  }
  /// Clamps x, so that powers do not overflow; the limit is far outside of any useful range. NaN is propagated:
  /// maximum() returns its second operand if the operands are unordered.
  template <class V>
  IAPT_DEVICE static V clamped(V x) {
    return -maximum(V(-limit), -maximum(V(-limit), x));
  }
  /// P(x) / (1 + |S(x)|)
  template <class V, class A, class B>
  IAPT_DEVICE static V forward(V x, const A& a, const B& b) {
    using std::abs;
    const auto at = evaluate(clamped(x), a, b);
    return at.p / (V(1) + abs(at.s));
  }
  /// Adjoints of x, a and b. The adjoint of x is 0 beyond the clamp, where y does not depend on x.
  template <class V, class A, class B>
  IAPT_DEVICE static auto backward(V dy, V x, const A& a, const B& b, V y) {
    using std::abs;
    const V beyond = abs(x) - V(limit);
    x = clamped(x);
    const auto at = evaluate(x, a, b);
    const V dp = dy / (V(1) + abs(at.s)), ds = -dp * y * sign(at.s);
    coefficient_adjoints<V, M + 1> da;
    coefficient_adjoints<V, K> db;
    da.d[0] = dp, db.d[0] = ds * x;
    for (int k = 1; k <= M; ++k) da.d[k] = da.d[k - 1] * x;
    for (int k = 1; k < K; ++k) db.d[k] = db.d[k - 1] * x;
    return adjoints(where_positive(beyond, V(0), dp * at.dp + ds * at.ds), da, db);
  }
  static constexpr double limit = 1e4;  ///< x is clamped to [−limit, limit]
};

/// Coefficients of P, from a_0 on, that approximate GELU: least squares on 121 equally spaced points of [−3, 3], with a
/// largest error there of 9.0e-5. Outside of the interval the error grows: 0.24 at |x| = 6, 14 at 20.
inline constexpr std::array gelu_numerator{2.98e-5, 0.5, 0.398477, 0.163757, 0.0652669, 0.0186439, 0.00212808};
/// Coefficients of S, from b_1 on, that belong to gelu_numerator.
inline constexpr std::array gelu_denominator{0.0, 0.327515, 0.0, 0.0372878, 0.0};

/// y = P(x) / (1 + |S(x)|) for each element, with a (M+1) from a_0 on and b (K) from b_1 on.
/// @throws shape_error if the length of a or b differs
template <int M = 6, int K = 5, expression X, expression A, expression B>
auto rational(const X& x, const A& a, const B& b) {
  return fused<rational_fn<M, K>, X, coefficients<M + 1, A>, coefficients<K, B>>(x, coefficients<M + 1, A>(a),
                                                                                 coefficients<K, B>(b));
}

}  // namespace iapt
