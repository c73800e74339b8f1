// SPDX-License-Identifier: Apache-2.0
// The two loops of AdamW, as a backend runs them: the gradient's squared length, and the update.
#pragma once
#include <cmath>
#include <concepts>

#include "iapt/expr/lane.hpp"

namespace iapt {

/// √a, for a number or a pack.
template <class V>
IAPT_DEVICE V square_root(V a) {
  if constexpr (std::floating_point<V>)
    return std::sqrt(a);
  else
    return V::each(a, [](auto x) { return std::sqrt(x); });
}

/// Row kernel: y[k] = Σ x² over chunk k. The chunks are part of the definition of the sum, so that it is the same
/// whatever the machine and its number of threads.
template <class T>
struct square_sum_chunk {
  using value_type = T;                  ///< type of one number
  static constexpr extent chunk = 4096;  ///< numbers that one group sums
  const T* x;                            ///< the numbers
  T* y;                                  ///< one sum for each chunk
  extent size;                           ///< how many numbers there are
  /// How many chunks that many numbers have.
  static constexpr extent chunks(extent size) { return (size + chunk - 1) / chunk; }
  /// Chunk k.
  template <class Group>
  IAPT_DEVICE void operator()(Group group, extent k) const {
    const extent from = k * chunk, left = size - from;
    const row<const T> part{x + from};
    const T s = group.sum(left < chunk ? left : chunk, [&](auto j) {
      const auto v = part[j];
      return v * v;
    });
    group.once([&] { y[k] = s; });
  }
};

/// One step of AdamW for one parameter, clipping included: each number is read and written once.
///   m += (1 − β₁)(g − m),  v = β₂·v + (1 − β₂)g²,  p = (1 − λη)p − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
/// @par Source Loshchilov and Hutter 2019, "Decoupled weight decay regularization"
template <class T>
struct adamw_loop {
  using value_type = T;  ///< type of one number
  row<const T> g;        ///< gradient
  row<T> m;              ///< running mean of the gradient
  row<T> v;              ///< running mean of its square
  row<T> p;              ///< the parameter
  T scale;               ///< factor of the gradient: what clipping leaves of it
  T one_less_beta1;      ///< 1 − β₁
  T beta2;               ///< β₂
  T one_less_beta2;      ///< 1 − β₂
  T kept;                ///< 1 − λη, what weight decay leaves of the parameter
  T rate;                ///< η/(1 − β₁ᵗ)
  T inverse_root;        ///< 1/√(1 − β₂ᵗ)
  T epsilon;             ///< ε
  /// One lane.
  template <class V>
  IAPT_DEVICE void operator()(extent, lane<V> j) const {
    const V d = g[j] * V(scale), before = m(j);
    const V mean = before + (d - before) * V(one_less_beta1);
    const V square = v(j) * V(beta2) + d * d * V(one_less_beta2);
    m[j] = mean;
    v[j] = square;
    p[j] = p(j) * V(kept) - V(rate) * (mean / (square_root(square) * V(inverse_root) + V(epsilon)));
  }
};

}  // namespace iapt
