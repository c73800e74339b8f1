// SPDX-License-Identifier: Apache-2.0
// The prompt generator of one layer.
// Shapes: N tokens of B sequences, D hidden size, R bottleneck, P soft tokens, G key/value heads, E elements of a head.
#pragma once
#include <vector>

#include "iapt/peft/iapt/activation.hpp"
#include "iapt/peft/iapt/output_space.hpp"
#include "iapt/peft/iapt/pooler.hpp"

namespace iapt {

/// Which hidden states a generator reads: after the norm before attention, or as they enter the layer. Raw states hold
/// activations in the hundreds.
/// @par Source normed: ours (docs/method.md, "The generator")
enum class state_input { normed, raw };
/// The name of a state input in files.
constexpr const char* name_of(state_input input) { return input == state_input::normed ? "normed" : "raw"; }

/// Writes one layer's soft tokens from the instructions' hidden states, in two calls.   x (N, D) -> keys, values (B·P,
/// G·E)
///   `summary`:    u = x · down;  z = pool(u), for each instruction
///   `operator()`: y = activation(z);  keys, values = output(y)
/// @tparam T type of its parameters; the model's type is S below
/// @par Source IAPT, ACL 2024
template <class T, class Backend, class Pooler = self_attention_pooler<T, Backend>,
          class Activation = rational_activation<T, Backend>, class OutputSpace = hidden_space<T, Backend>,
          state_input Input = state_input::normed>
struct prompt_generator {
  using value_type = T;
  using backend_type = Backend;                                        ///< backend of its tensors
  static constexpr bool reads_raw_states = Input == state_input::raw;  ///< whether it reads raw states
  static constexpr bool needs_rows = Pooler::needs_rows;            ///< whether an instruction needs at least P tokens
  static constexpr const char* input_name = name_of(Input);         ///< of the states, in files
  static constexpr const char* pooler_name = Pooler::name;          ///< in files
  static constexpr const char* activation_name = Activation::name;  ///< in files
  static constexpr const char* output_name = OutputSpace::name;     ///< in files

  tensor<T, 2, Backend> down;  ///< down projection (D, R)
  Pooler pool;                 ///< pools each instruction's rows of u to P rows
  Activation activation;       ///< applied to each element
  OutputSpace output;          ///< from rows (B·P, R) to keys and values

  /// Initial values: `down` is normal with variance 1/D; pooler, activation and output space set their own.
  template <class S>
  static prompt_generator make(Backend& backend, const iapt_options& o, const layer_start<T, S, Backend>& start,
                               random_stream down_stream, random_stream pool_stream) {
    const index_t hidden = start.layer.attention_norm.weight.size();
    return {random_normal<T>(backend, extents<2>{hidden, o.bottleneck}, 1 / std::sqrt(double(hidden)), down_stream),
            Pooler::make(backend, o, pool_stream), Activation::make(backend), OutputSpace::make(backend, o, start)};
  }
  /// Reads the generator of a layer from a file, without the projections that it shares with a layer before it.
  /// @throws io_error if it does not fit the layer
  template <class S, class File>
  static prompt_generator read(const layer_file<T, Backend, File>& from, const iapt_options& o,
                               const decoder_layer<S, Backend>& layer) {
    return {from.shared("down", extents<2>{layer.attention_norm.weight.size(), o.bottleneck}), Pooler::read(from, o),
            Activation::read(from), OutputSpace::read(from, o, layer)};
  }
  /// The pooled summary before the activation.   x (N, D) -> (B·P, R)
  /// @throws shape_error if an instruction has too few tokens for the pooler
  template <class Context, class S>
  tensor<T, 2, Backend> summary(Context& ctx, const tensor<S, 2, Backend>& x, const std::vector<row_span>& instruction,
                                index_t soft_tokens) const {
    return pool(ctx, ctx(cast<T>(matmul(x, cast<S>(down)))), instruction, soft_tokens);
  }
  /// Keys and values of the soft tokens (B·P, G·E), from the summary z (B·P, R).
  template <class Context, class S>
  key_values<S, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& z, index_t soft_tokens,
                                    const decoder_layer<S, Backend>& layer,
                                    const tensor<S, 2, Backend>& cos_sin) const {
    return output(ctx, activation(ctx, z), soft_tokens, layer, cos_sin);
  }
  /// Calls f(name, tensor, role) for each tensor.
  template <class F>
  void visit(F f) {
    f("down", down, tensor_role::shared);
    pool.visit(f);
    activation.visit(f);
    output.visit(f);
  }
};

}  // namespace iapt
