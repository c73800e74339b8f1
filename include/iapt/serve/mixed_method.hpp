// SPDX-License-Identifier: Apache-2.0
// The methods of a batch in which each sequence has its own.
// Shapes: N tokens, D hidden size, G key/value heads, E elements of a head, P soft tokens.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "iapt/core/random.hpp"
#include "iapt/serve/lora_batch.hpp"

namespace iapt {

/// The methods of one step, as one method. Sequences of one method are adjacent, so each of its hooks is called once
/// for all of them, on their rows. It is for inference only.
template <class T, class Backend>
class mixed_method {
 public:
  using matrix = tensor<T, 2, Backend>;                 ///< a row for each token
  using factors = tensor<compute_type<T>, 2, Backend>;  ///< the same, unrounded
  static constexpr hook_set hooks{hook::delta, hook::scale,  hook::bias,
                                  hook::after, hook::prefix, hook::input};  ///< all

  /// The sequences of one method.
  struct part {
    const any_method<T, Backend>* method;                  ///< their method; null: the base model
    row_span rows;                                         ///< their tokens in the batch
    row_span soft;                                         ///< their soft tokens among all of the step
    std::vector<row_span> instructions = {};               ///< rows that their soft tokens are written from
    std::optional<row_indices<Backend>> stored_rows = {};  ///< those rows are in the cache, at these slots
    bool in_lora_batch = false;                            ///< whether lora_batch computes their delta
  };
  std::vector<part> parts = {};                     ///< in the order of the batch
  index_t soft_rows = 0;                            ///< number of soft tokens of the step
  const kv_cache<T, Backend>* cache = nullptr;      ///< has the stored rows
  std::optional<lora_batch<T, Backend>> lora = {};  ///< the products that plan_lora_batch() found

  /// Prepares BGMV for the parts of few tokens whose deltas are low-rank products. A batch-invariant backend does
  /// without: there a product of few rows has the same bits as one of many.
  void plan_lora_batch(Backend& backend, int layers) {
    constexpr index_t max_rows = 16;  // beyond these a matrix product for each method is faster
    if constexpr (requires { backend.batch_invariant(); })
      if (backend.batch_invariant()) return;
    bool any = false;
    for (part& p : parts) any |= p.in_lora_batch = has(p, hook::low_rank) && p.rows.count() <= max_rows;
    if (!any) return;
    std::vector<const any_method<T, Backend>*> methods;
    std::vector<std::int32_t> which;
    for (const part& p : parts) {
      which.insert(which.end(), std::size_t(p.rows.count()), std::int32_t(methods.size()));
      methods.push_back(p.in_lora_batch ? p.method : nullptr);
    }
    lora.emplace(backend, layers, methods, which);
  }

  /// Whether any of the methods has a hook.
  bool uses_hook(hook h) const {
    return std::any_of(parts.begin(), parts.end(), [&](const part& p) { return has(p, h); });
  }
  /// Whether the step's method reads states before a layer's norm; it is then the only one.
  bool needs_raw_states() const { return parts.size() == 1 && parts[0].method && parts[0].method->needs_raw_states(); }
  /// 0: the batch metadata has the soft tokens of each sequence.
  index_t soft_tokens() const { return 0; }
  /// Not used.
  placement where() const { return placement::front; }
  /// hook::prefix: the soft tokens of all parts, in their order.
  key_values<T, Backend> prefix(inference<Backend>& ctx, int number, const decoder_layer<T, Backend>& layer,
                                const matrix& states, const std::vector<row_span>&, const matrix& cos_sin) const {
    const extents<2> shape{soft_rows, layer.attention.layout.kv_heads * layer.attention.layout.head_size};
    key_values<T, Backend> all{matrix(ctx.backend(), shape), matrix(ctx.backend(), shape)};
    for (const part& p : parts) {
      if (p.soft.begin == p.soft.end) continue;
      const auto own = p.method->prefix(
          ctx, number, layer, p.stored_rows ? ctx(gather(cache->hidden_states(number), *p.stored_rows)) : states,
          p.instructions, cos_sin.slice(p.soft.begin, p.soft.end));
      put(all.keys, p.soft, own.keys), put(all.values, p.soft, own.values);
    }
    return all;
  }
  /// hook::delta.   x (N, in) -> (N, out), or an empty handle
  matrix delta(inference<Backend>& ctx, target_module where, const matrix& x) const {
    return combined<matrix>(ctx, hook::delta, -0.0f, lora ? lora->delta(where, x) : matrix(), [&](const part& p) {
      return p.in_lora_batch ? matrix() : p.method->delta(ctx, where, rows_of(p, x));
    });
  }
  /// hook::scale: (N, out), or an empty handle.
  factors scale(inference<Backend>& ctx, target_module where) const {
    return combined<factors>(ctx, hook::scale, 1, {},
                             [&](const part& p) { return repeated(ctx, p.method->scale(ctx, where), p); });
  }
  /// hook::bias: (N, out), or an empty handle.
  factors bias(inference<Backend>& ctx, target_module where) const {
    return combined<factors>(ctx, hook::bias, -0.0f, {},
                             [&](const part& p) { return repeated(ctx, p.method->bias(ctx, where), p); });
  }
  /// hook::after.   x, y (N, D) -> (N, D)
  matrix after(inference<Backend>& ctx, int layer, sublayer half, const matrix& x, const matrix& y) const {
    return replaced(ctx, hook::after, y, [&](const part& p, const matrix& own) {
      return p.method->after(ctx, layer, half, rows_of(p, x), own);
    });
  }
  /// hook::input.   x (N, D) -> (N, D)
  matrix input(inference<Backend>& ctx, const matrix& x) const {
    return replaced(ctx, hook::input, x, [&](const part& p, const matrix& own) { return p.method->input(ctx, own); });
  }

 private:
  static bool has(const part& p, hook h) { return p.method && p.method->uses_hook(h); }
  index_t tokens() const { return parts.back().rows.end; }
  matrix rows_of(const part& p, const matrix& x) const {
    return p.rows.count() == x.size(0) ? x : x.slice(p.rows.begin, p.rows.end);
  }
  // One row for each token of a part.
  static factors repeated(inference<Backend>& ctx, const tensor<compute_type<T>, 1, Backend>& row, const part& p) {
    if (!row) return {};
    return ctx(filled<compute_type<T>>(ctx.backend(), extents<2>{p.rows.count(), row.size()}, 1) * row);
  }
  // The results of a hook for all tokens, or `neutral` for those whose method has none. `all` may have some already.
  // The neutral summand is −0: x + −0 is x for both zeros.
  template <class Matrix, class F>
  Matrix combined(inference<Backend>& ctx, hook h, float neutral, Matrix all, F f) const {
    using value_type = typename Matrix::value_type;
    for (const part& p : parts) {
      if (!has(p, h)) continue;
      const Matrix own = f(p);
      if (!own) continue;
      if (p.rows.count() == tokens()) return own;
      if (!all) all = filled<value_type>(ctx.backend(), extents<2>{tokens(), own.size(1)}, value_type(neutral));
      put(all, p.rows, own);
    }
    return all;
  }
  // x, with the rows replaced whose methods have the hook.
  template <class F>
  matrix replaced(inference<Backend>& ctx, hook h, const matrix& x, F f) const {
    matrix all;
    for (const part& p : parts) {
      if (!has(p, h)) continue;
      const matrix own = f(p, rows_of(p, x));
      if (p.rows.count() == tokens()) return own;
      if (!all) {
        all = matrix(ctx.backend(), x.shape());
        ctx.backend().copy(all.write(), x.data(), x.size());
      }
      put(all, p.rows, own);
    }
    return all ? all : x;
  }
  template <class Matrix>
  static void put(const Matrix& to, row_span rows, const Matrix& from) {
    if (from.size(0) != rows.count() || from.size(1) != to.size(1))
      throw shape_error("a method returned " + to_text(from.shape()) + " for " + std::to_string(rows.count()) +
                        " rows of " + std::to_string(to.size(1)));
    to.backend().copy(to.write() + rows.begin * to.size(1), from.data(), from.size());
  }
};

}  // namespace iapt
