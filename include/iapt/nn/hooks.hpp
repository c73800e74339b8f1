// SPDX-License-Identifier: Apache-2.0
// Hooks: where a method may change the transformer.
// Shapes: N tokens, D hidden size, G key/value heads, E elements of a head, P soft tokens of each of B sequences.
#pragma once
#include <array>
#include <cstddef>
#include <initializer_list>
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

/// What a method may change. A method declares its hooks, `static constexpr hook_set hooks{...}`, and has a member
/// for each of them, which takes the context first; nn/hook_contract.hpp checks them. Members that return a tensor for
/// a target module return an empty handle for a module that they do not change.
enum class hook {
  delta,     ///< `delta(ctx, where, x)`: (N, out), added to the result of a linear map of x (N, in)
  low_rank,  ///< `low_rank(where)`: the two factors, if every delta is a low-rank product; many such methods then
             ///< run in one step by BGMV
  scale,     ///< `scale(ctx, where)`: (out), multiplies the result of a linear map, its bias included
  bias,      ///< `bias(ctx, where)`: (out), added to the result of a linear map
  after,   ///< `after(ctx, layer, sublayer, x, y)`: (N, D), replaces the result y of a half layer with input x, before
           ///< the residual sum
  prefix,  ///< `prefix(ctx, layer index, layer, states, rows, cos_sin)`: keys and values (B·P, G·E) of a layer's soft
           ///< tokens. `states` (N, D) enter the layer, `rows` are each sequence's instruction among them, `cos_sin`
           ///< (B·P, E) belong to the soft tokens. `soft_tokens()` is P and `where()` the placement. Optional:
           ///< `is_static_prompt()`, true if all sequences have the same soft tokens: one set (P, G·E), in front only;
           ///< `reads_raw_states`, true if `states` are wanted before the layer's norm; `shortest_instruction()`
  input    ///< `input(ctx, x)`: (N, D), replaces the embedded tokens x. With late soft tokens, the base model
           ///< computes the instruction except its last token: no other hook acts on those tokens
};

/// A set of hooks.
class hook_set {
 public:
  /// No hooks. (Without it nvcc makes {{}} of {}: a list with one hook.)
  constexpr hook_set() = default;
  /// The set of the given hooks.
  constexpr hook_set(std::initializer_list<hook> hooks) {
    for (const hook h : hooks) bits_ |= 1u << unsigned(h);
  }
  /// Whether a hook is in the set.
  constexpr bool has(hook h) const { return bits_ >> unsigned(h) & 1; }
  /// The hooks of both.
  friend constexpr hook_set operator|(hook_set a, hook_set b) {
    a.bits_ |= b.bits_;
    return a;
  }

 private:
  unsigned bits_ = 0;
};

/// No method: the base model.
struct no_method {
  static constexpr hook_set hooks{};  ///< none
};

/// Whether a method declares a hook.
template <class Method>
constexpr bool declares(hook h) {
  if constexpr (requires { Method::hooks; }) return Method::hooks.has(h);
  return false;  // check_hooks() refuses it
}
/// Whether a method uses a hook that it declares: one that stands for several methods knows it at run time only.
template <class Method>
constexpr bool uses(const Method& method, hook h) {
  if constexpr (requires { method.uses_hook(h); })
    return method.uses_hook(h);
  else
    return declares<Method>(h);
}

/// Whether a method writes soft tokens.
template <class Method>
concept writes_soft_tokens = declares<Method>(hook::prefix);

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
/// Whether a method's soft tokens are written from states before the layer's norm.
template <class Method>
bool reads_raw_states(const Method& method) {
  if constexpr (requires { method.needs_raw_states(); })  // it stands for several methods
    return method.needs_raw_states();
  else if constexpr (requires { Method::reads_raw_states; })
    return Method::reads_raw_states;
  else
    return false;
}

}  // namespace iapt
