// SPDX-License-Identifier: Apache-2.0
// cuDNN's attention on the simulated GPU: what its statement says, query by query.
#include "iapt/backend/cuda/cudnn_attention.cuh"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "support/simulated_gpu/device.hpp"

namespace iapt {
namespace {

/// One head of one sequence.
struct head {
  index_t rows, size,  // S, E
      query_stride,    // from a row of q, y, dq to the next
      key_stride,      // from a row of k, v, dk to the next
      sum_stride;      // from a row's log_sum to the next
  const bfloat16 *q, *k, *v;
  bfloat16* y;
  float* log_sum;

  double score(index_t i, index_t j) const {
    double s = 0;
    for (index_t e = 0; e < size; ++e) s += double(q[i * query_stride + e]) * double(k[j * key_stride + e]);
    return s / std::sqrt(double(size));
  }
  void forward() const {
    std::vector<double> weights(rows);
    for (index_t i = 0; i < rows; ++i) {
      double most = -INFINITY, all = 0;
      for (index_t j = 0; j <= i; ++j) most = std::max(most, weights[j] = score(i, j));
      for (index_t j = 0; j <= i; ++j) all += weights[j] = std::exp(weights[j] - most);
      for (index_t e = 0; e < size; ++e) {
        double sum = 0;
        for (index_t j = 0; j <= i; ++j) sum += weights[j] * double(v[j * key_stride + e]);
        y[i * query_stride + e] = bfloat16(float(sum / all));
      }
      log_sum[i * sum_stride] = float(most + std::log(all));
    }
  }
  // Adds to dk and dv, which query heads share; (S, E) both.
  void adjoint(const bfloat16* dy, bfloat16* dq, std::vector<double>& dk, std::vector<double>& dv) const {
    for (index_t i = 0; i < rows; ++i) {
      double delta = 0;
      for (index_t e = 0; e < size; ++e) delta += double(dy[i * query_stride + e]) * double(y[i * query_stride + e]);
      std::vector<double> own(size);
      for (index_t j = 0; j <= i; ++j) {
        const double weight = std::exp(score(i, j) - double(log_sum[i * sum_stride]));
        double along = 0;
        for (index_t e = 0; e < size; ++e) along += double(dy[i * query_stride + e]) * double(v[j * key_stride + e]);
        const double dscore = weight * (along - delta) / std::sqrt(double(size));
        for (index_t e = 0; e < size; ++e) {
          own[e] += dscore * double(k[j * key_stride + e]);
          dk[j * size + e] += dscore * double(q[i * query_stride + e]);
          dv[j * size + e] += weight * double(dy[i * query_stride + e]);
        }
      }
      for (index_t e = 0; e < size; ++e) dq[i * query_stride + e] = bfloat16(float(own[e]));
    }
  }
};
/// Query head h of the shape, counted from its first, in a sequence.
head head_of(const cudnn_shape& shape, const fused_sequences& s, index_t sequence, index_t h, index_t kv_head,
             const attention_arrays<bfloat16>& a) {
  const head_layout& all = shape.layout;
  const index_t shared = all.heads / all.kv_heads, query = kv_head * shared + h, key = kv_head + h / shared;
  return {s.lengths[sequence],
          all.head_size,
          all.heads * all.head_size,
          all.kv_heads * all.head_size,
          all.heads,
          a.q + s.query_offsets[sequence] + query * all.head_size,
          a.k + s.key_offsets[sequence] + key * all.head_size,
          a.v + s.key_offsets[sequence] + key * all.head_size,
          a.y + s.query_offsets[sequence] + query * all.head_size,
          a.log_sum + s.sum_offsets[sequence] + query};
}

}  // namespace

struct cudnn_attention::state {
  const cuda_device& on;

  /// Enqueues work whose arrays are all there.
  /// @throws device_error if one is not, or the device has failed
  void enqueue(const cudnn_shape& shape, const fused_sequences& s, const void* workspace,
               const attention_arrays<bfloat16>& a, std::function<void()> work) const {
    test::simulated_gpu& device = test::simulated_gpu::here();
    const auto there = [&](const auto* p, index_t n) { return device.owns(p, std::size_t(n) * sizeof *p); };
    const index_t queries = s.rows * a.layout.heads, keys = s.rows * a.layout.kv_heads, size = a.layout.head_size;
    const index_t ends = shape.sequences + 1;
    if (!there(s.lengths, shape.sequences) || !there(s.query_offsets, ends) || !there(s.key_offsets, ends) ||
        !there(s.sum_offsets, ends) || !there(a.q, queries * size) || !there(a.y, queries * size) ||
        !there(a.k, keys * size) || !there(a.v, keys * size) || !there(a.log_sum, queries) ||
        !there(static_cast<const std::byte*>(workspace), workspace_of(shape)))
      throw device_error("cuda: cuDNN: an array is not on the device");
    const cudaError_t status = device.enqueue(on.stream(), [=] {
      for (index_t i = 0; i < shape.sequences; ++i)
        if (s.lengths[i] > shape.longest) test::simulated_gpu::refuse("a sequence is longer than cuDNN was told");
      work();
    });
    if (status != cudaSuccess) on.fail("cuDNN: attention", cudaGetErrorString(status));
  }
  static index_t workspace_of(const cudnn_shape& shape) {
    return shape.adjoint ? shape.sequences * shape.heads() * shape.longest * shape.longest * 2 : 0;
  }
};
bool cudnn_attention::knows(const head_layout& layout, int capability) {
  return capability == 90 && layout.head_size % 16 == 0 && layout.head_size <= 128;
}
cudnn_attention::cudnn_attention(const cuda_device& device) : state_(new state{device}) {}
cudnn_attention::~cudnn_attention() {
  if (!test::simulated_gpu::here().streams.contains(state_->on.stream())) std::abort();  // it was closed too late
}
std::size_t cudnn_attention::workspace_bytes(const cudnn_shape& shape) {
  return std::size_t(state::workspace_of(shape));
}
void cudnn_attention::forward(const cudnn_shape& shape, const fused_sequences& sequences, index_t kv_head,
                              void* workspace, const attention_arrays<bfloat16>& arrays) {
  state_->enqueue(shape, sequences, workspace, arrays, [=] {
    for (index_t s = 0; s < shape.sequences; ++s)
      for (index_t h = 0; h < shape.heads(); ++h) head_of(shape, sequences, s, h, kv_head, arrays).forward();
  });
}
void cudnn_attention::adjoint(const cudnn_shape& shape, const fused_sequences& sequences, index_t kv_head,
                              void* workspace, const attention_arrays<bfloat16>& arrays,
                              const attention_adjoints<bfloat16>& adjoints) {
  state_->enqueue(shape, sequences, workspace, arrays, [=] {
    const index_t shared = shape.layout.heads / shape.layout.kv_heads, size = shape.layout.head_size;
    for (index_t s = 0; s < shape.sequences; ++s)
      for (index_t g = 0; g < shape.kv_heads; ++g) {
        const index_t rows = sequences.lengths[s], key = sequences.key_offsets[s] + (kv_head + g) * size;
        std::vector<double> dk(rows * size), dv(rows * size);
        for (index_t h = g * shared; h < (g + 1) * shared; ++h) {
          const index_t query = sequences.query_offsets[s] + (kv_head * shared + h) * size;
          head_of(shape, sequences, s, h, kv_head, arrays).adjoint(adjoints.dy + query, adjoints.dq + query, dk, dv);
        }
        for (index_t j = 0; j < rows; ++j)
          for (index_t e = 0; e < size; ++e) {
            const index_t at = key + j * shape.layout.kv_heads * size + e;
            adjoints.dk[at] = bfloat16(float(dk[j * size + e])), adjoints.dv[at] = bfloat16(float(dv[j * size + e]));
          }
      }
  });
}

}  // namespace iapt
