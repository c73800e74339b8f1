// SPDX-License-Identifier: Apache-2.0
// cuBLASLt, as far as the library calls it, on the simulated GPU. Matrices are stored by columns, as its own are;
// an algorithm is refused any product but those that it was recommended for.
#include <cublasLt.h>

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <type_traits>
#include <utility>

#include "iapt/core/bfloat16.hpp"
#include "support/simulated_gpu/device.hpp"

namespace {

using iapt::compute_type;
using iapt::test::simulated_gpu;

/// A matrix in memory.
struct layout {
  cudaDataType type;
  std::uint64_t rows, columns;
  std::int64_t stride;
  bool operator==(const layout&) const = default;
};
/// What a product is made of.
struct product {
  cublasComputeType_t compute;
  cudaDataType scale;
  std::int32_t left = CUBLAS_OP_N, right = CUBLAS_OP_N;
  bool operator==(const product&) const = default;
};
/// Multiples that the addresses of A, B, C and D are of, in bytes.
struct wishes {
  std::array<std::uint32_t, 4> alignment{256, 256, 256, 256};
};
/// What an algorithm was recommended for.
struct recommended {
  product what;
  std::array<layout, 4> matrices;
  std::array<std::uint32_t, 4> alignment;
};
std::deque<recommended> algorithms;  // an algorithm is a place in here

template <class Known, class Handle>
Known& known(Handle handle) {
  return *reinterpret_cast<Known*>(handle);
}
template <class Known, class Handle>
cublasStatus_t destroy(Handle handle) {
  return delete &known<Known>(handle), CUBLAS_STATUS_SUCCESS;
}
template <class Value>
cublasStatus_t set(Value& place, const void* value, std::size_t bytes) {
  if (bytes != sizeof place) return CUBLAS_STATUS_INVALID_VALUE;
  return std::memcpy(&place, value, bytes), CUBLAS_STATUS_SUCCESS;
}
/// Whether its memory is on the device.
bool there(const layout& m, const void* p) {
  const std::size_t size = m.type == CUDA_R_64F ? 8 : m.type == CUDA_R_32F ? 4 : 2;
  return simulated_gpu::here().owns(p, ((m.columns - 1) * std::size_t(m.stride) + m.rows) * size);
}

/// d = op(a) · op(b) + β·c
template <class T, class Result>
void multiply(const product& what, const layout& left, const T* a, const layout& right, const T* b,
              compute_type<T> beta, const Result* c, const layout& result, Result* d) {
  using wide = compute_type<T>;
  using matrix = Eigen::Matrix<wide, Eigen::Dynamic, Eigen::Dynamic>;
  const auto at = []<class X>(const layout& m, X* p) {
    using stored = Eigen::Matrix<std::remove_const_t<X>, Eigen::Dynamic, Eigen::Dynamic>;
    using kind = std::conditional_t<std::is_const_v<X>, const stored, stored>;
    return Eigen::Map<kind, 0, Eigen::OuterStride<>>(p, Eigen::Index(m.rows), Eigen::Index(m.columns),
                                                     Eigen::OuterStride<>(m.stride));
  };
  const matrix x = at(left, a).template cast<wide>(), y = at(right, b).template cast<wide>();
  const matrix before = at(result, c).template cast<wide>();
  matrix sum(Eigen::Index(result.rows), Eigen::Index(result.columns));
  const bool left_turned = what.left == CUBLAS_OP_T, right_turned = what.right == CUBLAS_OP_T;
  if (left_turned && right_turned)
    sum.noalias() = x.transpose() * y.transpose();
  else if (left_turned)
    sum.noalias() = x.transpose() * y;
  else if (right_turned)
    sum.noalias() = x * y.transpose();
  else
    sum.noalias() = x * y;
  at(result, d) = sum.template cast<Result>();
  if (beta != 0)  // the product is rounded before it is added, as it is on a GPU
    at(result, d) = (at(result, d).template cast<wide>() + beta * before).template cast<Result>();
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  return *handle = reinterpret_cast<cublasLtHandle_t>(new int), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy<int>(handle); }
const char* cublasLtGetStatusString(cublasStatus_t) { return "an invalid value"; }

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t stride) {
  if (rows == 0 || columns == 0 || stride < std::int64_t(rows)) return CUBLAS_STATUS_INVALID_VALUE;
  *made = reinterpret_cast<cublasLtMatrixLayout_t>(new layout{type, rows, columns, stride});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t m) { return destroy<layout>(m); }
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t compute, cudaDataType_t scale) {
  *made = reinterpret_cast<cublasLtMatmulDesc_t>(new product{compute, scale});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t p) { return destroy<product>(p); }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t p, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_DESC_TRANSA) return set(known<product>(p).left, value, bytes);
  if (attribute == CUBLASLT_MATMUL_DESC_TRANSB) return set(known<product>(p).right, value, bytes);
  return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  *made = reinterpret_cast<cublasLtMatmulPreference_t>(new wishes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t w) { return destroy<wishes>(w); }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t w,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    std::size_t bytes) {
  std::uint64_t memory;
  std::uint32_t scheme;
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return set(memory, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return set(scheme, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return set(known<wishes>(w).alignment[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return set(known<wishes>(w).alignment[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return set(known<wishes>(w).alignment[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(known<wishes>(w).alignment[3], value, bytes);
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t p, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t w, int,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  const product& what = known<product>(p);
  const std::array<layout, 4> m{known<layout>(a), known<layout>(b), known<layout>(c), known<layout>(d)};
  const auto shape = [](const layout& x, std::int32_t operation) {
    return operation == CUBLAS_OP_T ? std::pair(x.columns, x.rows) : std::pair(x.rows, x.columns);
  };
  const auto left = shape(m[0], what.left), right = shape(m[1], what.right);
  const bool floats = what.compute == CUBLAS_COMPUTE_32F && what.scale == CUDA_R_32F &&
                      (m[0].type == CUDA_R_32F || m[0].type == CUDA_R_16BF);
  const bool doubles = what.compute == CUBLAS_COMPUTE_64F && what.scale == CUDA_R_64F && m[0].type == CUDA_R_64F;
  if (left.second != right.first || m[3].rows != left.first || m[3].columns != right.second || m[2] != m[3] ||
      m[0].type != m[1].type || !(m[0].type == m[3].type || (m[0].type == CUDA_R_16BF && m[3].type == CUDA_R_32F)) ||
      !(floats || doubles))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  results->algo.data[0] = algorithms.size();
  algorithms.push_back({what, m, known<wishes>(w).alignment});
  return *count = 1, CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t p, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t left, const void* b, cublasLtMatrixLayout_t right,
                              const void* beta, const void* c, cublasLtMatrixLayout_t, void* d,
                              cublasLtMatrixLayout_t result, const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  const recommended known_way = algorithms.at(algorithm->data[0]);
  const std::array<layout, 4> m{known<layout>(left), known<layout>(right), known<layout>(result),
                                known<layout>(result)};
  bool right_one = known_way.what == known<product>(p) && known_way.matrices == m &&
                   simulated_gpu::here().owns(workspace, workspace_bytes);
  const std::array<const void*, 4> places{a, b, c, d};
  for (std::size_t i = 0; i < 4; ++i)
    right_one &= there(m[i], places[i]) && reinterpret_cast<std::uintptr_t>(places[i]) % known_way.alignment[i] == 0;
  if (!right_one) return CUBLAS_STATUS_INVALID_VALUE;
  const auto run = [&]<class T, class Result>(T, Result) {
    const auto by = *static_cast<const compute_type<T>*>(beta);
    if (*static_cast<const compute_type<T>*>(alpha) != 1) return CUBLAS_STATUS_NOT_SUPPORTED;
    const cudaError_t status = simulated_gpu::here().enqueue(stream, [=, what = known_way.what] {
      multiply(what, m[0], static_cast<const T*>(a), m[1], static_cast<const T*>(b), by, static_cast<const Result*>(c),
               m[3], static_cast<Result*>(d));
    });
    return status == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
  };
  if (m[0].type == CUDA_R_64F) return run(double(), double());
  if (m[0].type == CUDA_R_32F) return run(float(), float());
  if (m[3].type == CUDA_R_32F) return run(iapt::bfloat16(), float());
  return run(iapt::bfloat16(), iapt::bfloat16());
}
