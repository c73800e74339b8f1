// SPDX-License-Identifier: Apache-2.0
// What a kernel is written with: column indices, rows, and lists of values. For host code and for device code.
#pragma once
#include <concepts>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>

#include "iapt/core/bfloat16.hpp"
#include "iapt/core/device.hpp"
#include "iapt/core/shape.hpp"

namespace iapt {

/// f(0), …, f(N − 1), written out, so that a GPU keeps in registers what there is for each.
template <int N, class F>
IAPT_DEVICE void unrolled(F f) {
  IAPT_UNROLL
  for (int i = 0; i < N; ++i) f(i);
}

/// Rows that are summed in one go when a sum runs over rows. It fixes the order of the additions, so it is part of the
/// definition of a result and never depends on a machine.
inline constexpr index_t chunk_rows = 32;

/// Less than every number: where the search for a greatest begins.
template <class T>
inline constexpr T lowest = -std::numeric_limits<T>::infinity();

/// The index of a column. Its type says what is read there: one element, or a vec of neighbours.
template <class V>
struct vec_index {
  index_t at;  ///< the first column
};

/// Reads a V at p.
template <class V, class T>
IAPT_DEVICE V load(const T* p) {
  if constexpr (std::is_arithmetic_v<V>)
    return V(*p);
  else
    return V::load(p);
}
/// Writes a V at p.
template <class V, class T>
IAPT_DEVICE void store(T* p, V v) {
  if constexpr (std::is_arithmetic_v<V>)
    *p = T(v);
  else
    v.store(p);
}

/// The indices of all columns that j stands for, as values.
template <class V>
IAPT_DEVICE V column_indices(vec_index<V> j) {
  if constexpr (std::is_arithmetic_v<V>)
    return V(j.at);
  else
    return V::counting_from(j.at);
}

/// A row in memory: x[j] is a V where j is a vec_index<V>.
template <class T>
struct row {
  T* p;  ///< first number of the row
  /// What x[j] is where the row may be written.
  template <class V>
  struct cell {
    T* p;  ///< first number of the cell
    /// Reads it.
    IAPT_DEVICE operator V() const { return load<V>(p); }
    /// Writes it.
    IAPT_DEVICE void operator=(V v) const { store(p, v); }
  };
  /// Reads x[j].
  template <class V>
  IAPT_DEVICE V operator()(vec_index<V> j) const {
    return load<V>(p + j.at);
  }
  /// Reads x[j], or returns the cell to write there.
  template <class V>
  IAPT_DEVICE auto operator[](vec_index<V> j) const {
    if constexpr (std::is_const_v<T>)
      return load<V>(p + j.at);
    else
      return cell<V>{p + j.at};
  }
};

/// Elements that are `stride` apart in memory, as a row: x[j] reads, store(j, v) writes.
template <class T>
struct column {
  T* p;            ///< first number
  index_t stride;  ///< from one to the next
  /// Reads x[j].
  template <class V>
  IAPT_DEVICE V operator[](vec_index<V> j) const {
    if constexpr (std::is_arithmetic_v<V>)
      return V(p[j.at * stride]);
    else
      return V::strided(p + j.at * stride, stride);
  }
  /// Writes x[j].
  template <class V>
  IAPT_DEVICE void store(vec_index<V> j, V v) const {
    if constexpr (std::is_arithmetic_v<V>)
      p[j.at * stride] = T(v);
    else
      v.store_strided(p + j.at * stride, stride);
  }
};

/// One place of a list.
template <std::size_t I, class A>
struct slot {
  A value;  ///< what stands there
};
/// Places of a list, by number.
template <class Indices, class... A>
struct slots;
/// A tuple that a kernel can take by value (std::tuple is not trivially copyable).
template <std::size_t... I, class... A>
struct slots<std::index_sequence<I...>, A...> : slot<I, A>... {
  /// Calls f with all values.
  template <class F>
  constexpr auto apply(F f) const {
    return f(static_cast<const slot<I, A>&>(*this).value...);
  }
};
/// A tuple of the given types that a kernel can take by value.
template <class... A>
using list = slots<std::index_sequence_for<A...>, A...>;
/// The I-th value of a list.
template <std::size_t I, class A>
IAPT_DEVICE A& at(slot<I, A>& s) {
  return s.value;
}
/// The I-th value of a list.
template <std::size_t I, class A>
IAPT_DEVICE const A& at(const slot<I, A>& s) {
  return s.value;
}

/// What the backward of an elementwise operation returns: one adjoint for each operand.
template <class... D>
IAPT_DEVICE list<D...> adjoints(D... d) {
  return {{d}...};
}
/// The adjoint of a table of K coefficients.
template <class V, int K>
struct coefficient_adjoints {
  V d[K];  ///< one for each coefficient
};

}  // namespace iapt
