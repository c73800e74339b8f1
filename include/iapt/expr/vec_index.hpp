// SPDX-License-Identifier: Apache-2.0
// What kernels use: column indices, rows and lists of values, in host code and in device code.
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

/// Calls f(0), …, f(N − 1); a GPU unrolls the loop, so that arrays indexed by i stay in registers.
template <int N, class F>
IAPT_DEVICE void unrolled(F f) {
  IAPT_UNROLL
  for (int i = 0; i < N; ++i) f(i);
}

/// Number of rows in one partial sum over rows. It fixes the order of the additions, so it is a part of a result's
/// definition and does not depend on a backend.
inline constexpr index_t chunk_rows = 32;

/// Less than every finite value: the initial value of a maximum.
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

/// The column indices that j covers, as values.
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
  T* p;  ///< first element of the row
  /// What x[j] returns if the row is not const.
  template <class V>
  struct cell {
    T* p;  ///< first element of the cell
    /// Reads the cell.
    IAPT_DEVICE operator V() const { return load<V>(p); }
    /// Writes the cell.
    IAPT_DEVICE void operator=(V v) const { store(p, v); }
  };
  /// Reads x[j].
  template <class V>
  IAPT_DEVICE V operator()(vec_index<V> j) const {
    return load<V>(p + j.at);
  }
  /// Reads x[j]; returns a cell, which can be written, if the row is not const.
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
  T* p;            ///< first element
  index_t stride;  ///< distance in memory from one element to the next
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

/// One value of a list.
template <std::size_t I, class A>
struct slot {
  A value;  ///< the value
};
/// The values of a list, by index.
template <class Indices, class... A>
struct slots;
/// A tuple that a kernel can receive by value (std::tuple is not trivially copyable).
template <std::size_t... I, class... A>
struct slots<std::index_sequence<I...>, A...> : slot<I, A>... {
  /// Calls f with all values.
  template <class F>
  constexpr auto apply(F f) const {
    return f(static_cast<const slot<I, A>&>(*this).value...);
  }
};
/// A tuple of the given types that a kernel can receive by value.
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

/// Return value of an elementwise backward: one adjoint for each operand.
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
