// SPDX-License-Identifier: Apache-2.0
// A method whose type is known at run time only.
// Shapes: N tokens, D hidden size, G key/value heads, E elements of a head, P soft tokens of each of B sequences.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "iapt/autograd/tape.hpp"
#include "iapt/model/causal_lm.hpp"
#include "iapt/ops/bgmv.hpp"
#include "iapt/ops/cast.hpp"

namespace iapt {

/// A method on a base model of type T, for inference, whatever its type: a method itself, whose hooks are virtual.
/// Those that the method does not declare change nothing.
template <class T, class Backend>
class any_method {
 public:
  using matrix = tensor<T, 2, Backend>;             ///< a row for each token
  using row = tensor<compute_type<T>, 1, Backend>;  ///< an element for each column, unrounded
  /// All: `uses_hook` says which of them the method has.
  static constexpr hook_set hooks{hook::delta, hook::low_rank, hook::scale, hook::bias,
                                  hook::after, hook::prefix,   hook::input};
  virtual ~any_method() = default;
  /// Unique in the process, from 1 on; 0 stands for the base model.
  std::uint64_t id() const { return id_; }
  /// Whether the method has a hook.
  virtual bool uses_hook(hook h) const = 0;
  /// Whether its hooks act on each sequence alone, so that it can run in one step with other methods.
  virtual bool is_mixable() const = 0;
  /// P; 0 without soft tokens.
  virtual index_t soft_tokens() const = 0;
  /// The placement of the soft tokens.
  virtual placement where() const = 0;
  /// Smallest number of instruction tokens; 1 without soft tokens.
  virtual index_t shortest_instruction() const = 0;
  /// Whether all sequences have the same soft tokens.
  virtual bool is_static_prompt() const = 0;
  /// Whether `prefix` reads states before the layer's norm.
  virtual bool needs_raw_states() const = 0;
  /// hook::prefix: (B·P, G·E), or (P, G·E) of a static prompt.
  virtual key_values<T, Backend> prefix(inference<Backend>& ctx, int number, const decoder_layer<T, Backend>& layer,
                                        const matrix& states, const std::vector<row_span>& rows,
                                        const matrix& cos_sin) const = 0;
  /// hook::delta.   x (N, in) -> (N, out), or an empty handle
  virtual matrix delta(inference<Backend>& ctx, target_module where, const matrix& x) const = 0;
  /// hook::low_rank; of rank 0 for a module that it does not change.
  virtual low_rank_map<compute_type<T>> low_rank(target_module where) const = 0;
  /// hook::scale: (out), or an empty handle.
  virtual row scale(inference<Backend>& ctx, target_module where) const = 0;
  /// hook::bias: (out), or an empty handle.
  virtual row bias(inference<Backend>& ctx, target_module where) const = 0;
  /// hook::after.   x, y (N, D) -> (N, D)
  virtual matrix after(inference<Backend>& ctx, int layer, sublayer half, const matrix& x, const matrix& y) const = 0;
  /// hook::input.   x (N, D) -> (N, D)
  virtual matrix input(inference<Backend>& ctx, const matrix& x) const = 0;

 private:
  inline static std::atomic<std::uint64_t> last_id_ = 0;
  std::uint64_t id_ = ++last_id_;
};

/// A method of a known type behind that interface.
template <class T, class Backend, class Method>
class any_method_of final : public any_method<T, Backend> {
  static_assert(check_hooks<Method, inference<Backend>, T, Backend>());

 public:
  using typename any_method<T, Backend>::matrix;
  using typename any_method<T, Backend>::row;
  /// Takes the method over.
  explicit any_method_of(Method method) : method_(std::move(method)) {}
  bool uses_hook(hook h) const override { return uses(method_, h); }
  bool is_mixable() const override {
    if constexpr (requires { Method::mixable; })
      if (!Method::mixable) return false;
    return !needs_raw_states();
  }
  index_t soft_tokens() const override { return soft_token_count(method_); }
  placement where() const override { return stands_late(method_) ? placement::late : placement::front; }
  index_t shortest_instruction() const override {
    if constexpr (requires { method_.shortest_instruction(); }) return method_.shortest_instruction();
    return 1;
  }
  bool is_static_prompt() const override { return iapt::is_static_prompt(method_); }
  bool needs_raw_states() const override { return reads_raw_states(method_); }
  key_values<T, Backend> prefix(inference<Backend>& ctx, int number, const decoder_layer<T, Backend>& layer,
                                const matrix& states, const std::vector<row_span>& rows,
                                const matrix& cos_sin) const override {
    if constexpr (declares<Method>(hook::prefix)) return method_.prefix(ctx, number, layer, states, rows, cos_sin);
    return {};
  }
  matrix delta(inference<Backend>& ctx, target_module where, const matrix& x) const override {
    if constexpr (declares<Method>(hook::delta)) return method_.delta(ctx, where, x);
    return {};
  }
  low_rank_map<compute_type<T>> low_rank(target_module where) const override {
    if constexpr (declares<Method>(hook::low_rank)) return method_.low_rank(where);
    return {};
  }
  row scale(inference<Backend>& ctx, target_module where) const override {
    if constexpr (declares<Method>(hook::scale)) return as_row(ctx, method_.scale(ctx, where));
    return {};
  }
  row bias(inference<Backend>& ctx, target_module where) const override {
    if constexpr (declares<Method>(hook::bias)) return as_row(ctx, method_.bias(ctx, where));
    return {};
  }
  matrix after(inference<Backend>& ctx, int layer, sublayer half, const matrix& x, const matrix& y) const override {
    if constexpr (declares<Method>(hook::after)) return method_.after(ctx, layer, half, x, y);
    return y;
  }
  matrix input(inference<Backend>& ctx, const matrix& x) const override {
    if constexpr (declares<Method>(hook::input)) return method_.input(ctx, x);
    return x;
  }

 private:
  static row as_row(inference<Backend>&, const row& x) { return x; }
  template <class U>
  static row as_row(inference<Backend>& ctx, const tensor<U, 1, Backend>& x) {
    return x ? ctx(cast<compute_type<T>>(x)) : row();
  }
  Method method_;
};

/// A method of any type; null is the base model.
template <class T, class Backend>
using method_ptr = std::shared_ptr<const any_method<T, Backend>>;
/// A method of a known type as one of any type, for a base model of type T.
template <class T, class Backend, class Method>
method_ptr<T, Backend> erase_method(const causal_lm<T, Backend>&, Method method) {
  return std::make_shared<const any_method_of<T, Backend, Method>>(std::move(method));
}

}  // namespace iapt
