// SPDX-License-Identifier: Apache-2.0
// What a backend offers: memory, loops, recorded work, matmuls and attention. Other code uses a backend through this
// interface only.
#pragma once
#include <cmath>
#include <compare>
#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include "iapt/core/bfloat16.hpp"
#include "iapt/core/device.hpp"
#include "iapt/core/quantized.hpp"
#include "iapt/core/shape.hpp"

namespace iapt {

/// One matrix of a matmul, whose arguments have its extents.
template <class T>
struct matrix_ref {
  T* data;                  ///< first element
  index_t stride;           ///< leading dimension: elements from one row in memory to the next
  bool transposed = false;  ///< whether the matmul reads it transposed
};

/// The keys of a sequence, in the order in which its queries attend to them: those of a KV cache, those of the soft
/// tokens, and those of the own rows.
enum class key_kind { past, soft, own };

/// One sequence of an attention over packed arrays (varlen): where its queries, keys and values are. `visibility` says
/// which of them attend to which.
struct attention_segment {
  index_t begin = 0;       ///< first own row, the same for queries, keys and values
  index_t count = 0;       ///< number of own rows
  index_t past_begin = 0;  ///< contiguous past: its first row; paged: index of its first block in the block table
  index_t past_count = 0;  ///< rows of the past, which are constants: no adjoint is computed
  index_t soft_begin = 0;  ///< first row in the soft tokens' arrays
  index_t soft_count = 0;  ///< number of soft tokens
  index_t soft_from = 0;   ///< first own row that attends to the soft tokens
  /// Whether all members are equal.
  bool operator==(const attention_segment&) const = default;
};

/// Which queries of a sequence attend to which of some consecutive keys of one kind: all queries to the past, query i
/// to own keys 0..i and, if i ≥ soft_from, to all soft tokens. Queries are counted within the sequence, keys from the
/// first of these keys. Nothing else compares positions.
class visibility {
 public:
  /// Number of keys of a kind that a query attends to; they are the first ones.
  IAPT_DEVICE static index_t keys(const attention_segment& s, key_kind kind, index_t query) {
    // By kind, not by first and step: nvcc then needs fewer registers, and two blocks fit on a multiprocessor.
    return kind == key_kind::past   ? s.past_count
           : kind == key_kind::soft ? (query < s.soft_from ? 0 : s.soft_count)
                                    : query + 1;
  }
  /// Of all keys of a kind.
  IAPT_DEVICE visibility(const attention_segment& s, key_kind kind)
      : first_(kind == key_kind::soft ? s.soft_from : 0), step_(kind == key_kind::own ? 1 : 0) {}
  /// Of the same keys without those before key j.
  IAPT_DEVICE visibility from(index_t j) const {
    visibility rest = *this;
    rest.first_ += j * step_;
    return rest;
  }
  /// Whether a query attends to key j.
  IAPT_DEVICE bool sees(index_t query, index_t j) const { return query >= first_ + j * step_; }
  /// How many of the first `count` of these keys a query attends to.
  IAPT_DEVICE index_t keys_of(index_t query, index_t count) const {
    if (query < first_) return 0;
    if (!step_) return count;
    return query - first_ < count ? query - first_ + 1 : count;
  }
  /// The first query that attends to key 0; those before it attend to none of these keys.
  IAPT_DEVICE index_t first_query() const { return first_; }

 private:
  index_t first_,  // key j is visible from query first + j · step on
      step_;
};

/// Where a sequence's past is in memory: contiguous, or in the blocks of a block table (paged KV cache).
struct past_layout {
  index_t block_size = 0;               ///< KV slots of a block; 0: contiguous
  const std::int32_t* table = nullptr;  ///< block ids; a sequence's ids begin at its past_begin
  /// KV slot of token i of a sequence's past.
  IAPT_DEVICE index_t row(const attention_segment& s, index_t i) const {
    if (!block_size) return s.past_begin + i;
    return table[s.past_begin + std::uint32_t(i) / std::uint32_t(block_size)] * block_size + in_block(i);
  }
  /// Number of tokens, from token i on, that are contiguous in memory; at most `most`.
  IAPT_DEVICE index_t contiguous_run(index_t i, index_t most) const {
    return block_size && block_size - in_block(i) < most ? block_size - in_block(i) : most;
  }

 private:
  // In 32 bits: a GPU divides 64 bits five times slower.
  IAPT_DEVICE index_t in_block(index_t i) const { return std::uint32_t(i) % std::uint32_t(block_size); }
};
/// The blocks of a paged KV cache, for all sequences.
struct block_table {
  index_t block_size = 0;                 ///< KV slots of a block; 0: the past is contiguous
  std::vector<std::int32_t> blocks = {};  ///< block ids; a sequence's ids begin at its past_begin
  /// The layout for a kernel; `where` is the table in the backend's memory.
  past_layout at(const std::int32_t* where) const { return {block_size, where}; }
};

/// Number of query heads and of key/value heads, and elements of a head.
struct head_layout {
  index_t heads = 1;      ///< H
  index_t kv_heads = 1;   ///< G, a divisor of H
  index_t head_size = 1;  ///< E
  double scale = 0;       ///< factor of the scores; 0: 1/√E
  /// The factor of the scores.
  double score_scale() const { return scale > 0 ? scale : 1 / std::sqrt(double(head_size)); }
  /// Equality and an order.
  auto operator<=>(const head_layout&) const = default;
};

/// Operands and results of an attention. Rows are contiguous: (N, H·E) for queries and results, (·, G·E) for keys and
/// values.
template <class T>
struct attention_arrays {
  head_layout layout;        ///< number and size of the heads
  compute_type<T> scale;     ///< factor of the scores
  const T *q,                ///< queries of the own rows
      *k,                    ///< keys of the own rows
      *v;                    ///< values of the own rows
  const T *past_k,           ///< keys of the past, which all queries attend to; may be null
      *past_v;               ///< values of the past
  past_layout past;          ///< layout of the past; a plan sets it
  const T *soft_k,           ///< keys of the soft tokens; may be null
      *soft_v;               ///< values of the soft tokens
  T* y;                      ///< results (N, H·E): the forward writes them, the backward reads them
  compute_type<T>* log_sum;  ///< log Σ exp of each row's scores (N, H)
};
/// Where adjoints are written; null if an adjoint is not needed. Adjoints are added to what is there.
template <class T>
struct attention_adjoints {
  const T* dy;   ///< adjoint of the results
  T *dq,         ///< adjoint of the queries
      *dk,       ///< adjoint of the own keys
      *dv;       ///< adjoint of the own values
  T *dsoft_k,    ///< adjoint of the soft tokens' keys
      *dsoft_v;  ///< adjoint of the soft tokens' values
  bool zeros;    ///< whether dq, dk and dv are still zeros, so that they may be overwritten
};

/// `work_type` of a backend that records nothing: its repeat() calls the function each time.
struct immediate_work {};

/// A backend executes operations synchronously or, on a device, asynchronously in the order of enqueueing, as on one
/// CUDA stream; only download() and wait() block the host. A backend is not safe to use from two threads at once, and a
/// thread calls make_current() before it uses one that is not the last one that it created. Pointers are to the
/// backend's memory, sizes are in elements. Beside what the concept checks:
///   - `for_each(rows, columns, f)` calls f(r, j) for each row and each vec_index of columns, in any order;
///   - `for_each_team(n, cost, f)` calls f(team, k) for k in 0..n−1; a team is one thread on a CPU, a block of threads
///   on
///     a GPU; `cost` is about how many elements one call touches;
///   - `repeat(work, f)` calls f, which enqueues the same operations on the same memory each time, or replays what f
///     enqueued before (CUDA graphs); `work`, of the backend's `work_type`, belongs to one f;
///   - `matmul_quantized(m, n, a, w, c)`: c = a · wᵀ for m ≤ `skinny_rows` rows of a and n quantized rows, which are
///     dequantized in registers; `dequantize(w, rows, count, to)`: rows rows[0..count) of w, or its first `count` rows
///     if `rows` is null;
///   - `plan_attention<T>(layout, segments, table)`: how the attention of these sequences is divided, of type
///     `attention_plan_type`; `attention(arrays, plan)` and its gradient, `attention_adjoint(arrays, adjoints, plan)`.
///
/// The concept: allocate(n) and deallocate(p, n); copy(to, from, n) within the backend; upload(to, from, n) from the
/// host, whose memory may be reused at once; download(to, from, n) to the host; zero(p, n); wait(); `stores_bfloat16`,
/// whether it computes with the type; `streams_quantized`, whether quantized weights are no slower than expanded ones;
/// description(), for messages; matmul(m, n, k, a, b, c, accumulate): c (m, n) = or += a (m, k) · b (k, n).
template <class B>
concept backend_like = requires(B& b, float* p, const float* c, index_t n, matrix_ref<const float> m) {
  { b.template allocate<float>(n) } -> std::same_as<float*>;
  b.deallocate(p, n);
  b.copy(p, c, n);
  b.upload(p, c, n);
  b.download(p, c, n);
  b.zero(p, n);
  b.wait();
  b.make_current();
  { B::stores_bfloat16 } -> std::convertible_to<bool>;
  { B::streams_quantized } -> std::convertible_to<bool>;
  { B::skinny_rows } -> std::convertible_to<index_t>;
  { b.description() } -> std::convertible_to<std::string>;
  b.template matmul<float>(n, n, n, m, m, matrix_ref<float>{p, n}, true);
};

}  // namespace iapt
