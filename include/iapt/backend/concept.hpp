// SPDX-License-Identifier: Apache-2.0
// What a machine must offer: memory, two kinds of loops, products and attention. Nothing else knows a machine.
#pragma once
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

/// One matrix of a product: `data` points to its first row, rows are `stride` numbers apart.
template <class T>
struct matrix_ref {
  T* data;                  ///< first number
  index_t stride;           ///< numbers from one row in memory to the next
  bool transposed = false;  ///< whether the product reads columns as rows
};

/// Where one sequence's queries, keys and values stand in the packed arrays of an attention, and what they may see:
/// query i sees all of the past, its own sequence up to itself, and the prefix if i ≥ prefix_from.
struct attention_segment {
  index_t begin = 0;         ///< first own row, of queries, keys and values alike
  index_t count = 0;         ///< number of own rows
  index_t past_begin = 0;    ///< first row in the past's arrays, or the first block's place in the table of blocks
  index_t past_count = 0;    ///< rows of the past; constants, no adjoint is computed
  index_t prefix_begin = 0;  ///< first row in the prefix's arrays
  index_t prefix_count = 0;  ///< rows of the prefix (soft tokens)
  index_t prefix_from = 0;   ///< first own row that sees the prefix
  /// Whether it says the same.
  bool operator==(const attention_segment&) const = default;
};

/// Where a sequence's past is in memory: contiguous, or in blocks that a table lists (paged KV cache).
struct past_layout {
  index_t block_size = 0;               ///< slots of a block; 0: contiguous
  const std::int32_t* table = nullptr;  ///< block ids; a sequence's begin at its past_begin
  /// Slot of row i of a sequence's past.
  IAPT_DEVICE index_t row(const attention_segment& s, index_t i) const {
    if (!block_size) return s.past_begin + i;
    return table[s.past_begin + std::uint32_t(i) / std::uint32_t(block_size)] * block_size + in_block(i);
  }
  /// Number of rows from row i on that are contiguous in memory, `most` at most.
  IAPT_DEVICE index_t contiguous_run(index_t i, index_t most) const {
    return block_size && block_size - in_block(i) < most ? block_size - in_block(i) : most;
  }

 private:
  // With 32 bits: a GPU takes five times as long to divide 64.
  IAPT_DEVICE index_t in_block(index_t i) const { return std::uint32_t(i) % std::uint32_t(block_size); }
};
/// The blocks of a paged KV cache, for all sequences.
struct block_table {
  index_t block_size = 0;                 ///< slots of a block; 0: the past is contiguous
  std::vector<std::int32_t> blocks = {};  ///< block ids; a sequence's begin at its past_begin
  /// The layout for a kernel, with the table in device memory.
  past_layout at(const std::int32_t* where) const { return {block_size, where}; }
};

/// Number of query heads, key/value heads, and numbers in a head.
struct head_layout {
  index_t heads = 1;      ///< H
  index_t kv_heads = 1;   ///< G, a divisor of H
  index_t head_size = 1;  ///< E
  /// Whether they are the same, and an order.
  auto operator<=>(const head_layout&) const = default;
};

/// What an attention reads and writes. Rows are contiguous: (N, H·E) for queries and results, (·, G·E) for keys and
/// values.
template <class T>
struct attention_arrays {
  head_layout layout;        ///< heads and their size
  compute_type<T> scale;     ///< factor of the scores
  const T *q,                ///< own rows: queries
      *k,                    ///< own rows: keys
      *v;                    ///< own rows: values
  const T *past_k,           ///< keys that all queries see; may be null
      *past_v;               ///< their values
  past_layout past;          ///< how they lie; a plan knows
  const T *prefix_k,         ///< keys of the soft tokens; may be null
      *prefix_v;             ///< their values
  T* y;                      ///< results (N, H·E): the forward writes them, the backward reads them
  compute_type<T>* log_sum;  ///< log Σ exp of each row's scores (N, H)
};
/// Where adjoints go; null where nobody wants them. Those of one tensor are added to what is there.
template <class T>
struct attention_adjoints {
  const T* dy;     ///< of the results
  T *dq,           ///< of the queries
      *dk,         ///< of the own keys
      *dv;         ///< of the own values
  T *dprefix_k,    ///< of the keys of the soft tokens
      *dprefix_v;  ///< of their values
  bool zeros;      ///< whether dq, dk and dv are zeros yet, so that they may be overwritten
};

/// Work that is done again and again, where a machine does it each time anew.
struct immediate_work {};

/// A machine that statements run on, now or, where it is a device of its own, in the order in which they were asked
/// for: only download() and wait() wait for it. One thread uses it at a time, and calls make_current() before, unless
/// it is the last that the thread has made. Beside what is required here it has templates that a concept cannot name:
///   - `for_each(rows, columns, f)` calls f(r, j) for each row and each vec_index of columns, in any order;
///   - `for_each_team(n, work, f)` calls f(team, k) for k in 0..n−1; a team is one thread on a CPU, a block of
///   threads on a
///     GPU, and `work` is about how many numbers one call touches;
///   - `repeat(work, f)`, with a `work_type` that belongs to f alone: runs f, which enqueues the same work on the same
///     memory each time, or has the machine repeat what it enqueued before;
///   - `matmul_quantized(m, n, a, w, c)`, a product of at most `skinny_rows` rows with the transpose of n quantized
///   rows,
///     which it dequantizes on the fly; `dequantize(w, rows, count, to)`, some of these rows;
///   - `plan_attention<T>(layout, segments, blocks)`, how it goes about the attention of some sequences, of type
///     `attention_plan_type`; `attention(arrays, plan)` and `attention_adjoint(arrays, adjoints, plan)`.
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
