// SPDX-License-Identifier: Apache-2.0
// A vector of neighbouring elements that behaves as one element: operations on a CPU are instantiated with it.
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
  static constexpr int bytes = EIGEN_MAX_STATIC_ALIGN_BYTES > 0 ? EIGEN_MAX_STATIC_ALIGN_BYTES : 16;  ///< vector size
  static constexpr int width = bytes / sizeof(T);                                                     ///< elements
  typedef T vector __attribute__((vector_size(bytes)));                                ///< the compiler's vector
  typedef T loose __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));  ///< the same, unaligned
  using array = Eigen::Array<T, width, 1>;                                             ///< for Eigen's functions

  vector v;  ///< the elements

  /// Uninitialized, so that arrays of vecs are not cleared before they are written.
  native_vec() = default;
  /// All elements have the value s.
  IAPT_DEVICE native_vec(T s) : v(s - vector{}) {}
  /// Wraps a vector. It is no constructor: g++ would convert dependent vectors to a T.
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
  /// Reads elements that are `stride` apart.
  IAPT_DEVICE static native_vec strided(const T* p, index_t stride) {
    native_vec numbers;
    for (int i = 0; i < width; ++i) numbers.v[i] = p[i * stride];
    return numbers;
  }
  /// Writes elements that are `stride` apart.
  IAPT_DEVICE void store_strided(T* p, index_t stride) const {
    for (int i = 0; i < width; ++i) p[i * stride] = v[i];
  }
  /// Reads neighbouring elements, aligned or not.
  IAPT_DEVICE static native_vec load(const T* p) { return of(*reinterpret_cast<const loose*>(p)); }
  /// Reads neighbouring elements of another type.
  template <class U>
  IAPT_DEVICE static native_vec load(const U* p) {
    native_vec numbers;
    for (int i = 0; i < width; ++i) numbers.v[i] = T(p[i]);
    return numbers;
  }
  /// Writes neighbouring elements as another type.
  template <class U>
  IAPT_DEVICE void store(U* p) const {
    for (int i = 0; i < width; ++i) p[i] = U(v[i]);
  }
  /// Writes neighbouring elements, aligned or not.
  IAPT_DEVICE void store(T* p) const { *reinterpret_cast<loose*>(p) = v; }
  /// Copies the elements to an Eigen array.
  IAPT_DEVICE array eigen() const {
    array a;
    store(a.data());
    return a;
  }
  /// Sum of all elements.
  IAPT_DEVICE T sum() const { return eigen().sum(); }
  /// Greatest element.
  IAPT_DEVICE T max() const { return eigen().maxCoeff(); }
  /// Applies f to each element, one by one: for functions that have no vector form.
  template <class F>
  IAPT_DEVICE static native_vec map(native_vec a, F f) {
    for (int i = 0; i < width; ++i) a.v[i] = f(a.v[i]);
    return a;
  }

  IAPT_DEVICE friend native_vec operator+(native_vec a, native_vec b) { return of(a.v + b.v); }
  IAPT_DEVICE friend native_vec operator-(native_vec a, native_vec b) { return of(a.v - b.v); }
  IAPT_DEVICE friend native_vec operator*(native_vec a, native_vec b) { return of(a.v * b.v); }
  /// a·b + c elementwise, rounded once if the processor has FMA. Code whose bits matter calls it, because a compiler
  /// contracts some multiplications and additions and not others.
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
  /// Elementwise, vectorized by Eigen. It returns 0 below the smallest normal number: Eigen's function is never 0, and
  /// a masked score of −∞ would get a weight.
  IAPT_DEVICE friend native_vec exp(native_vec a) {
    constexpr T least = (std::numeric_limits<T>::min_exponent - 1) * std::numbers::ln2_v<T>;
    const array e = a.eigen().exp();
    return of(a.v < least ? vector{} : load(e.data()).v);
  }
  /// Elementwise, vectorized by Eigen.
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

/// a·b + c, rounded as in a vec.
template <std::floating_point T>
IAPT_DEVICE T multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// The compiler's vector of `Width` elements.
template <class T, int Width>
struct vector_of {
  typedef T type __attribute__((vector_size(Width * sizeof(T))));  ///< the vector
};
/// Integers for the elements of a native_vec.
template <class T>
struct integers_for<native_vec<T>> {
  static constexpr int width = native_vec<T>::width;           ///< elements in a native_vec
  using type = typename vector_of<std::int32_t, width>::type;  ///< vector of integers, with the operators of an integer

  /// Reads unsigned bytes, 0 to 255.
  IAPT_DEVICE static type bytes(const std::byte* p) { return widened<std::uint8_t>(p); }
  /// Reads signed bytes, −128 to 127.
  IAPT_DEVICE static type signed_bytes(const std::byte* p) { return widened<std::int8_t>(p); }
  /// Reads unsigned 16-bit integers, 0 to 65535.
  IAPT_DEVICE static type pairs(const std::byte* p) { return widened<std::uint16_t>(p); }
  /// Reads the unsigned bytes p[index], one by one.
  IAPT_DEVICE static type gather(const std::byte* p, type index) {
    type numbers;
    for (int i = 0; i < width; ++i) numbers[i] = std::int32_t(p[index[i]]);
    return numbers;
  }
  /// The bytes of a table at these indices, 0 to 15. Clang has no shuffle by indices that are no constants.
  IAPT_DEVICE static type look_up(byte_table table, type index) {
    type numbers;
#if defined(__clang__)
    for (int i = 0; i < width; ++i) numbers[i] = table.at(index[i]);
#else
    typename vector_of<std::int8_t, 8>::type low, high;
    std::memcpy(&low, &table.low, sizeof low), std::memcpy(&high, &table.high, sizeof high);
    using eight = typename vector_of<std::int32_t, 8>::type;
    const eight first = __builtin_convertvector(low, eight), second = __builtin_convertvector(high, eight);
    if constexpr (width == 16)
      numbers = __builtin_shuffle(
          __builtin_shufflevector(first, second, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), index);
    else if constexpr (width == 8)
      numbers = __builtin_shuffle(first, second, index);
    else
      for (int i = 0; i < width; ++i) numbers[i] = table.at(index[i]);
#endif
    return numbers;
  }
  /// The integers first, first + 1, …
  IAPT_DEVICE static type counting_from(int first) {
    type numbers;
    for (int i = 0; i < width; ++i) numbers[i] = first + i;
    return numbers;
  }
  /// Converts integers to elements.
  IAPT_DEVICE static native_vec<T> number(type i) {
    return native_vec<T>::of(__builtin_convertvector(i, typename native_vec<T>::vector));
  }
  /// Reads the integers as the bits of floats, and converts the floats to elements.
  IAPT_DEVICE static native_vec<T> number_of_bits(type i) {
    const auto floats = reinterpret_cast<typename vector_of<float, width>::type>(i);
    return native_vec<T>::of(__builtin_convertvector(floats, typename native_vec<T>::vector));
  }

 private:
  template <class I>
  IAPT_DEVICE static type widened(const std::byte* p) {
    typename vector_of<I, width>::type x;
    std::memcpy(&x, p, sizeof x);
#if defined(__AVX512F__)  // one instruction each; otherwise, the code of g++ 12 takes 1.5 times as long
    if constexpr (width == 16 && std::same_as<I, std::uint8_t>)
      return reinterpret_cast<type>(_mm512_cvtepu8_epi32(reinterpret_cast<__m128i>(x)));
    if constexpr (width == 16 && std::same_as<I, std::int8_t>)
      return reinterpret_cast<type>(_mm512_cvtepi8_epi32(reinterpret_cast<__m128i>(x)));
#endif
    if constexpr (sizeof(I) == 1)  // in two steps: g++ 12 would do one step element by element
      return __builtin_convertvector(__builtin_convertvector(x, typename vector_of<std::int16_t, width>::type), type);
    else
      return __builtin_convertvector(x, type);
  }
};

}  // namespace iapt
