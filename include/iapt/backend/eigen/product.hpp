// SPDX-License-Identifier: Apache-2.0
// Matrix products on the CPU: oneDNN for float if the build has it, Eigen otherwise, and own loops for few rows, where
// a matmul only streams the weights.
#pragma once
#include <Eigen/Core>
#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/eigen/native_vec.hpp"
#include "iapt/core/error.hpp"
#include "iapt/core/quantized.hpp"
#if defined(IAPT_ONEDNN)
#include <dnnl.h>
#endif

namespace iapt {

/// The library that large float matmuls run on.
inline constexpr std::string_view product_library =
#if defined(IAPT_ONEDNN)
    "oneDNN";
#else
    "Eigen";
#endif

/// The library and its version, as loaded at run time: another version may round differently.
inline std::string product_library_version() {
  const auto numbered = [](int major, int minor, int patch) {
    return std::string(product_library) + " " + std::to_string(major) + "." + std::to_string(minor) + "." +
           std::to_string(patch);
  };
#if defined(IAPT_ONEDNN)
  return numbered(dnnl_version()->major, dnnl_version()->minor, dnnl_version()->patch);
#else
  return numbered(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION);
#endif
}

/// Whether matmuls of this type run on a library other than Eigen.
template <class T>
inline constexpr bool has_product_library =
#if defined(IAPT_ONEDNN)
    std::same_as<T, float>;
#else
    false;
#endif

/// c (m, n) = or += a (m, k) · b (k, n), by Eigen, on the calling thread. It calls what Eigen's own BLAS calls: with
/// expressions, the four combinations of transposes take three times as long to compile.
template <class T>
[[gnu::noinline]] void eigen_matmul(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b,
                                    matrix_ref<T> c, bool accumulate) {
  using namespace Eigen;
  for (index_t i = 0; !accumulate && i < m; ++i) std::fill_n(c.data + i * c.stride, n, T(0));
  internal::gemm_blocking_space<ColMajor, T, T, Dynamic, Dynamic, Dynamic> blocking(n, m, k, 1, true);
  // Row-major c = a · b is column-major cᵀ = bᵀ · aᵀ.
  const auto run = [&]<int OrderB, int OrderA>() {
    internal::general_matrix_matrix_product<index_t, T, OrderB, false, T, OrderA, false, ColMajor, 1>::run(
        n, m, k, b.data, b.stride, a.data, a.stride, c.data, 1, c.stride, T(1), blocking, nullptr);
  };
  if (b.transposed)
    a.transposed ? run.template operator()<RowMajor, RowMajor>() : run.template operator()<RowMajor, ColMajor>();
  else
    a.transposed ? run.template operator()<ColMajor, RowMajor>() : run.template operator()<ColMajor, ColMajor>();
}

#if defined(IAPT_ONEDNN)
/// c (m, n) = or += a (m, k) · b (k, n) for large matrices, on OpenMP's number of threads.
inline void library_matmul(index_t m, index_t n, index_t k, matrix_ref<const float> a, matrix_ref<const float> b,
                           matrix_ref<float> c, bool accumulate) {
  const dnnl_status_t status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, 1.f, a.data,
                                          a.stride, b.data, b.stride, accumulate ? 1.f : 0.f, c.data, c.stride);
  if (status != dnnl_success) throw device_error("matmul: oneDNN refuses, status " + std::to_string(status));
}
#endif

/// Dense rows, for dot_tile.
template <class T>
struct dense_rows {
  const T* data;                                      ///< first row
  index_t stride;                                     ///< elements from one row to the next
  static constexpr int chunk = native_vec<T>::width;  ///< elements read at a time
  static constexpr int side_by_side = 4;              ///< rows that are read together, at most

  /// Reads a chunk of row j, from element l on.
  [[gnu::always_inline]] void read(index_t j, index_t l, native_vec<T>* out) const {
    *out = native_vec<T>::load(data + j * stride + l);
  }
  /// Element l of row j.
  T number(index_t j, index_t l) const { return data[j * stride + l]; }
};

/// Rows in a quantized format, which are dequantized in registers.
template <class T, class Format>
struct decoded_rows {
  const std::byte* data;                        ///< first row
  index_t stride;                               ///< bytes from one row to the next
  static constexpr int chunk = chunk_elements;  ///< elements read at a time
  static constexpr int side_by_side = 1;        ///< rows that are read together: of several short rows, each would
                                                ///< end before the processor starts to prefetch it

  /// Refers to rows of this format.
  explicit decoded_rows(const quantized_rows& rows) : data(rows.data), stride(rows.row_bytes()) {}
  /// Dequantizes a chunk of row j, from element l on.
  [[gnu::always_inline]] void read(index_t j, index_t l, native_vec<T>* out) const {
    Format::template chunk<T>(data + j * stride, l / chunk, out);
  }
  /// Element l of row j.
  T number(index_t j, index_t l) const { return Format::template number<T>(data + j * stride, l); }
};

/// sum + the products of elements [l, k) of a row with those of row j of w, one by one.
template <class Weights, class T>
T add_rest(T sum, index_t j, index_t l, index_t k, const T* a, Weights w) {
  for (; l < k; ++l) sum = multiply_add(w.number(j, l), a[l], sum);
  return sum;
}

/// A tile of c (m, n) = or += a (m, k) · wᵀ: the first `Rows` rows, and `Columns` columns from j on. Each weight is
/// read once for all rows. The order of an element's sum depends neither on the tile's size nor on how weights are
/// stored.
template <int Rows, int Columns, class Weights, class T>
void dot_tile(index_t j, index_t k, matrix_ref<const T> a, Weights w, matrix_ref<T> c, bool accumulate) {
  using P = native_vec<T>;
  constexpr int vecs = Weights::chunk / P::width;
  P sums[Rows][Columns];
  for (auto& row : sums)
    for (P& sum : row) sum = P(T(0));
  index_t l = 0;  // the loops below are unrolled, so that sums and weights stay in registers
  for (; l + Weights::chunk <= k; l += Weights::chunk) {
    P weights[Columns][vecs];
#pragma GCC unroll 4
    for (int q = 0; q < Columns; ++q) w.read(j + q, l, weights[q]);
#pragma GCC unroll 16
    for (int p = 0; p < vecs; ++p)
#pragma GCC unroll 4
      for (int i = 0; i < Rows; ++i) {
        const P x = P::load(a.data + i * a.stride + l + p * P::width);
#pragma GCC unroll 4
        for (int q = 0; q < Columns; ++q) sums[i][q] = multiply_add(weights[q][p], x, sums[i][q]);
      }
  }
  T totals[Rows][Columns];
  for (int i = 0; i < Rows; ++i)
    for (int q = 0; q < Columns; ++q) totals[i][q] = sums[i][q].sum();
  for (int i = 0; i < Rows; ++i)
    for (int q = 0; q < Columns; ++q) {
      const T sum = l < k ? add_rest(totals[i][q], j + q, l, k, a.data + i * a.stride, w) : totals[i][q];
      T& y = c.data[i * c.stride + j + q];
      y = accumulate ? y + sum : sum;
    }
}

/// Columns [from, to) of c (m, n) = or += a (m, k) · wᵀ, best for few rows: element (i, j) is a dot product of row i of
/// a and row j of w, and does not depend on the number of rows.
template <class T, class Weights>
void dot_products(index_t m, index_t from, index_t to, index_t k, matrix_ref<const T> a, Weights w, matrix_ref<T> c,
                  bool accumulate) {
  constexpr int rows = 4;
  const auto strip = [&]<int Rows>(std::integral_constant<int, Rows>) {
    constexpr int columns = std::min(Weights::side_by_side,
                                     Rows > 2 ? 2 : 4);  // as many sums as sixteen registers hold beside the operands
    index_t j = from;
    for (; j + columns <= to; j += columns) dot_tile<Rows, columns>(j, k, a, w, c, accumulate);
    for (; j < to; ++j) dot_tile<Rows, 1>(j, k, a, w, c, accumulate);
    a.data += Rows * a.stride, c.data += Rows * c.stride, m -= Rows;
  };
  while (m >= rows) strip(std::integral_constant<int, rows>{});
  if (m == 3) strip(std::integral_constant<int, 3>{});
  if (m == 2) strip(std::integral_constant<int, 2>{});
  if (m == 1) strip(std::integral_constant<int, 1>{});
}

/// A tile of c (m, n) += a (m, k) · b (k, n): the first `Rows` rows, and `Vecs` vecs of columns from `column` on. Each
/// element of b is read once for all rows. The order of an element's sum does not depend on the tile's size.
template <int Rows, int Vecs, class T>
void sum_tile(index_t column, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c) {
  using P = native_vec<T>;
  P sums[Rows][Vecs];
  for (int i = 0; i < Rows; ++i)
    for (int p = 0; p < Vecs; ++p) sums[i][p] = P::load(c.data + i * c.stride + column + p * P::width);
  for (index_t l = 0; l < k; ++l) {
    P numbers[Vecs];
    for (int p = 0; p < Vecs; ++p) numbers[p] = P::load(b.data + l * b.stride + column + p * P::width);
    for (int i = 0; i < Rows; ++i) {
      const P factor(a.data[i * a.stride + l]);
      for (int p = 0; p < Vecs; ++p) sums[i][p] = multiply_add(numbers[p], factor, sums[i][p]);
    }
  }
  for (int i = 0; i < Rows; ++i)
    for (int p = 0; p < Vecs; ++p) sums[i][p].store(c.data + i * c.stride + column + p * P::width);
}

/// Columns [from, n) of one row of c (m, n) += a (m, k) · b (k, n), one by one.
template <class T>
void add_rest_of_columns(index_t from, index_t n, index_t k, const T* a, matrix_ref<const T> b, T* c) {
  for (index_t l = 0; l < k; ++l)
    for (index_t j = from; j < n; ++j) c[j] = multiply_add(b.data[l * b.stride + j], a[l], c[j]);
}

/// c (m, n) += a (m, k) · b (k, n), neither transposed, best for few rows: row i does not depend on the number of rows,
/// nor on how k is divided.
template <class T>
void sum_products(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c) {
  constexpr int width = native_vec<T>::width;
  constexpr int rows = 3, vecs = 4;  // as many sums as sixteen registers hold beside the operands
  const auto strip = [&]<int Rows>(std::integral_constant<int, Rows>) {
    index_t column = 0;
    for (; column + vecs * width <= n; column += vecs * width) sum_tile<Rows, vecs>(column, k, a, b, c);
    for (; column + width <= n; column += width) sum_tile<Rows, 1>(column, k, a, b, c);
    for (int i = 0; column < n && i < Rows; ++i)
      add_rest_of_columns(column, n, k, a.data + i * a.stride, b, c.data + i * c.stride);
    a.data += Rows * a.stride, c.data += Rows * c.stride, m -= Rows;
  };
  while (m >= rows) strip(std::integral_constant<int, rows>{});
  if (m == 2) strip(std::integral_constant<int, 2>{});
  if (m == 1) strip(std::integral_constant<int, 1>{});
}

}  // namespace iapt
