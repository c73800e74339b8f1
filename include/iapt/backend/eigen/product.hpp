// SPDX-License-Identifier: Apache-2.0
// Matrix products on the CPU: oneDNN for float where the build found it, Eigen otherwise, and a loop of our own for a
// few rows, where the product only streams the weights.
#pragma once
#include <Eigen/Core>
#include <concepts>
#include <string>
#include <string_view>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/eigen/pack.hpp"
#include "iapt/core/error.hpp"
#if defined(IAPT_ONEDNN)
#include <dnnl.h>
#endif

namespace iapt {

/// The library that large float products run on.
inline constexpr std::string_view product_library =
#if defined(IAPT_ONEDNN)
    "oneDNN";
#else
    "Eigen";
#endif

/// c (m, n) = or += a (m, k) · b (k, n), by Eigen.
template <class T>
[[gnu::noinline]] void eigen_matmul(extent m, extent n, extent k, matrix_ref<const T> a, matrix_ref<const T> b,
                                    matrix_ref<T> c, bool accumulate) {
  using matrix = Eigen::Matrix<T, -1, -1, Eigen::RowMajor>;
  using stride = Eigen::OuterStride<>;
  using map = Eigen::Map<const matrix, 0, stride>;
  const map left(a.data, a.transposed ? k : m, a.transposed ? m : k, stride(a.stride));
  const map right(b.data, b.transposed ? n : k, b.transposed ? k : n, stride(b.stride));
  Eigen::Map<matrix, 0, stride> y(c.data, m, n, stride(c.stride));
  if (!accumulate) y.setZero();
  if (a.transposed && b.transposed)
    y.noalias() += left.transpose() * right.transpose();
  else if (a.transposed)
    y.noalias() += left.transpose() * right;
  else if (b.transposed)
    y.noalias() += left * right.transpose();
  else
    y.noalias() += left * right;
}

/// c (m, n) = or += a (m, k) · b (k, n) for large matrices, by the product library.
template <class T>
void library_matmul(extent m, extent n, extent k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c,
                    bool accumulate) {
#if defined(IAPT_ONEDNN)
  if constexpr (std::same_as<T, float>) {
    const dnnl_status_t status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, 1.f, a.data,
                                            a.stride, b.data, b.stride, accumulate ? 1.f : 0.f, c.data, c.stride);
    if (status != dnnl_success) throw device_error("matmul: oneDNN refuses, status " + std::to_string(status));
    return;
  }
#endif
  eigen_matmul(m, n, k, a, b, c, accumulate);
}

/// One column block of c (m, n) = or += a (m, k) · bᵀ for m ≤ Rows: column j is a dot product with row j of b, which is
/// read once for all rows of a.
template <int Rows, class T>
void dot_products(extent from, extent to, extent k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c,
                  bool accumulate) {
  using P = pack<T>;
  for (extent j = from; j < to; ++j) {
    const T* weights = b.data + j * b.stride;
    P even[Rows], odd[Rows];  // two chains hide the latency of the additions
    for (int i = 0; i < Rows; ++i) even[i] = odd[i] = P(T(0));
    extent l = 0;
    for (; l + 2 * P::width <= k; l += 2 * P::width) {
      const P w0 = P::load(weights + l), w1 = P::load(weights + l + P::width);
      for (int i = 0; i < Rows; ++i) {
        even[i] = even[i] + w0 * P::load(a.data + i * a.stride + l);
        odd[i] = odd[i] + w1 * P::load(a.data + i * a.stride + l + P::width);
      }
    }
    for (int i = 0; i < Rows; ++i) {
      T sum = (even[i] + odd[i]).sum();
      for (extent rest = l; rest < k; ++rest) sum += weights[rest] * a.data[i * a.stride + rest];
      T& y = c.data[i * c.stride + j];
      y = accumulate ? y + sum : sum;
    }
  }
}

}  // namespace iapt
