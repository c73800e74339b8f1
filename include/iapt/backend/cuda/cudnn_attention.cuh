// SPDX-License-Identifier: Apache-2.0
// cuDNN's fused causal self-attention. The definitions are in cudnn_attention_source.cuh, which one translation unit of
// a program includes: NVIDIA's headers take half a minute to compile. In CMake, iapt::cuda has that unit.
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

/// The shape that cuDNN compiles a kernel for, which takes seconds. To have few shapes, sequences are computed in parts
/// of 1, 2, 4, 8..., and their length is rounded up to a power of two.
struct cudnn_shape {
  index_t sequences,   ///< number of sequences, B
      longest,         ///< greatest number of rows of a sequence, S
      kv_heads;        ///< key/value heads to compute, with the query heads that share them
  head_layout layout;  ///< heads of the rows in memory
  bool adjoint;        ///< whether to compute the adjoint; else the forward
  /// Query heads to compute, H.
  index_t heads() const { return kv_heads * layout.heads / layout.kv_heads; }
  /// Rows of the longest sequence: the adjoint of one key/value head then needs at most 2 GiB.
  static index_t most_rows(const head_layout& layout) {
    index_t rows = 128;
    while (layout.heads / layout.kv_heads * (4 * rows * rows) * 2 <= index_t(1) << 31) rows *= 2;
    return rows;
  }
  /// As many of `count` sequences as fit, or as many heads of one sequence: the deterministic adjoint stores B·H·S²
  /// elements, and a few for each row.
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
  /// An order, for std::map.
  auto operator<=>(const cudnn_shape&) const = default;
};

/// Causal self-attention of sequences in bfloat16, scaled by 1/√E, and its deterministic adjoint.
/// @par Source Dao 2023, "FlashAttention-2"
class cudnn_attention {
 public:
  /// Whether cuDNN supports the heads on a device of a compute capability (90 for Hopper): a head size that is a
  /// multiple of 16 and at most 128, on data-centre GPUs from Hopper on. Other GPUs have no deterministic adjoint for
  /// packed rows.
  static bool knows(const head_layout& layout, int capability);

  /// Opens cuDNN on a device, which must be the calling thread's current one and outlive the object.
  /// @throws device_error if cuDNN cannot be opened
  explicit cudnn_attention(const cuda_device& device);
  ~cudnn_attention();
  cudnn_attention(const cudnn_attention&) = delete;
  cudnn_attention& operator=(const cudnn_attention&) = delete;

  /// Workspace of a run, in bytes. The first call for a shape compiles the kernel.
  /// @throws device_error naming the shape if cuDNN does not support it
  std::size_t workspace_bytes(const cudnn_shape& shape);
  /// Computes y and log_sum for the shape's number of sequences and heads, from `kv_head` on.
  /// @throws device_error if cuDNN fails
  void forward(const cudnn_shape& shape, const fused_sequences& sequences, index_t kv_head, void* workspace,
               const attention_arrays<bfloat16>& arrays);
  /// Computes dq, dk and dv of the same, which are overwritten.
  /// @throws device_error if cuDNN fails
  void adjoint(const cudnn_shape& shape, const fused_sequences& sequences, index_t kv_head, void* workspace,
               const attention_arrays<bfloat16>& arrays, const attention_adjoints<bfloat16>& adjoints);
  /// Why cuDNN does not support a shape on a device; empty if it does. The device need not be present: `device` is
  /// cuDNN's description of it in JSON, `capability` its compute capability (90 for Hopper).
  static std::string refusal(const cudnn_shape& shape, std::string_view device, int capability);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace iapt
