// SPDX-License-Identifier: Apache-2.0
// cuDNN's attention as a backend's fused kernel.
#pragma once
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>

#include "iapt/backend/cuda/cudnn_attention.cuh"
#include "iapt/backend/thrust/loops.hpp"
#include "iapt/expr/loops.hpp"

namespace iapt {

/// The loops of backends on Thrust, with cuDNN's attention for bfloat16. `Self` also has the base cuda_device, before
/// this one: cuDNN must not outlive the stream.
template <class Self>
class cudnn_loops : public thrust_loops<Self> {
 public:
  /// Rows of the longest sequence for cuDNN's attention; 0 for elements and heads that it does not support.
  template <class T>
  index_t most_fused_rows(const head_layout& layout) const {
    const bool wanted = std::same_as<T, bfloat16> && self().options().fused_attention;
    return wanted && cudnn_attention::knows(layout, self().capability()) ? cudnn_shape::most_rows(layout) : 0;
  }
  /// Causal self-attention of sequences.
  template <class T>
  void fused_attention(const attention_arrays<T>& arrays, const fused_sequences& sequences) {
    if constexpr (std::same_as<T, bfloat16>)
      each_part(arrays.layout, sequences, false, [&](const auto&... part) { cudnn_->forward(part..., arrays); });
  }
  /// The adjoints of fused_attention().
  template <class T>
  void fused_attention_adjoint(const attention_arrays<T>& arrays, attention_adjoints<T> adjoints,
                               const fused_sequences& sequences) {
    if constexpr (std::same_as<T, bfloat16>) {
      if (!adjoints.dq && !adjoints.dk && !adjoints.dv) return;
      const index_t queries = sequences.rows * arrays.layout.heads * arrays.layout.head_size;
      const index_t keys = sequences.rows * arrays.layout.kv_heads * arrays.layout.head_size;
      const overwritten dq(self(), adjoints.dq, queries, adjoints.zeros), dk(self(), adjoints.dk, keys, adjoints.zeros),
          dv(self(), adjoints.dv, keys, adjoints.zeros);
      each_part(arrays.layout, sequences, true,
                [&](const auto&... part) { cudnn_->adjoint(part..., arrays, adjoints); });
      dq.add(), dk.add(), dv.add();
    }
  }

 private:
  // cuDNN overwrites adjoints, and computes all of them: an adjoint that already has a sum, or is null, gets separate
  // memory.
  struct overwritten {
    Self& backend;
    bfloat16* const wanted;
    std::optional<buffer<bfloat16, Self>> own;
    overwritten(Self& b, bfloat16*& p, index_t n, bool zeros) : backend(b), wanted(p) {
      if (p && zeros) return;
      own.emplace(backend, n);
      p = own->write();
      backend.zero(p, n);  // tokens of no sequence
    }
    void add() const {
      if (own && wanted)
        backend.for_each(1, own->size(), fold_chunks<bfloat16>{{own->data()}, {wanted}, 1, own->size(), true});
    }
  };
  // Calls f(shape, sequences, first key/value head, workspace) for each part that is computed at once.
  template <class F>
  void each_part(const head_layout& layout, const fused_sequences& sequences, bool adjoint, F f) {
    if (!cudnn_) cudnn_ = std::make_unique<cudnn_attention>(self());
    for (index_t done = 0; done < sequences.count;) {
      const auto shape = cudnn_shape::of(layout, sequences.longest, sequences.count - done, adjoint);
      buffer<std::uint8_t, Self> workspace(self(), index_t(cudnn_->workspace_bytes(shape)));
      for (index_t kv_head = 0; kv_head < layout.kv_heads; kv_head += shape.kv_heads) {
        f(shape, sequences.part(done, shape.sequences), kv_head, workspace.write());
        self().enqueued("fused attention");
      }
      done += shape.sequences;
    }
  }
  Self& self() { return *static_cast<Self*>(this); }
  const Self& self() const { return *static_cast<const Self*>(this); }
  std::unique_ptr<cudnn_attention> cudnn_;  // created at the first fused attention
};

}  // namespace iapt
