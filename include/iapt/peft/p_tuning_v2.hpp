// SPDX-License-Identifier: Apache-2.0
// P-tuning v2: learned keys and values before every sequence, the same for all sequences, in every layer.
// Shapes: P soft tokens, L layers, G key/value heads, E elements of a head.
#pragma once
#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/core/random.hpp"
#include "iapt/model/causal_lm.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/ops/cast.hpp"
#include "iapt/peft/option.hpp"

namespace iapt {

/// The initial values of P-tuning v2's soft tokens.
enum class prefix_start {
  text,   ///< the base model's keys and values of a text's first tokens
  random  ///< normal, with deviation 1
};
/// Names of prefix_start.
template <>
inline constexpr std::array<std::string_view, 2> names_of<prefix_start>{"text", "random"};

/// Options of P-tuning v2: size and initial values.
struct p_tuning_v2_options {
  index_t soft_tokens = 4;                  ///< P
  prefix_start start = prefix_start::text;  ///< their initial values
  std::uint64_t seed = 0;                   ///< seed of random initial values
  std::vector<token_id> start_text = {};    ///< tokens of the text, for `text`

  /// Number of tokens of a text that the start needs; 0 for a random start.
  index_t text_needed() const { return start == prefix_start::text ? soft_tokens : 0; }
  /// Calls f(option, value) for each option of files and command lines.
  template <class Options, class F>
  static void visit(Options& o, F f) {
    f(option{"num_virtual_tokens", "soft-tokens", "for each layer", 1, 4096}, o.soft_tokens);
    f(option{"", "init", "start of the soft tokens"}, o.start);
  }
};

/// The method. Keys are stored after RoPE, as attention reads them, so a forward pass has nothing to compute.
/// @par Source X. Liu et al. 2022, "P-tuning v2"; X. Li, P. Liang 2021, "Prefix-tuning"; the start from text is ours
template <class T, class Backend>
class p_tuning_v2_method {
 public:
  using value_type = T;
  using backend_type = Backend;                       ///< backend of its tensors
  using options_type = p_tuning_v2_options;           ///< its options
  static constexpr hook_set hooks{hook::prefix};      ///< what it changes
  static constexpr auto name = "p-tuning-v2";         ///< name on command lines
  static constexpr auto peft_type = "PREFIX_TUNING";  ///< name in PEFT's files
  /// Settings in PEFT's files that change nothing: how the tensors were trained, and the model's sizes.
  static constexpr std::array harmless{
      known_setting{"prefix_projection"}, known_setting{"encoder_hidden_size"},
      known_setting{"init_weights"},      known_setting{"num_attention_heads"},
      known_setting{"num_layers"},        known_setting{"num_transformer_submodules", "1"},
      known_setting{"token_dim"}};

  p_tuning_v2_options options;                      ///< size and start
  std::vector<key_values<T, Backend>> layers = {};  ///< keys and values of each layer (P, G·E)

  /// The initial method.
  /// @throws shape_error if an option is out of bounds or the text is too short
  template <class S>
  static p_tuning_v2_method make(const causal_lm<S, Backend>& lm, const p_tuning_v2_options& options) {
    check_bounds(options);
    check_start_text(options);
    const index_t P = options.soft_tokens, width = lm.config.heads.kv_heads * lm.config.heads.head_size;
    const inference<Backend> ctx(lm.backend());
    p_tuning_v2_method method{options};
    kv_cache<S, Backend> cache(lm.backend(), lm.config, 1, P);
    if (options.start == prefix_start::text) {
      packed_batch text;
      text.add({options.start_text.begin(), options.start_text.begin() + P});
      lm.prefill(text, cache);
    }
    for (index_t l = 0; l < lm.config.layers; ++l) {
      const auto start = [&](const tensor<S, 2, Backend>& read, std::uint64_t part) {
        if (options.start == prefix_start::random)
          return random_normal<T>(lm.backend(), extents<2>{P, width}, 1,
                                  random_stream(options.seed, 2 * std::uint64_t(l) + part));
        const std::vector<S> rows = to_host(read);
        return from_host(lm.backend(), extents<2>{P, width}, std::vector<T>(rows.begin(), rows.end()));
      };
      method.add(start(cache.layer(l).keys, 0), start(cache.layer(l).values, 1));
    }
    return method;
  }
  /// Reads the method from a file, whose row p has keys, then values, of each layer.
  /// @throws io_error if it does not fit the model
  template <class S, class File>
  static p_tuning_v2_method read(const causal_lm<S, Backend>& lm, const p_tuning_v2_options& options,
                                 const File& file) {
    const index_t P = options.soft_tokens, width = lm.config.heads.kv_heads * lm.config.heads.head_size;
    const index_t L = lm.config.layers;
    const std::vector<T> stored = file.template read<T>(file_name, {P, 2 * L * width});
    p_tuning_v2_method method{options};
    const auto part = [&](index_t number) {
      std::vector<T> rows(std::size_t(P * width));
      for (index_t p = 0; p < P; ++p)
        std::copy_n(stored.begin() + (p * 2 * L + number) * width, width, rows.begin() + p * width);
      return from_host(lm.backend(), extents<2>{P, width}, rows);
    };
    for (index_t l = 0; l < L; ++l) method.add(part(2 * l), part(2 * l + 1));
    return method;
  }
  /// Adds all tensors that a file must have.
  template <class File>
  void store(File& file) const {
    const index_t P = options.soft_tokens, width = layers.at(0).keys.size(1), L = index_t(layers.size());
    std::vector<T> stored(std::size_t(P * 2 * L * width));
    for (index_t number = 0; number < 2 * L; ++number) {
      const auto& layer = layers[std::size_t(number / 2)];
      const std::vector<T> rows = to_host(number % 2 ? layer.values : layer.keys);
      for (index_t p = 0; p < P; ++p)
        std::copy_n(rows.begin() + p * width, width, stored.begin() + (p * 2 * L + number) * width);
    }
    file.add(file_name, {P, 2 * L * width}, std::move(stored));
  }
  /// The trainable tensors.
  parameter_list<T, Backend> parameters() const {
    parameter_list<T, Backend> list;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      add_parameter(list, "layers." + std::to_string(l) + ".keys", layers[l].keys);
      add_parameter(list, "layers." + std::to_string(l) + ".values", layers[l].values);
    }
    return list;
  }

  /// P
  index_t soft_tokens() const { return options.soft_tokens; }
  /// Always front.
  placement where() const { return placement::front; }
  /// True: all sequences have the same soft tokens.
  bool is_static_prompt() const { return true; }
  /// Keys and values of a layer's soft tokens (P, G·E).
  template <class Context, class S>
  key_values<S, Backend> prefix(Context& ctx, int number, const decoder_layer<S, Backend>&,
                                const tensor<S, 2, Backend>&, const std::vector<row_span>&,
                                const tensor<S, 2, Backend>&) const {
    const auto& [keys, values] = layers[std::size_t(number)];
    if constexpr (std::same_as<S, T>)
      return {keys, values};
    else
      return {ctx(cast<S>(keys)), ctx(cast<S>(values))};
  }

 private:
  static constexpr auto file_name = "prompt_embeddings";
  void add(tensor<T, 2, Backend> keys, tensor<T, 2, Backend> values) {
    keys.track(), values.track();
    layers.push_back({std::move(keys), std::move(values)});
  }
};

/// The initial P-tuning v2 for a base model.
/// @throws shape_error if an option is out of bounds or the text is too short
template <class S, class Backend>
auto make_p_tuning_v2(const causal_lm<S, Backend>& lm, const p_tuning_v2_options& options) {
  return p_tuning_v2_method<compute_type<S>, Backend>::make(lm, options);
}

}  // namespace iapt
