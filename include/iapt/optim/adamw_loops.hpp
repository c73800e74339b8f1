// SPDX-License-Identifier: Apache-2.0
// The two loops of AdamW, as a backend runs them, each over all parameters at once: the gradients' squared length, and
// the update.
#pragma once
#include <cmath>
#include <concepts>

#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// √a, for a number or a vec.
template <class V>
IAPT_DEVICE V square_root(V a) {
  if constexpr (std::floating_point<V>)
    return std::sqrt(a);
  else
    return V::map(a, [](auto x) { return std::sqrt(x); });
}

/// Numbers of one parameter, next to each other in all its arrays: what one team works on. The pieces are part of the
/// definition of a gradient's norm, so that it is the same whatever the machine and its number of threads.
template <class T>
struct adamw_piece {
  static constexpr index_t most = 4096;  ///< numbers of a piece
  const T* g;                            ///< gradient
  T *m,                                  ///< running mean of the gradient
      *v,                                ///< running mean of its square
      *p;                                ///< the parameter
  index_t size,                          ///< how many
      parameter;                         ///< which parameter they belong to
  /// Whether it is the same place.
  bool operator==(const adamw_piece&) const = default;
};

/// Team kernel: y[k] = Σ g² over piece k, in double precision: the square of a float fits it, whatever its size.
template <class T>
struct square_sum {
  using value_type = double;
  const adamw_piece<T>* pieces;  ///< of all parameters
  double* y;                     ///< one sum for each piece
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

/// The factors of one parameter's step.
template <class T>
struct adamw_factors {
  T scale,             ///< of the gradient: what clipping leaves of it
      one_less_beta1,  ///< 1 − β₁
      beta2,           ///< β₂
      one_less_beta2,  ///< 1 − β₂
      kept,            ///< 1 − λη, what weight decay leaves of the parameter
      rate,            ///< η/(1 − β₁ᵗ)
      inverse_root,    ///< 1/√(1 − β₂ᵗ)
      epsilon;         ///< ε
};

/// Team kernel: one step of AdamW for piece k, clipping included; each number is read and written once.
///   m += (1 − β₁)(g − m),  v = β₂·v + (1 − β₂)g²,  p = (1 − λη)p − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
/// @par Source Loshchilov and Hutter 2019, "Decoupled weight decay regularization"
template <class T>
struct adamw_update {
  using value_type = T;
  const adamw_piece<T>* pieces;     ///< of all parameters
  const adamw_factors<T>* factors;  ///< one for each parameter
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
