// SPDX-License-Identifier: Apache-2.0
// A vector of neighbouring elements that behaves as one element: what an operation is instantiated with on a CPU.
#pragma once
#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numbers>

#include "iapt/core/quantized.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// One native vector. Every operation returns a value, so `auto` is safe in operations (with Eigen's own arrays it
/// would hold an unevaluated expression).
template <class T>
struct native_vec {
  static constexpr int bytes = EIGEN_MAX_STATIC_ALIGN_BYTES > 0 ? EIGEN_MAX_STATIC_ALIGN_BYTES : 16;  ///< of a vector
  static constexpr int width = bytes / sizeof(T);                                                     ///< numbers in it
  typedef T vector __attribute__((vector_size(bytes)));                                ///< the compiler's vector
  typedef T loose __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));  ///< the same, anywhere
  using array = Eigen::Array<T, width, 1>;                                             ///< for Eigen's functions

  vector v;  ///< the numbers

  /// Uninitialised: arrays of vecs are not cleared before they are written.
  native_vec() = default;
  /// The same number everywhere.
  IAPT_DEVICE native_vec(T s) : v(s - vector{}) {}
  /// Wraps a vector. Not a constructor: g++ would take dependent vectors for a T.
  IAPT_DEVICE static native_vec of(vector v) {
    native_vec p;
    p.v = v;
    return p;
  }
  /// first, first + 1, first + 2, …
  IAPT_DEVICE static native_vec counting_from(index_t first) {
    native_vec numbers;
    for (int i = 0; i < width; ++i) numbers.v[i] = T(first + i);
    return numbers;
  }
  /// Reads numbers that lie `stride` apart.
  IAPT_DEVICE static native_vec strided(const T* p, index_t stride) {
    native_vec numbers;
    for (int i = 0; i < width; ++i) numbers.v[i] = p[i * stride];
    return numbers;
  }
  /// Writes numbers that lie `stride` apart.
  IAPT_DEVICE void store_strided(T* p, index_t stride) const {
    for (int i = 0; i < width; ++i) p[i * stride] = v[i];
  }
  /// Reads neighbours from anywhere.
  IAPT_DEVICE static native_vec load(const T* p) { return of(*reinterpret_cast<const loose*>(p)); }
  /// Reads neighbours of another type.
  template <class U>
  IAPT_DEVICE static native_vec load(const U* p) {
    native_vec numbers;
    for (int i = 0; i < width; ++i) numbers.v[i] = T(p[i]);
    return numbers;
  }
  /// Writes neighbours as another type.
  template <class U>
  IAPT_DEVICE void store(U* p) const {
    for (int i = 0; i < width; ++i) p[i] = U(v[i]);
  }
  /// Writes neighbours to anywhere.
  IAPT_DEVICE void store(T* p) const { *reinterpret_cast<loose*>(p) = v; }
  /// As an Eigen array.
  IAPT_DEVICE array eigen() const {
    array a;
    store(a.data());
    return a;
  }
  /// Of all numbers.
  IAPT_DEVICE T sum() const { return eigen().sum(); }
  /// Of all numbers.
  IAPT_DEVICE T max() const { return eigen().maxCoeff(); }
  /// The same function for each number, one by one: for those that have no vector form.
  template <class F>
  IAPT_DEVICE static native_vec map(native_vec a, F f) {
    for (int i = 0; i < width; ++i) a.v[i] = f(a.v[i]);
    return a;
  }

  IAPT_DEVICE friend native_vec operator+(native_vec a, native_vec b) { return of(a.v + b.v); }
  IAPT_DEVICE friend native_vec operator-(native_vec a, native_vec b) { return of(a.v - b.v); }
  IAPT_DEVICE friend native_vec operator*(native_vec a, native_vec b) { return of(a.v * b.v); }
  /// a·b + c elementwise, rounded once where the processor can: said outright where bits matter, because a compiler
  /// joins some products and sums and leaves others.
  IAPT_DEVICE friend native_vec multiply_add(native_vec a, native_vec b, native_vec c) {
    using packet = typename Eigen::internal::find_best_packet<T, width>::type;
    if constexpr (sizeof(packet) == sizeof(vector))
      return of(std::bit_cast<vector>(
          Eigen::internal::pmadd(std::bit_cast<packet>(a.v), std::bit_cast<packet>(b.v), std::bit_cast<packet>(c.v))));
    else
      return a * b + c;
  }
  IAPT_DEVICE friend native_vec operator/(native_vec a, native_vec b) { return of(a.v / b.v); }
  IAPT_DEVICE friend native_vec operator-(native_vec a) { return of(-a.v); }
  /// Elementwise, vectorised by Eigen; 0 below the smallest normal number, where Eigen's is never 0 and a masked score
  /// of −∞ would still let something through.
  IAPT_DEVICE friend native_vec exp(native_vec a) {
    constexpr T least = (std::numeric_limits<T>::min_exponent - 1) * std::numbers::ln2_v<T>;
    const array e = a.eigen().exp();
    return of(a.v < least ? vector{} : load(e.data()).v);
  }
  /// Elementwise, vectorised by Eigen.
  IAPT_DEVICE friend native_vec tanh(native_vec a) {
    const array t = a.eigen().tanh();
    return load(t.data());
  }
  /// Elementwise, one by one.
  IAPT_DEVICE friend native_vec erf(native_vec a) {
    return map(a, [](T x) { return std::erf(x); });
  }
  IAPT_DEVICE friend native_vec abs(native_vec a) { return of(a.v < 0 ? -a.v : a.v); }
  /// The greater of both, elementwise.
  IAPT_DEVICE friend native_vec maximum(native_vec a, native_vec b) { return of(a.v > b.v ? a.v : b.v); }
  /// −1, 0 or 1, elementwise.
  IAPT_DEVICE friend native_vec sign(native_vec a) {
    const vector zero{}, one = zero + T(1);
    return of(a.v > 0 ? one : a.v < 0 ? -one : zero);
  }
  /// a where x > 0, else b; elementwise.
  IAPT_DEVICE friend native_vec where_positive(native_vec x, native_vec a, native_vec b) {
    return of(x.v > 0 ? a.v : b.v);
  }
};

/// a·b + c as vecs have it.
template <std::floating_point T>
IAPT_DEVICE T multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// The compiler's vector of a number of integers or numbers.
template <class T, int Width>
struct vector_of {
  typedef T type __attribute__((vector_size(Width * sizeof(T))));  ///< the vector
};
/// Integers for the elements of a native_vec.
template <class T>
struct integers_for<native_vec<T>> {
  static constexpr int width = native_vec<T>::width;           ///< numbers in a native_vec
  using type = typename vector_of<std::int32_t, width>::type;  ///< of the integers, with the operators of an integer

  /// Bytes, 0 to 255.
  IAPT_DEVICE static type bytes(const std::byte* p) { return widened<std::uint8_t>(p); }
  /// Bytes, −128 to 127.
  IAPT_DEVICE static type signed_bytes(const std::byte* p) { return widened<std::int8_t>(p); }
  /// Pairs of bytes, 0 to 65535.
  IAPT_DEVICE static type pairs(const std::byte* p) { return widened<std::uint16_t>(p); }
  /// first, first + 1, …
  IAPT_DEVICE static type counting_from(int first) {
    type numbers;
    for (int i = 0; i < width; ++i) numbers[i] = first + i;
    return numbers;
  }
  /// As numbers.
  IAPT_DEVICE static native_vec<T> number(type i) {
    return native_vec<T>::of(__builtin_convertvector(i, typename native_vec<T>::vector));
  }
  /// The floats with these bits, as numbers.
  IAPT_DEVICE static native_vec<T> number_of_bits(type i) {
    const auto floats = reinterpret_cast<typename vector_of<float, width>::type>(i);
    return native_vec<T>::of(__builtin_convertvector(floats, typename native_vec<T>::vector));
  }

 private:
  template <class I>
  IAPT_DEVICE static type widened(const std::byte* p) {
    typename vector_of<I, width>::type x;
    std::memcpy(&x, p, sizeof x);
#if defined(__AVX512F__)  // one instruction each, for which g++ 12 knows no other words: it would take half as long
                          // again
    if constexpr (width == 16 && std::same_as<I, std::uint8_t>)
      return reinterpret_cast<type>(_mm512_cvtepu8_epi32(reinterpret_cast<__m128i>(x)));
    if constexpr (width == 16 && std::same_as<I, std::int8_t>)
      return reinterpret_cast<type>(_mm512_cvtepi8_epi32(reinterpret_cast<__m128i>(x)));
#endif
    if constexpr (sizeof(I) == 1)  // in two steps: g++ 12 would make one of them number by number
      return __builtin_convertvector(__builtin_convertvector(x, typename vector_of<std::int16_t, width>::type), type);
    else
      return __builtin_convertvector(x, type);
  }
};

}  // namespace iapt
