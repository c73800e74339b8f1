// SPDX-License-Identifier: Apache-2.0
// The two team kernels of AdamW, each over all parameters at once: the sum of squared gradients, and the update.
#pragma once
#include <cmath>
#include <concepts>

#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// √a, of an element or a vec.
template <class V>
IAPT_DEVICE V square_root(V a) {
  if constexpr (std::floating_point<V>)
    return std::sqrt(a);
  else
    return V::map(a, [](auto x) { return std::sqrt(x); });
}

/// Contiguous elements of one parameter, the same ones in all its arrays: the work of one team. The norm of a gradient
/// is defined by these pieces, so it does not depend on the backend or its number of threads.
template <class T>
struct adamw_piece {
  static constexpr index_t most = 4096;  ///< elements of a piece at most
  const T* g;                            ///< gradient
  T *m,                                  ///< running mean of the gradient
      *v,                                ///< running mean of its square
      *p;                                ///< the parameter
  index_t size,                          ///< number of elements
      parameter;                         ///< index of their parameter
  /// Whether both have the same elements.
  bool operator==(const adamw_piece&) const = default;
};

/// Team kernel: y[k] = Σ g² over piece k, in double precision, which holds the square of any float.
template <class T>
struct square_sum {
  using value_type = double;
  const adamw_piece<T>* pieces;  ///< pieces of all parameters
  double* y;                     ///< sum of each piece
  /// Piece k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const row<const T> g{pieces[k].g};
    const double s = team.sum(pieces[k].size, [&](auto j) {
      const auto v = g[j];
      return v * v;
    });
    team.single([&] { y[k] = s; });
  }
};

/// The factors of one parameter in a step.
template <class T>
struct adamw_factors {
  T scale,             ///< factor of the gradient, from clipping
      one_less_beta1,  ///< 1 − β₁
      beta2,           ///< β₂
      one_less_beta2,  ///< 1 − β₂
      kept,            ///< 1 − λη, from weight decay
      rate,            ///< η/(1 − β₁ᵗ)
      inverse_root,    ///< 1/√(1 − β₂ᵗ)
      epsilon;         ///< ε
};

/// Team kernel: one step of AdamW for piece k, with clipping. Each element is read and written once.
///   m += (1 − β₁)(g − m),  v = β₂·v + (1 − β₂)g²,  p = (1 − λη)p − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
/// @par Source Loshchilov and Hutter 2019, "Decoupled weight decay regularization"
template <class T>
struct adamw_update {
  using value_type = T;
  const adamw_piece<T>* pieces;     ///< pieces of all parameters
  const adamw_factors<T>* factors;  ///< factors of each parameter
  /// Piece k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const adamw_piece<T> at = pieces[k];
    const adamw_factors<T> f = factors[at.parameter];
    const row<const T> g{at.g};
    const row<T> m{at.m}, v{at.v}, p{at.p};
    team.for_each(at.size, [&]<class V>(vec_index<V> j) {
      const V d = g[j] * V(f.scale), before = m(j);
      const V mean = before + (d - before) * V(f.one_less_beta1);
      const V square = v(j) * V(f.beta2) + d * d * V(f.one_less_beta2);
      m[j] = mean;
      v[j] = square;
      p[j] = p(j) * V(f.kept) - V(f.rate) * (mean / (square_root(square) * V(f.inverse_root) + V(f.epsilon)));
    });
  }
};

}  // namespace iapt
