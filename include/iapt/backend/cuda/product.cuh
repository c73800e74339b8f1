// SPDX-License-Identifier: Apache-2.0
// Matrix products on a GPU: cuBLASLt, with the algorithm that it recommends looked up once for each shape.
#pragma once
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/cuda/device.cuh"
#include "iapt/backend/cuda/error.cuh"

namespace iapt {

/// cuBLASLt's names of an element type and of the type of its sums: float is exact, no TF32.
template <class T>
struct cublas_types;
/// Single precision.
template <>
struct cublas_types<float> {
  static constexpr cudaDataType_t stored = CUDA_R_32F;                ///< type of matrices
  static constexpr cudaDataType_t scale = CUDA_R_32F;                 ///< type of α and β
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_32F;  ///< type of sums
};
/// Double precision.
template <>
struct cublas_types<double> {
  static constexpr cudaDataType_t stored = CUDA_R_64F;                ///< type of matrices
  static constexpr cudaDataType_t scale = CUDA_R_64F;                 ///< type of α and β
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_64F;  ///< type of sums
};

/// bfloat16, summed in float.
template <>
struct cublas_types<bfloat16> {
  static constexpr cudaDataType_t stored = CUDA_R_16BF;               ///< type of matrices
  static constexpr cudaDataType_t scale = CUDA_R_32F;                 ///< type of α and β
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_32F;  ///< type of sums
};

/// Matmuls on one device, which must outlive the object.
class cublas_products {
 public:
  /// Creates a handle and a workspace.
  /// @throws device_error if that fails
  explicit cublas_products(const cuda_device& device) : device_(device) {
    cublasLtHandle_t handle;
    cuda_check(cublasLtCreate(&handle), "cuBLASLt");
    handle_.reset(handle);
    void* memory;
    cuda_check(cudaMalloc(&memory, workspace_bytes), "memory for cuBLASLt");
    workspace_.reset(memory);
  }

  /// c (m, n) = a (m, k) · b (k, n) + addend, with m, n and k > 0. The addend may be null; its layout is that of c, and
  /// it may be c.
  /// @throws device_error if cuBLASLt has no algorithm
  template <class T, class Result>
  void run(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, const Result* addend,
           matrix_ref<Result> c) {
    const Result* const start = addend ? addend : c.data;
    const shape key{index_t(cublas_types<T>::stored),
                    index_t(cublas_types<Result>::stored),
                    m,
                    n,
                    k,
                    a.stride,
                    b.stride,
                    c.stride,
                    a.transposed,
                    b.transposed,
                    addend != nullptr,
                    aligned(a.data),
                    aligned(b.data),
                    aligned(start),
                    aligned(c.data)};
    auto found = plans_.find(key);
    if (found == plans_.end() && plans_.size() >= most_plans) plans_.clear(), found = plans_.end();
    if (found == plans_.end()) found = plans_.emplace(key, make_plan<T>(m, n, k, a, b, addend, c)).first;
    const plan& p = found->second;
    const compute_type<T> one(1), beta(addend ? 1 : 0);
    const cublasStatus_t status = cublasLtMatmul(handle_.get(), p.product.get(), &one, b.data, p.left.get(), a.data,
                                                 p.right.get(), &beta, start, p.result.get(), c.data, p.result.get(),
                                                 &p.algorithm, workspace_.get(), workspace_bytes, device_.stream());
    if (status != CUBLAS_STATUS_SUCCESS) device_.fail("matmul " + text(m, n, k), cublasLtGetStatusString(status));
  }

 private:
  static constexpr std::size_t workspace_bytes = std::size_t(32) << 20;  // what NVIDIA advises for Hopper
  static constexpr std::size_t most_plans = 4096;                        // a long run has batches of every length
  using shape = std::array<index_t, 15>;
  template <auto Destroy>
  struct destroy {
    template <class X>
    void operator()(X* x) const {
      Destroy(x);
    }
  };
  template <class Handle, auto Destroy>
  using owner = std::unique_ptr<std::remove_pointer_t<Handle>, destroy<Destroy>>;
  struct plan {
    owner<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> product;
    owner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> left, right, result;
    cublasLtMatmulAlgo_t algorithm;
  };

  static std::string text(index_t m, index_t n, index_t k) {
    return "(" + std::to_string(m) + ", " + std::to_string(k) + ") × (" + std::to_string(k) + ", " + std::to_string(n) +
           ")";
  }
  // The alignment of an address, up to the 256 bytes that matter to algorithms.
  static index_t aligned(const void* p) {
    const auto bits = reinterpret_cast<std::uintptr_t>(p);
    return index_t(std::min<std::uintptr_t>(bits & -bits, 256));
  }
  static auto layout(cudaDataType_t type, index_t rows, index_t columns, index_t stride) {
    cublasLtMatrixLayout_t made;
    cuda_check(cublasLtMatrixLayoutCreate(&made, type, rows, columns, stride), "a matrix for cuBLASLt");
    return owner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>(made);
  }
  template <class T, class Result>
  plan make_plan(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, const Result* addend,
                 matrix_ref<Result> c) {
    using types = cublas_types<T>;
    // Row-major c = a · b is column-major cᵀ = bᵀ · aᵀ: b is the left operand, n and m are exchanged.
    plan p;
    cublasLtMatmulDesc_t product;
    cuda_check(cublasLtMatmulDescCreate(&product, types::compute, types::scale), "a product of cuBLASLt");
    p.product.reset(product);
    const cublasOperation_t left = b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                            right = a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    cuda_check(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSA, &left, sizeof left), "transposed");
    cuda_check(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSB, &right, sizeof right),
               "transposed");
    p.left = layout(types::stored, b.transposed ? k : n, b.transposed ? n : k, b.stride);
    p.right = layout(types::stored, a.transposed ? m : k, a.transposed ? k : m, a.stride);
    p.result = layout(cublas_types<Result>::stored, n, m, c.stride);

    cublasLtMatmulPreference_t wishes;
    cuda_check(cublasLtMatmulPreferenceCreate(&wishes), "wishes for cuBLASLt");
    const owner<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> owned(wishes);
    const auto wish = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
      cuda_check(cublasLtMatmulPreferenceSetAttribute(wishes, what, &value, sizeof value), "wishes for cuBLASLt");
    };
    wish(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, std::uint32_t(aligned(b.data)));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, std::uint32_t(aligned(a.data)));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, std::uint32_t(aligned(addend ? addend : c.data)));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, std::uint32_t(aligned(c.data)));
    // Partial sums are not rounded to the stored type.
    wish(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_.get(), product, p.left.get(), p.right.get(), p.result.get(), p.result.get(), wishes, 1, &best, &count);
    if (status != CUBLAS_STATUS_SUCCESS || count == 0)
      device_.fail("matmul " + text(m, n, k) + (addend ? ", added to a matrix" : ""),
                   "cuBLASLt knows no way to compute it");
    p.algorithm = best.algo;
    return p;
  }

  const cuda_device& device_;
  owner<cublasLtHandle_t, cublasLtDestroy> handle_;
  std::unique_ptr<void, destroy<cudaFree>> workspace_;
  std::map<shape, plan> plans_;
};

}  // namespace iapt
