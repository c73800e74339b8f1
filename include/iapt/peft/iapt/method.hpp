// SPDX-License-Identifier: Apache-2.0
// Instance-aware prompt tuning: a generator in every layer of a frozen base model.
#pragma once
#include <array>
#include <cmath>
#include <concepts>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "iapt/model/causal_lm.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/peft/iapt/generator.hpp"

namespace iapt {

/// Scales every row to unit root mean square. The norm after a soft token cancels its length, and a long one would
/// hardly learn.
template <class T, class S, class Backend>
tensor<T, 2, Backend> unit_rows(const tensor<S, 2, Backend>& x) {
  const std::vector<S> stored = to_host(x);
  std::vector<T> values(stored.begin(), stored.end());
  const index_t columns = x.size(1);
  for (index_t r = 0; r < x.size(0); ++r) {
    T* row = values.data() + r * columns;
    double squares = 0;
    for (index_t j = 0; j < columns; ++j) squares += double(row[j]) * double(row[j]);
    const double scale = squares > 0 ? 1 / std::sqrt(squares / double(columns)) : 0;
    for (index_t j = 0; j < columns; ++j) row[j] = T(double(row[j]) * scale);
  }
  return from_host(x.backend(), x.shape(), values);
}

/// The method: one generator for each layer, and their common options. Its hook `prefix` writes every layer's soft
/// tokens.
/// @par Source W. Zhu et al., "IAPT", ACL 2024
template <class Generator>
class iapt_method {
 public:
  using value_type = typename Generator::value_type;
  using backend_type = typename Generator::backend_type;                 ///< backend of its tensors
  using matrix = tensor<value_type, 2, backend_type>;                    ///< a matrix
  static constexpr bool reads_raw_states = Generator::reads_raw_states;  ///< whether it reads raw states
  using options_type = iapt_options;                                     ///< its options
  static constexpr hook_set hooks{hook::prefix};                         ///< what it changes
  static constexpr auto name = "iapt";                                   ///< name on command lines and in files
  /// The choices that its generator's type fixes.
  static constexpr std::array fixed{fixed_option{"input", "", "", Generator::input_name},
                                    fixed_option{"pooler", "", "", Generator::pooler_name},
                                    fixed_option{"activation", "", "", Generator::activation_name},
                                    fixed_option{"output", "output", "output space", Generator::output_name}};

  iapt_options options;                    ///< sizes, placement, initial values
  std::vector<Generator> generators = {};  ///< one for each layer; shared projections are the same tensors
  /// If set, called with each layer's pooled summary: the initial activation is fitted on [−3, 3] only.
  std::function<void(int, const matrix&)> watch_summary = {};

  /// The initial method for a base model, whose hidden states it may take. All trainable tensors are tracked.
  /// @throws shape_error if an option is out of bounds or the start text is too short
  template <class S>
  static iapt_method make(const causal_lm<S, backend_type>& lm, const iapt_options& options) {
    options.check();
    iapt_method method{options};
    std::vector<tensor<S, 2, backend_type>> states;
    if (options.start != prompt_start::random) {
      packed_batch text;
      text.add(options.start_text);
      states = lm.layer_inputs(text);
    }
    const index_t from =
        options.start == prompt_start::last ? index_t(options.start_text.size()) - 1 - options.soft_tokens : 0;
    for (index_t l = 0; l < lm.config.layers; ++l) {
      const auto stream = [&](std::uint64_t part) { return random_stream(options.seed, std::uint64_t(l) * 16 + part); };
      const layer_start<value_type, S, backend_type> start{
          lm.layers[l],
          states.empty() ? matrix() : unit_rows<value_type>(states[l].slice(from, from + options.soft_tokens)),
          stream(2)};
      method.add(Generator::make(lm.backend(), options, start, stream(0), stream(1)));
    }
    return method;
  }
  /// Reads the method from a file.
  /// @throws io_error if it does not fit the model
  template <class S, class File>
  static iapt_method read(const causal_lm<S, backend_type>& lm, const iapt_options& options, const File& file) {
    check_bounds(options);
    file.require("layers.0.down", {lm.config.hidden, options.bottleneck});
    iapt_method method{options};
    for (index_t l = 0; l < lm.config.layers; ++l)
      method.add(Generator::read(layer_file<value_type, backend_type, File>{lm.backend(), file, name_of_layer(l),
                                                                            l % options.layers_per_projection == 0},
                                 options, lm.layers[l]));
    return method;
  }
  /// Adds all tensors that a file must have.
  template <class File>
  void store(File& file) {
    visit([&](const std::string& name, const auto& x, tensor_role) { file.add(name, x); });
  }

  /// P
  index_t soft_tokens() const { return options.soft_tokens; }
  /// Smallest number of tokens of an instruction.
  index_t shortest_instruction() const { return Generator::needs_rows ? options.soft_tokens : 1; }
  /// Placement of the soft tokens.
  placement where() const { return options.where; }
  /// Keys and values of a layer's soft tokens (B·P, G·E).
  /// @throws shape_error if an instruction has too few tokens
  template <class Context, class T>
  key_values<T, backend_type> prefix(Context& ctx, int number, const decoder_layer<T, backend_type>& layer,
                                     const tensor<T, 2, backend_type>& states, const std::vector<row_span>& rows,
                                     const tensor<T, 2, backend_type>& cos_sin) const {
    const Generator& generator = generators[number];
    const matrix z = generator.summary(ctx, states, rows, options.soft_tokens);
    if (watch_summary) watch_summary(number, z);
    return generator(ctx, z, options.soft_tokens, layer, cos_sin);
  }

  /// Calls f(name, tensor, role) for every tensor that a file must have, for shared ones once.
  template <class F>
  void visit(F f) {
    for (std::size_t l = 0; l < generators.size(); ++l) visit_layer(l, f);
  }
  /// The trainable tensors.
  parameter_list<value_type, backend_type> parameters() {
    parameter_list<value_type, backend_type> list;
    visit([&](const std::string& name, auto& x, tensor_role role) {
      if (role == tensor_role::fixed) return;
      add_parameter(list, name, x,
                    role == tensor_role::coefficients ? parameter_group::coefficients : parameter_group::weights);
    });
    return list;
  }

 private:
  static std::string name_of_layer(index_t l) { return "layers." + std::to_string(l) + "."; }
  // Adds the generator of the next layer.
  void add(Generator generator) {
    const std::size_t l = generators.size();
    generators.push_back(std::move(generator));
    generators[l].visit([](const char*, auto& x, tensor_role role) {
      if (x && role != tensor_role::fixed) x.track();
    });
    const auto shared = [&](std::size_t layer) {
      std::vector<matrix*> found;
      generators[layer].visit([&](const char*, auto& x, tensor_role role) {
        if constexpr (std::same_as<std::remove_cvref_t<decltype(x)>, matrix>)
          if (role == tensor_role::shared) found.push_back(&x);
      });
      return found;
    };
    const std::size_t first = l / std::size_t(options.layers_per_projection) *
                              std::size_t(options.layers_per_projection);  // the layer whose projections it shares
    if (first == l) return;
    const auto from = shared(first), to = shared(l);
    for (std::size_t i = 0; i < to.size(); ++i) *to[i] = *from[i];
  }
  template <class F>
  void visit_layer(std::size_t l, F f) {
    generators[l].visit([&](const char* part, auto& x, tensor_role role) {
      if (role == tensor_role::shared && l % std::size_t(options.layers_per_projection) != 0) return;
      if (x) f(name_of_layer(index_t(l)) + part, x, role);
    });
  }
};

/// The initial IAPT for a base model.
/// @throws shape_error if an option is out of bounds or the start text is too short
template <class Generator, class S, class Backend>
iapt_method<Generator> make_iapt(const causal_lm<S, Backend>& lm, const iapt_options& options) {
  return iapt_method<Generator>::make(lm, options);
}

/// Number of trained elements of IAPT in hidden space with self-attention pooling and the rational activation:
/// ⌈L/k⌉·2·D·R + L·(R·P + 12), plus L·P·D with a base.
constexpr index_t iapt_parameter_count(index_t layers, index_t hidden, index_t bottleneck, index_t soft_tokens,
                                       index_t share = 1, bool base = false) {
  return (layers + share - 1) / share * 2 * hidden * bottleneck + layers * (bottleneck * soft_tokens + 12) +
         (base ? layers * soft_tokens * hidden : 0);
}

/// The generator in hidden space, with the defaults of docs/method.md.
template <class T, class Backend>
using hidden_generator = prompt_generator<T, Backend>;
/// The generator in hidden space with gains.
template <class T, class Backend>
using hidden_gains_generator = prompt_generator<T, Backend, self_attention_pooler<T, Backend>,
                                                rational_activation<T, Backend>, hidden_gains_space<T, Backend>>;
/// The generator in key/value space: it writes keys and values directly.
template <class T, class Backend>
using key_value_generator = prompt_generator<T, Backend, self_attention_pooler<T, Backend>,
                                             rational_activation<T, Backend>, key_value_space<T, Backend>>;

}  // namespace iapt
