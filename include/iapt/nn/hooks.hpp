// SPDX-License-Identifier: Apache-2.0
// Hooks: where a method may change the transformer.
// Shapes: N tokens, D hidden size, G key/value heads, E elements of a head, P soft tokens of each of B sequences.
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/ops/attention.hpp"
#include "iapt/ops/segments.hpp"

namespace iapt {

/// The linear maps of a transformer layer.
enum class projection { query, key, value, output, gate, up, down };
/// Their names within a layer, as in Hugging Face's models and adapters.
inline constexpr std::array<std::string_view, 7> projection_names{
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
/// The two halves of a transformer layer.
enum class sublayer { attention, feed_forward };
/// The half that a linear map is in.
constexpr sublayer half_of(projection part) {
  return part <= projection::output ? sublayer::attention : sublayer::feed_forward;
}

/// One linear map of the model.
struct target_module {
  int layer;        ///< from 0
  projection part;  ///< which linear map of the layer
};
/// The name of a target module in Hugging Face's models: "model.layers.3.self_attn.q_proj".
inline std::string name_of(target_module where) {
  return "model.layers." + std::to_string(where.layer) + "." + std::string(projection_names[std::size_t(where.part)]);
}

/// Placement of soft tokens: before the sequence, or between the instruction and its last token.
enum class placement { front, late };

/// The base model: no hook at all. A method may have any of these members instead:
///   - `delta(ctx, site, x)`          a tensor added to the result of a linear map on x (N, in) -> (N, out)
///   - `low_rank(site)`               the two thin matrices of which that tensor is the product, if it is at all sites;
///                                    asked for where every row of a batch may have another method
///   - `scale(site)`                  a row (out) that multiplies the result
///   - `bias(site)`                   a row (out) added to the result
///     (each returns an empty handle where it leaves a site alone)
///   - `after(ctx, layer, sublayer, x, y)`  what becomes of a half layer's result y (N, D) for input x, before it is
///                                    added to x
///   - `soft_tokens()`, `where()`     number P and placement of the soft tokens that the next hook makes
///   - `prefix(ctx, number, layer, states, rows, cos_sin)`  keys and values (B·P, G·E) of a layer's soft tokens,
///   written
///                                    from the states entering it, of which `rows` are each sequence's; `cos_sin` are
///                                    the cosines and sines of the soft tokens (B·P, E)
///   - `is_static_prompt()`         whether all sequences have the same soft tokens, of which `prefix` then gives
///                                    one set (P, G·E); in front alone
///   - `reads_raw_states`             true if these states are wanted before the layer's norm, not after it
///   - `input(ctx, x)`                what becomes of the embedded tokens x (N, D) before the first layer
/// Where soft tokens stand late, an instruction's rows but the last are the base model's: no hook acts on them.
struct no_method {};

/// Whether a method writes soft tokens.
template <class Method>
concept writes_soft_tokens = requires(const Method& m) {
  m.soft_tokens();
  m.where();
};

/// Number of soft tokens of a method; 0 for one that writes none.
template <class Method>
index_t soft_token_count(const Method& method) {
  if constexpr (writes_soft_tokens<Method>)
    return method.soft_tokens();
  else
    return 0;
}
/// Whether all sequences have the same soft tokens.
template <class Method>
bool is_static_prompt(const Method& method) {
  if constexpr (requires { method.is_static_prompt(); })
    return method.is_static_prompt();
  else
    return false;
}
/// Whether a method's soft tokens are placed late.
template <class Method>
bool stands_late(const Method& method) {
  if constexpr (writes_soft_tokens<Method>)
    return method.where() == placement::late && method.soft_tokens() > 0;
  else
    return false;
}

}  // namespace iapt
