// SPDX-License-Identifier: Apache-2.0
// Instance-aware prompt tuning: a generator in every layer of a frozen backbone.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "iapt/model/causal_lm.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/peft/iapt/generator.hpp"

namespace iapt {

/// The method: one generator for each layer, and the options that they share. As a hook of the transformer it writes
/// every layer's soft tokens.
/// @par Source W. Zhu et al., "IAPT", ACL 2024
template <class Generator>
class iapt_method {
 public:
  using value_type = typename Generator::value_type;                     ///< type of the numbers
  using backend_type = typename Generator::backend_type;                 ///< machine it runs on
  using matrix = tensor<value_type, 2, backend_type>;                    ///< rows of numbers
  static constexpr bool reads_raw_states = Generator::reads_raw_states;  ///< which states it wants
  using generator_type = Generator;                                      ///< of each layer

  iapt_options options;               ///< sizes, placement, start, sharing
  std::vector<Generator> generators;  ///< one for each layer; shared projections are the same tensors
  /// Called with each layer's pooled summary if set: the activation fits its start on [−3, 3] only.
  std::function<void(int, const matrix&)> watch_summary;

  /// P
  extent soft_tokens() const { return options.soft_tokens; }
  /// Front or late.
  placement where() const { return options.where; }
  /// Keys and values of a layer's soft tokens (B·P, G·E).
  /// @throws shape_error if an instruction has too few rows
  template <class Context, class T>
  key_values<T, backend_type> prefix(Context& ctx, int number, const decoder_layer<T, backend_type>& layer,
                                     const tensor<T, 2, backend_type>& states, const std::vector<row_span>& rows,
                                     const tensor<T, 2, backend_type>& turns) const {
    const Generator& generator = generators[number];
    const matrix z = generator.summary(ctx, states, rows, options.soft_tokens);
    if (watch_summary) watch_summary(number, z);
    return generator(ctx, z, options.soft_tokens, layer, turns);
  }

  /// f(name, tensor, role) for every tensor that a file must hold, shared ones once.
  template <class F>
  void visit(F f) {
    for (std::size_t l = 0; l < generators.size(); ++l)
      generators[l].visit([&](const char* part, auto& x, tensor_role role) {
        if (role == tensor_role::shared && l % options.share != 0) return;
        if (x) f("layers." + std::to_string(l) + "." + part, x, role);
      });
  }
  /// What is trained.
  parameter_list<value_type, backend_type> parameters() {
    parameter_list<value_type, backend_type> list;
    visit([&](const std::string& name, auto& x, tensor_role role) {
      if (role == tensor_role::fixed) return;
      add_parameter(list, name, x,
                    role == tensor_role::coefficients ? parameter_group::coefficients : parameter_group::weights);
    });
    return list;
  }
};

/// Number of trained numbers of IAPT in hidden space with self-attention pooling and the rational activation:
/// ⌈L/k⌉·2·D·R + L·(R·P + 12), and L·P·D for the base.
constexpr extent iapt_parameter_count(extent layers, extent hidden, extent bottleneck, extent soft_tokens,
                                      extent share = 1, bool base = false) {
  return (layers + share - 1) / share * 2 * hidden * bottleneck + layers * (bottleneck * soft_tokens + 12) +
         (base ? layers * soft_tokens * hidden : 0);
}

/// Generators by output space, everything else as method.md's defaults.
template <class T, class Backend>
using hidden_generator = prompt_generator<T, Backend>;
/// The same with gains.
template <class T, class Backend>
using hidden_gains_generator = prompt_generator<T, Backend, self_attention_pooler<T, Backend>,
                                                rational_activation<T, Backend>, hidden_gains_space<T, Backend>>;
/// Keys and values written directly.
template <class T, class Backend>
using key_value_generator = prompt_generator<T, Backend, self_attention_pooler<T, Backend>,
                                             rational_activation<T, Backend>, key_value_space<T, Backend>>;

}  // namespace iapt
