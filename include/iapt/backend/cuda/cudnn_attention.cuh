// SPDX-License-Identifier: Apache-2.0
// cuDNN's fused attention, for sequences that see their own rows. What is declared here is defined in
// cudnn_attention_source.cuh, which one translation unit of a program includes: NVIDIA's headers take a compiler half a
// minute. In CMake that unit comes with iapt::cuda.
#pragma once
#include <compare>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/cuda/device.cuh"
#include "iapt/backend/thrust/attention.hpp"

namespace iapt {

/// What cuDNN compiles a kernel for, which takes seconds. So there are few of them: sequences are done in parts of
/// 1, 2, 4, 8..., and are as long as the next power of two.
struct cudnn_shape {
  index_t sequences,   ///< how many there are, B
      longest,         ///< rows of a sequence at most, S
      kv_heads;        ///< key/value heads that are done, with the query heads that share them
  head_layout layout;  ///< of the rows in memory
  bool adjoint;        ///< the adjoint, or the forward
  /// Query heads that are done, H.
  index_t heads() const { return kv_heads * layout.heads / layout.kv_heads; }
  /// Rows of the longest sequence that is worth the memory: 2 GiB for the adjoint of one key/value head.
  static index_t most_rows(const head_layout& layout) {
    index_t rows = 128;
    while (layout.heads / layout.kv_heads * (4 * rows * rows) * 2 <= index_t(1) << 31) rows *= 2;
    return rows;
  }
  /// As many of `count` sequences as fit, or as many heads of one: for its fixed order the adjoint keeps B·H·S²
  /// numbers, beside a few for each row.
  static cudnn_shape of(const head_layout& layout, index_t longest, index_t count, bool adjoint) {
    constexpr index_t most = index_t(1) << 28;  // bytes
    cudnn_shape shape{1, 128, layout.kv_heads, layout, adjoint};
    while (shape.longest < longest) shape.longest *= 2;
    const index_t head = adjoint ? shape.longest * shape.longest * 2 : 0;
    for (index_t parts = 2; parts <= layout.kv_heads && shape.heads() * head > most; ++parts)
      if (layout.kv_heads % parts == 0) shape.kv_heads = layout.kv_heads / parts;
    while (shape.sequences * 2 <= count && shape.sequences * 2 * shape.heads() * head <= most) shape.sequences *= 2;
    return shape;
  }
  /// An order, for a table of them.
  auto operator<=>(const cudnn_shape&) const = default;
};

/// Causal attention in bfloat16, scaled by 1/√E, of sequences to their own rows, and its adjoint in a fixed order.
/// @par Source Dao 2023, "FlashAttention-2"
class cudnn_attention {
 public:
  /// Whether it is for such heads on a device of such a compute capability (90 for Hopper): heads of a multiple of 16,
  /// at most 128, numbers, on data centres' GPUs from Hopper on. Others lack a fixed order for packed rows.
  static bool knows(const head_layout& layout, int capability);

  /// Opens cuDNN on a device, the calling thread's current one, which must outlive it.
  /// @throws device_error if it cannot be
  explicit cudnn_attention(const cuda_device& device);
  ~cudnn_attention();
  cudnn_attention(const cudnn_attention&) = delete;
  cudnn_attention& operator=(const cudnn_attention&) = delete;

  /// Memory that a run needs, in bytes. Compiles the kernel if it is the first of its shape.
  /// @throws device_error naming the shape if cuDNN knows no way
  std::size_t workspace_bytes(const cudnn_shape& shape);
  /// y and log_sum of the shape's number of sequences and heads, from `kv_head` on.
  /// @throws device_error if cuDNN fails
  void forward(const cudnn_shape& shape, const fused_sequences& sequences, index_t kv_head, void* workspace,
               const attention_arrays<bfloat16>& arrays);
  /// dq, dk and dv of the same, which are written over.
  /// @throws device_error if cuDNN fails
  void adjoint(const cudnn_shape& shape, const fused_sequences& sequences, index_t kv_head, void* workspace,
               const attention_arrays<bfloat16>& arrays, const attention_adjoints<bfloat16>& adjoints);
  /// Why cuDNN knows no way on a device that need not be here; empty if it does. The device is cuDNN's own description
  /// in JSON, and its compute capability (90 for Hopper).
  static std::string refusal(const cudnn_shape& shape, std::string_view device, int capability);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace iapt
