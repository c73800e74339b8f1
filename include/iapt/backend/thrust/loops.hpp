// SPDX-License-Identifier: Apache-2.0
// What a GPU and Thrust on the host share: statements, team kernels and attention as functions of an index.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/pool.hpp"
#include "iapt/backend/thrust/attention.hpp"
#include "iapt/backend/thrust/attention_adjoint.hpp"
#include "iapt/backend/thrust/attention_plan.hpp"
#include "iapt/backend/thrust/decode_attention.hpp"
#include "iapt/backend/thrust/decode_merge.hpp"
#include "iapt/backend/thrust/fixed_vec.hpp"
#include "iapt/backend/thrust/quantized.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// An elementwise kernel as a function of one index, which counts the vecs of some rows.
template <class F>
struct vec_loop {
  using loop_type = F;                         ///< the elementwise kernel's type
  using V = load_vec<typename F::value_type>;  ///< elements that are processed at once
  F f;                                         ///< the elementwise kernel
  index_t row,                                 ///< first row
      column,                                  ///< first column
      columns;                                 ///< number of columns
  std::uint32_t across;  ///< vecs of a row; 32 bits, because a GPU divides 64 bits five times slower
  /// Computes vec k.
  IAPT_DEVICE void operator()(std::uint32_t k) const {
    const index_t r = row + k / across, j = column + index_t(k % across) * V::width;
    if (j + V::width <= columns)
      f(r, vec_index<V>{j});
    else
      for (index_t i = j; i < columns; ++i) f(r, vec_index<compute_type<typename F::value_type>>{i});
  }
};

/// Operations that need only for_each_team() and for_each_n(), which calls f(k) for k in 0..n-1. `Self` has both, and
/// what memory_pool needs.
template <class Self>
class thrust_loops : public memory_pool<Self> {
 public:
  using attention_plan_type = attention_plan<Self>;  ///< how an attention is divided
  static constexpr bool stores_bfloat16 = true;      ///< whether matmul and attention support bfloat16
  static constexpr bool streams_quantized = false;   ///< whether quantized rows are not slower than dense rows
  static constexpr index_t skinny_rows = 8;          ///< with more rows, dequantizing the weights to memory is faster

  /// Runs an elementwise kernel: f(r, j) for every row and column, a vec of columns at a time.
  template <class F>
  void for_each(index_t rows, index_t columns, const F& f) {
    constexpr index_t most = index_t(1) << 31, width = vec_loop<F>::V::width;  // number of vecs that 32 bits count
    for (index_t column = 0; column < columns; column += most * width) {
      const index_t across = std::min((columns - column + width - 1) / width, most), height = most / across;
      for (index_t row = 0; row < rows; row += height)
        self().for_each_n(std::uint32_t(std::min(rows - row, height) * across),
                          vec_loop<F>{f, row, column, columns, std::uint32_t(across)});
    }
  }
  /// c (m, n) = a (m, k) · wᵀ for at most `skinny_rows` rows.
  template <class T>
  void matmul_quantized(index_t m, index_t n, matrix_ref<const T> a, const quantized_rows& w, matrix_ref<T> c) {
    self().for_each_team(n, m * w.columns, quantized_product_column<T>{a, w, c, m});
  }
  /// to[i] = row rows[i] of w, or row i where `rows` is null.
  template <class T>
  void dequantize(const quantized_rows& w, const std::int32_t* rows, index_t count, T* to) {
    self().for_each_team(count, w.columns, dequantize_row<T>{w, rows, to});
  }
  /// Rows of the longest sequence for which the backend has a fused kernel of causal self-attention; 0: it has none. A
  /// backend with such a kernel hides these three members.
  template <class T>
  index_t most_fused_rows(const head_layout&) const {
    return 0;
  }
  /// Causal self-attention of sequences.
  template <class T>
  void fused_attention(const attention_arrays<T>&, const fused_sequences&) {}
  /// The adjoints of fused_attention(), with the final log_sum and results.
  template <class T>
  void fused_attention_adjoint(const attention_arrays<T>&, const attention_adjoints<T>&, const fused_sequences&) {}
  /// Divides the attention of some sequences into tiles.
  template <class T>
  attention_plan<Self> plan_attention(const head_layout& layout, std::span<const attention_segment> segments,
                                      const block_table& table) {
    return {
        self(), layout, segments, table, attention_tile_size<T>(layout), self().template most_fused_rows<T>(layout)};
  }
  /// Causal attention; see attention_forward_tile.
  template <class T>
  void attention(const attention_arrays<T>& arrays, const attention_plan<Self>& plan) {
    if (plan.fused().count) self().fused_attention(arrays, plan.fused());
    buffer<compute_type<T>, Self> partial(self(), plan.partial_rows() * (arrays.layout.head_size + 2));
    const auto tiles = plan.forward_tiles(arrays, partial.write());
    self().for_each_team(plan.prefill_query_tiles(), plan.work(), attention_forward_tile<T>{tiles});
    self().for_each_team(plan.kv_splits().size(), plan.work(), decode_attention<T>{tiles, plan.kv_splits().data()});
    self().for_each_team(plan.split_rows().size(), arrays.layout.head_size,
                         decode_merge<T>{tiles, plan.split_rows().data()});
  }
  /// The adjoints of attention(); see attention_query_adjoint_tile and attention_key_adjoint_tile.
  template <class T>
  void attention_adjoint(const attention_arrays<T>& arrays, const attention_adjoints<T>& adjoints,
                         const attention_plan<Self>& plan) {
    if (plan.fused().count) self().fused_attention_adjoint(arrays, adjoints, plan.fused());
    if (plan.query_tiles() + plan.key_tiles() == 0) return;
    buffer<compute_type<T>, Self> delta(self(), plan.rows() * arrays.layout.heads);
    const auto tiles = plan.tiles(arrays, adjoints, delta.write());
    self().for_each_team(delta.size(), arrays.layout.head_size, attention_delta<T>{tiles});
    if (adjoints.dq) self().for_each_team(plan.query_tiles(), plan.work(), attention_query_adjoint_tile<T>{tiles});
    self().for_each_team(plan.key_tiles(), plan.work(), attention_key_adjoint_tile<T>{tiles});
  }

 private:
  Self& self() { return *static_cast<Self*>(this); }
  // Rows and keys of a tile: as many as fit a team's scratch memory.
  template <class T>
  int attention_tile_size(const head_layout& layout) {
    int tile_size = 64;
    while (tile_size > 4 && attention_scratch(6, tile_size, layout.head_size) * index_t(sizeof(compute_type<T>)) >
                                self().scratch_bytes())
      tile_size /= 2;
    return tile_size;
  }
};

}  // namespace iapt
