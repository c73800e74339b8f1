// SPDX-License-Identifier: Apache-2.0
// Output spaces: what a generator writes, and how keys and values of a layer are computed from it.
// Shapes: P soft tokens of each of B sequences, R bottleneck, D hidden size, G key/value heads, E elements of a head.
// T is the element type of the generator, S that of the layer, which may have fewer bits.
#pragma once
#include <string>

#include "iapt/autograd/tape.hpp"
#include "iapt/core/random.hpp"
#include "iapt/nn/decoder_layer.hpp"
#include "iapt/ops/cast.hpp"
#include "iapt/ops/repeat_columns.hpp"
#include "iapt/peft/iapt/layer_file.hpp"
#include "iapt/peft/iapt/options.hpp"

namespace iapt {

/// Factor of gains and offsets; it multiplies their effective learning rate.
/// @par Source ours (docs/method.md, "Output space")
inline constexpr double offset_rate = 10;

/// What the initial values of a layer's output space depend on.
template <class T, class S, class Backend>
struct layer_start {
  const decoder_layer<S, Backend>& layer;  ///< the base model's layer
  tensor<T, 2, Backend> base;              ///< hidden states of unit RMS (P, D); empty for a random start
  random_stream stream;                    ///< stream of random values
};

/// P rows of each of B sequences as (B, P, columns): a tensor of one row for each soft token then broadcasts.
template <class T, class Backend>
tensor<T, 3, Backend> by_sequence(const tensor<T, 2, Backend>& rows, index_t soft_tokens) {
  return rows.reshape(extents<3>{rows.size(0) / soft_tokens, soft_tokens, rows.size(1)});
}
/// The inverse: (B, P, columns) -> (B·P, columns).
template <class T, class Backend>
tensor<T, 2, Backend> by_row(const tensor<T, 3, Backend>& x) {
  return x.reshape(extents<2>{x.size(0) * x.size(1), x.size(2)});
}

/// The paper's output space: the generator writes hidden states base + y · up; the layer's own norm and projections
/// compute keys and values from them.
/// @par Source IAPT, ACL 2024; the learned base is ours (docs/method.md, "Initialisation")
template <class T, class Backend>
struct hidden_space {
  static constexpr auto name = "hidden";  ///< name in files
  tensor<T, 2, Backend> up;               ///< (R, D)
  tensor<T, 2, Backend> base;             ///< (P, D); empty for a random start

  /// With a base, up = 0; otherwise up is random with deviation 0.02: if both were 0, the norm would divide by zero.
  template <class S>
  static hidden_space make(Backend& backend, const iapt_options& o, const layer_start<T, S, Backend>& start) {
    const extents<2> shape{o.bottleneck, start.layer.attention_norm.weight.size()};
    return {start.base ? filled<T>(backend, shape, 0) : random_normal<T>(backend, shape, 0.02, start.stream),
            start.base};
  }
  /// Reads the tensors of a layer from a file; the base only if the file has it.
  template <class S, class File>
  static hidden_space read(const layer_file<T, Backend, File>& from, const iapt_options& o,
                           const decoder_layer<S, Backend>& layer) {
    const index_t hidden = layer.attention_norm.weight.size();
    hidden_space space{from.shared("up", extents<2>{o.bottleneck, hidden}), {}};
    if (from.has("base")) space.base = from("base", extents<2>{o.soft_tokens, hidden});
    return space;
  }
  /// Soft tokens after the layer's norm.   y (B·P, R) -> (B·P, D)
  template <class Context, class S>
  tensor<S, 2, Backend> normed(Context& ctx, const tensor<T, 2, Backend>& y, index_t soft_tokens,
                               const decoder_layer<S, Backend>& layer) const {
    auto prompts = ctx(matmul(y, up));
    if (base) prompts = by_row(ctx(base + by_sequence(prompts, soft_tokens)));
    return layer.attention_norm(ctx, ctx(cast<S>(prompts)));
  }
  /// Keys and values (B·P, G·E).   y (B·P, R)
  template <class Context, class S>
  key_values<S, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& y, index_t soft_tokens,
                                    const decoder_layer<S, Backend>& layer,
                                    const tensor<S, 2, Backend>& cos_sin) const {
    const auto n = normed(ctx, y, soft_tokens, layer);
    return {layer.attention.rotated(ctx, layer.attention.project_key(ctx, n), cos_sin),
            layer.attention.project_value(ctx, n)};
  }
  /// Calls f(name, tensor, role) for each tensor.
  template <class F>
  void visit(F f) {
    f("up", up, tensor_role::shared);
    f("base", base, tensor_role::weights);
  }
};

/// Hidden space with a learned gain for each soft token and head, and an offset of the values. Without them, the norm
/// fixes a soft token's length, so its key and value could not grow.
/// @par Source ours (docs/method.md, "Output space")
template <class T, class Backend>
struct hidden_gains_space {
  static constexpr auto name = "hidden_gains";  ///< name in files
  hidden_space<T, Backend> hidden;              ///< writes the hidden states
  tensor<T, 2, Backend> key_gain;               ///< (P, G)
  tensor<T, 2, Backend> value_gain;             ///< (P, G)
  tensor<T, 2, Backend> value_offset;           ///< (P, G·E)

  /// Gains and offset are zero: the same function as hidden space.
  template <class S>
  static hidden_gains_space make(Backend& backend, const iapt_options& o, const layer_start<T, S, Backend>& start) {
    const auto& heads = start.layer.attention.layout;
    const extents<2> gains{o.soft_tokens, heads.kv_heads};
    return {hidden_space<T, Backend>::make(backend, o, start), filled<T>(backend, gains, 0),
            filled<T>(backend, gains, 0),
            filled<T>(backend, extents<2>{o.soft_tokens, heads.kv_heads * heads.head_size}, 0)};
  }
  /// Reads the tensors of a layer from a file.
  template <class S, class File>
  static hidden_gains_space read(const layer_file<T, Backend, File>& from, const iapt_options& o,
                                 const decoder_layer<S, Backend>& layer) {
    const auto& heads = layer.attention.layout;
    const extents<2> gains{o.soft_tokens, heads.kv_heads};
    return {hidden_space<T, Backend>::read(from, o, layer), from("key_gain", gains), from("value_gain", gains),
            from("value_offset", extents<2>{o.soft_tokens, heads.kv_heads * heads.head_size})};
  }
  /// Keys and values (B·P, G·E).   y (B·P, R)
  template <class Context, class S>
  key_values<S, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& y, index_t soft_tokens,
                                    const decoder_layer<S, Backend>& layer,
                                    const tensor<S, 2, Backend>& cos_sin) const {
    const auto n = hidden.normed(ctx, y, soft_tokens, layer);
    const index_t head_size = layer.attention.layout.head_size;
    const auto gained = [&](const tensor<S, 2, Backend>& x, const tensor<T, 2, Backend>& gain) {
      return by_sequence(ctx(cast<T>(x)), soft_tokens) * (repeat_columns(gain, head_size) * offset_rate + 1);
    };
    const auto keys = ctx(gained(layer.attention.project_key(ctx, n), key_gain));
    const auto values = ctx(gained(layer.attention.project_value(ctx, n), value_gain) + value_offset * offset_rate);
    return {layer.attention.rotated(ctx, cast<S>(by_row(keys)), cos_sin), ctx(cast<S>(by_row(values)))};
  }
  /// Calls f(name, tensor, role) for each tensor.
  template <class F>
  void visit(F f) {
    hidden.visit(f);
    f("key_gain", key_gain, tensor_role::weights);
    f("value_gain", value_gain, tensor_role::weights);
    f("value_offset", value_offset, tensor_role::weights);
  }
};

/// The generator writes keys and values directly: k = rope(b_k + 10·o_k + y · U_k), v = b_v + 10·o_v + y · U_v.
/// @par Source ours (docs/method.md, "Output space")
template <class T, class Backend>
struct key_value_space {
  static constexpr auto name = "key_value";  ///< name in files
  tensor<T, 2, Backend> key_up;              ///< (R, G·E)
  tensor<T, 2, Backend> value_up;            ///< (R, G·E)
  tensor<T, 2, Backend> key_offset;          ///< (P, G·E)
  tensor<T, 2, Backend> value_offset;        ///< (P, G·E)
  tensor<T, 2, Backend> key_base;            ///< (P, G·E), fixed
  tensor<T, 2, Backend> value_base;          ///< (P, G·E), fixed

  /// The learned tensors are zero: the same function as the base alone.
  template <class S>
  static key_value_space make(Backend& backend, const iapt_options& o, const layer_start<T, S, Backend>& start) {
    const auto& attention = start.layer.attention;
    const index_t width = attention.layout.kv_heads * attention.layout.head_size;
    inference<Backend> run(backend);
    const extents<2> base_shape{o.soft_tokens, start.layer.attention_norm.weight.size()};
    const auto base = start.base ? start.base : random_normal<T>(backend, base_shape, 1, start.stream);
    const auto n = start.layer.attention_norm(run, run(cast<S>(base)));
    const auto zero = [&](index_t rows) { return filled<T>(backend, extents<2>{rows, width}, 0); };
    return {zero(o.bottleneck),
            zero(o.bottleneck),
            zero(o.soft_tokens),
            zero(o.soft_tokens),
            run(cast<T>(attention.project_key(run, n))),
            run(cast<T>(attention.project_value(run, n)))};
  }
  /// Reads the tensors of a layer from a file.
  template <class S, class File>
  static key_value_space read(const layer_file<T, Backend, File>& from, const iapt_options& o,
                              const decoder_layer<S, Backend>& layer) {
    const auto& heads = layer.attention.layout;
    const index_t width = heads.kv_heads * heads.head_size;
    const extents<2> up{o.bottleneck, width}, each{o.soft_tokens, width};
    return {from.shared("key_up", up),  from.shared("value_up", up), from("key_offset", each),
            from("value_offset", each), from("key_base", each),      from("value_base", each)};
  }
  /// Keys and values (B·P, G·E).   y (B·P, R)
  template <class Context, class S>
  key_values<S, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& y, index_t soft_tokens,
                                    const decoder_layer<S, Backend>& layer,
                                    const tensor<S, 2, Backend>& cos_sin) const {
    const auto written = [&](const auto& up, const auto& offset, const auto& base) {
      const auto rows = ctx(base + offset * offset_rate + by_sequence(ctx(matmul(y, up)), soft_tokens));
      return ctx(cast<S>(by_row(rows)));
    };
    return {layer.attention.rotated(ctx, written(key_up, key_offset, key_base), cos_sin),
            written(value_up, value_offset, value_base)};
  }
  /// Calls f(name, tensor, role) for each tensor.
  template <class F>
  void visit(F f) {
    f("key_up", key_up, tensor_role::shared);
    f("value_up", value_up, tensor_role::shared);
    f("key_offset", key_offset, tensor_role::weights);
    f("value_offset", value_offset, tensor_role::weights);
    f("key_base", key_base, tensor_role::fixed);
    f("value_base", value_base, tensor_role::fixed);
  }
};

}  // namespace iapt
