// SPDX-License-Identifier: Apache-2.0
// Compile-time checks of a method's hooks: a declared hook can be called, and a member with a hook's name is declared.
// Without them a misspelt or wrongly typed hook would silently do nothing.
#pragma once
#include <concepts>
#include <type_traits>
#include <vector>

#include "iapt/nn/decoder_layer.hpp"

namespace iapt {

namespace detail {

// A name that a class and hook_names have is ambiguous in a class that derives from both.
struct hook_names {
  int delta, low_rank, scale, bias, after, prefix, input, soft_tokens;
};
template <class Method>
struct with_hook_names : Method, hook_names {};

// Whether a method has a member of a hook's name, of any kind. Of a final class that cannot be found out.
template <class Method, hook H>
consteval bool has_member() {
  if constexpr (std::is_final_v<Method>) {
    return false;
  } else {
    using both = with_hook_names<Method>;
    if constexpr (H == hook::delta) return !requires {
        &both::delta;
      };
    if constexpr (H == hook::low_rank) return !requires {
        &both::low_rank;
      };
    if constexpr (H == hook::scale) return !requires {
        &both::scale;
      };
    if constexpr (H == hook::bias) return !requires {
        &both::bias;
      };
    if constexpr (H == hook::after) return !requires {
        &both::after;
      };
    if constexpr (H == hook::prefix) return !requires {
        &both::prefix;
      }
    || !requires { &both::soft_tokens; };
    if constexpr (H == hook::input) return !requires {
        &both::input;
      };
  }
}

// A row (out), of any element type; the methods of a batch return a row for each token.
template <class X, class Backend>
concept row_or_matrix = std::same_as<X, tensor<typename X::value_type, 1, Backend>> ||
    std::same_as<X, tensor<typename X::value_type, 2, Backend>>;

// Whether each hook can be called with a context, on a model of type T.
template <class Method, class Context, class T, class Backend>
struct hook_calls {
  using matrix = tensor<T, 2, Backend>;
  static constexpr bool delta = requires(const Method& m, Context& ctx, target_module where, const matrix& x) {
    { m.delta(ctx, where, x) } -> std::same_as<matrix>;
  };
  static constexpr bool low_rank = requires(const Method& m, target_module where) { m.low_rank(where).rank; };
  static constexpr bool scale = requires(const Method& m, Context& ctx, target_module where) {
    { m.scale(ctx, where) } -> row_or_matrix<Backend>;
  };
  static constexpr bool bias = requires(const Method& m, Context& ctx, target_module where) {
    { m.bias(ctx, where) } -> row_or_matrix<Backend>;
  };
  static constexpr bool after = requires(const Method& m, Context& ctx, const matrix& x) {
    { m.after(ctx, 0, sublayer::attention, x, x) } -> std::same_as<matrix>;
  };
  static constexpr bool prefix = requires(const Method& m, Context& ctx, const decoder_layer<T, Backend>& layer,
                                          const matrix& x, const std::vector<row_span>& rows) {
    { m.prefix(ctx, 0, layer, x, rows, x) } -> std::same_as<key_values<T, Backend>>;
    { m.soft_tokens() } -> std::convertible_to<index_t>;
    { m.where() } -> std::same_as<placement>;
  };
  static constexpr bool input = requires(const Method& m, Context& ctx, const matrix& x) {
    { m.input(ctx, x) } -> std::same_as<matrix>;
  };
};

template <class Method, class Context, class T, class Backend>
consteval bool check_declared_hooks() {
  using calls = hook_calls<Method, std::remove_const_t<Context>, T, Backend>;
  static_assert(!declares<Method>(hook::delta) || calls::delta,
                "iapt: hook::delta needs: tensor<T, 2, Backend> delta(Context& ctx, target_module where, "
                "const tensor<T, 2, Backend>& x) const");
  static_assert(!declares<Method>(hook::low_rank) || calls::low_rank,
                "iapt: hook::low_rank needs: low_rank_map<compute_type<T>> low_rank(target_module where) const");
  static_assert(!declares<Method>(hook::scale) || calls::scale,
                "iapt: hook::scale needs: tensor<T, 1, Backend> scale(Context& ctx, target_module where) const");
  static_assert(!declares<Method>(hook::bias) || calls::bias,
                "iapt: hook::bias needs: tensor<T, 1, Backend> bias(Context& ctx, target_module where) const");
  static_assert(!declares<Method>(hook::after) || calls::after,
                "iapt: hook::after needs: tensor<T, 2, Backend> after(Context& ctx, int layer, sublayer half, "
                "const tensor<T, 2, Backend>& x, const tensor<T, 2, Backend>& y) const");
  static_assert(
      !declares<Method>(hook::prefix) || calls::prefix,
      "iapt: hook::prefix needs: index_t soft_tokens() const; placement where() const; key_values<T, Backend> "
      "prefix(Context& ctx, int layer_index, const decoder_layer<T, Backend>& layer, const tensor<T, 2, "
      "Backend>& states, const std::vector<row_span>& rows, const tensor<T, 2, Backend>& cos_sin) const");
  static_assert(!declares<Method>(hook::input) || calls::input,
                "iapt: hook::input needs: tensor<T, 2, Backend> input(Context& ctx, const tensor<T, 2, Backend>& x) "
                "const");
  static_assert(declares<Method>(hook::delta) || !has_member<Method, hook::delta>(),
                "iapt: a member delta, but no hook::delta in the method's hooks");
  static_assert(declares<Method>(hook::low_rank) || !has_member<Method, hook::low_rank>(),
                "iapt: a member low_rank, but no hook::low_rank in the method's hooks");
  static_assert(declares<Method>(hook::scale) || !has_member<Method, hook::scale>(),
                "iapt: a member scale, but no hook::scale in the method's hooks");
  static_assert(declares<Method>(hook::bias) || !has_member<Method, hook::bias>(),
                "iapt: a member bias, but no hook::bias in the method's hooks");
  static_assert(declares<Method>(hook::after) || !has_member<Method, hook::after>(),
                "iapt: a member after, but no hook::after in the method's hooks");
  static_assert(declares<Method>(hook::prefix) || !has_member<Method, hook::prefix>(),
                "iapt: a member prefix or soft_tokens, but no hook::prefix in the method's hooks");
  static_assert(declares<Method>(hook::input) || !has_member<Method, hook::input>(),
                "iapt: a member input, but no hook::input in the method's hooks");
  static_assert(!declares<Method>(hook::low_rank) || declares<Method>(hook::delta),
                "iapt: hook::low_rank describes what hook::delta adds, so a method with the first has the second");
  return true;
}

}  // namespace detail

/// Refuses to compile a method whose hooks are not what `hook` says, for a context and a model's type; the message has
/// the signature that is expected.
template <class Method, class Context, class T, class Backend>
consteval bool check_hooks() {
  constexpr bool declared = requires {
    { Method::hooks } -> std::convertible_to<hook_set>;
  };
  static_assert(declared, "iapt: a method declares its hooks: static constexpr iapt::hook_set hooks{iapt::hook::...};");
  if constexpr (declared) return detail::check_declared_hooks<Method, Context, T, Backend>();
  return false;
}

}  // namespace iapt
