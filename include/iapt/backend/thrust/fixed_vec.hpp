// SPDX-License-Identifier: Apache-2.0
// A vector of neighbouring elements that behaves as one element: a GPU thread processes 16 bytes of memory at once.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "iapt/expr/scalar_math.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// `Width` neighbouring elements, in loops that a compiler unrolls. Elements in memory may have another type; aligned
/// ones are moved 16 bytes at a time.
template <class T, int Width>
struct fixed_vec {
  static constexpr int width = Width;  ///< elements in a vec
  T v[Width];                          ///< the elements

  /// Uninitialized.
  fixed_vec() = default;
  /// All elements have the value s.
  IAPT_DEVICE fixed_vec(T s) {
    for (T& x : v) x = s;
  }
  /// f(i) for every element's index i.
  template <class F>
  IAPT_DEVICE static fixed_vec of(F f) {
    fixed_vec b;
    IAPT_UNROLL
    for (int i = 0; i < Width; ++i) b.v[i] = f(i);
    return b;
  }
  /// f(x) for every element x of a.
  template <class F>
  IAPT_DEVICE static fixed_vec map(const fixed_vec& a, F f) {
    return of([&](int i) { return f(a.v[i]); });
  }
  /// first, first + 1, first + 2, …
  IAPT_DEVICE static fixed_vec counting_from(index_t first) {
    return of([&](int i) { return T(first + i); });
  }
  /// Reads elements that are `stride` apart.
  template <class U>
  IAPT_DEVICE static fixed_vec strided(const U* p, index_t stride) {
    return of([&](int i) { return T(p[i * stride]); });
  }
  /// Writes elements that are `stride` apart.
  template <class U>
  IAPT_DEVICE void store_strided(U* p, index_t stride) const {
    for (int i = 0; i < Width; ++i) p[i * stride] = U(v[i]);
  }
  /// Stored elements of a vec, with the alignment that a GPU needs to move them at once.
  template <class U>
  struct alignas(std::min<std::size_t>(16, Width * sizeof(U))) cells {
    U u[Width];  ///< the elements
  };
  /// Reads neighbouring elements as they are stored.
  template <class U>
  IAPT_DEVICE static cells<U> cells_at(const U* p) {
    if (aligned(p)) return *reinterpret_cast<const cells<U>*>(p);
    cells<U> c;
    for (int i = 0; i < Width; ++i) c.u[i] = p[i];
    return c;
  }
  /// Converts stored elements.
  template <class U>
  IAPT_DEVICE static fixed_vec of_cells(const cells<U>& c) {
    return of([&](int i) { return T(c.u[i]); });
  }
  /// Reads neighbouring elements.
  template <class U>
  IAPT_DEVICE static fixed_vec load(const U* p) {
    return of_cells(cells_at(p));
  }
  /// Reads neighbouring elements that are known to be aligned, as they are stored.
  template <class U>
  IAPT_DEVICE static cells<U> cells_aligned(const U* p) {
    return *reinterpret_cast<const cells<U>*>(p);
  }
  /// Whether elements are aligned, so that a GPU can move them at once.
  template <class U>
  IAPT_DEVICE static bool aligned(const U* p) {
    return reinterpret_cast<std::uintptr_t>(p) % alignof(cells<U>) == 0;
  }
  /// Writes neighbouring elements.
  template <class U>
  IAPT_DEVICE void store(U* p) const {
    cells<U> c;
    IAPT_UNROLL
    for (int i = 0; i < Width; ++i) c.u[i] = U(v[i]);
    if (aligned(p))
      *reinterpret_cast<cells<U>*>(p) = c;
    else
      for (int i = 0; i < Width; ++i) p[i] = c.u[i];
  }
  /// Sum of all elements.
  IAPT_DEVICE T sum() const {
    T s = v[0];
    for (int i = 1; i < Width; ++i) s = s + v[i];
    return s;
  }
  /// Greatest element.
  IAPT_DEVICE T max() const {
    T m = v[0];
    for (int i = 1; i < Width; ++i) m = v[i] > m ? v[i] : m;
    return m;
  }

  IAPT_DEVICE friend fixed_vec operator+(const fixed_vec& a, const fixed_vec& b) {
    return of([&](int i) { return a.v[i] + b.v[i]; });
  }
  IAPT_DEVICE friend fixed_vec operator-(const fixed_vec& a, const fixed_vec& b) {
    return of([&](int i) { return a.v[i] - b.v[i]; });
  }
  IAPT_DEVICE friend fixed_vec operator*(const fixed_vec& a, const fixed_vec& b) {
    return of([&](int i) { return a.v[i] * b.v[i]; });
  }
  IAPT_DEVICE friend fixed_vec operator/(const fixed_vec& a, const fixed_vec& b) {
    return of([&](int i) { return a.v[i] / b.v[i]; });
  }
  IAPT_DEVICE friend fixed_vec operator-(const fixed_vec& a) {
    return map(a, [](T x) { return -x; });
  }
  IAPT_DEVICE friend fixed_vec exp(const fixed_vec& a) {
    return map(a, [](T x) { return std::exp(x); });
  }
  IAPT_DEVICE friend fixed_vec tanh(const fixed_vec& a) {
    return map(a, [](T x) { return std::tanh(x); });
  }
  IAPT_DEVICE friend fixed_vec erf(const fixed_vec& a) {
    return map(a, [](T x) { return std::erf(x); });
  }
  IAPT_DEVICE friend fixed_vec abs(const fixed_vec& a) {
    return map(a, [](T x) { return std::abs(x); });
  }
  /// The greater of both, elementwise.
  IAPT_DEVICE friend fixed_vec maximum(const fixed_vec& a, const fixed_vec& b) {
    return of([&](int i) { return iapt::maximum(a.v[i], b.v[i]); });
  }
  /// −1, 0 or 1, elementwise.
  IAPT_DEVICE friend fixed_vec sign(const fixed_vec& a) {
    return map(a, [](T x) { return iapt::sign(x); });
  }
  /// a where x > 0, else b; elementwise.
  IAPT_DEVICE friend fixed_vec where_positive(const fixed_vec& x, const fixed_vec& a, const fixed_vec& b) {
    return of([&](int i) { return iapt::where_positive(x.v[i], a.v[i], b.v[i]); });
  }
};

/// Prefetches whole, aligned vecs into the L2 cache: a hint, because another kernel may still write them.
template <class T>
IAPT_DEVICE void prefetch([[maybe_unused]] const T* p, [[maybe_unused]] index_t count) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(p), "r"(int(count * sizeof(T))));
#endif
}

/// The vec that a loop over elements of type T processes at once.
template <class T>
using load_vec = fixed_vec<compute_type<T>, int(16 / sizeof(T))>;

}  // namespace iapt
