// SPDX-License-Identifier: Apache-2.0
// Deep prompt tuning: learned keys and values in front of every sequence, the same for all, in every layer.
// Shapes: P soft tokens, L layers, G key/value heads, E numbers in a head.
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

/// How the soft tokens of P-tuning v2 start.
enum class prefix_start {
  text,   ///< as the base model's keys and values of a text's first tokens
  random  ///< as normal numbers
};
/// Of starts.
template <>
inline constexpr std::array<std::string_view, 2> names_of<prefix_start>{"text", "random"};

/// Size and starting values of P-tuning v2.
struct p_tuning_v2_options {
  index_t soft_tokens = 4;                  ///< P
  prefix_start start = prefix_start::text;  ///< how they start
  std::uint64_t seed = 0;                   ///< of random starting values
  std::vector<token_id> start_text = {};    ///< tokens of the text

  /// Tokens of a text that the start takes; 0 at random.
  index_t text_needed() const { return start == prefix_start::text ? soft_tokens : 0; }
  /// f(option, value) for each that files and command lines know.
  template <class Options, class F>
  static void visit(Options& o, F f) {
    f(option{"num_virtual_tokens", "soft-tokens", "for each layer", 1, 4096}, o.soft_tokens);
    f(option{"", "init", "start of the soft tokens"}, o.start);
  }
};

/// The method. Keys are as the attention reads them, positions included, so nothing is computed but gradients.
/// @par Source X. Liu et al. 2022, "P-tuning v2"; X. Li, P. Liang 2021, "Prefix-tuning"; the start from text is ours
template <class T, class Backend>
class p_tuning_v2_method {
 public:
  using value_type = T;
  using backend_type = Backend;                       ///< machine it runs on
  using options_type = p_tuning_v2_options;           ///< what is chosen at run time
  static constexpr hook_set hooks{hook::prefix};      ///< what it changes
  static constexpr auto name = "p-tuning-v2";         ///< on command lines
  static constexpr auto peft_type = "PREFIX_TUNING";  ///< in PEFT's files
  /// In PEFT's files: how it came about, and the model's sizes.
  static constexpr std::array harmless{
      known_setting{"prefix_projection"}, known_setting{"encoder_hidden_size"},
      known_setting{"init_weights"},      known_setting{"num_attention_heads"},
      known_setting{"num_layers"},        known_setting{"num_transformer_submodules", "1"},
      known_setting{"token_dim"}};

  p_tuning_v2_options options;                      ///< size and start
  std::vector<key_values<T, Backend>> layers = {};  ///< keys and values (P, G·E) of each

  /// A method at its start.
  /// @throws shape_error if the options make no method or the text is too short
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
  /// The method that a file holds: row p has keys, then values, of each layer.
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
  /// Adds all that a file must hold.
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
  /// What is trained.
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
  /// In front.
  placement where() const { return placement::front; }
  /// All sequences see the same.
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

/// P-tuning v2 at its start, for a backbone.
/// @throws shape_error if the options make no method or the text is too short
template <class S, class Backend>
auto make_p_tuning_v2(const causal_lm<S, Backend>& lm, const p_tuning_v2_options& options) {
  return p_tuning_v2_method<compute_type<S>, Backend>::make(lm, options);
}

}  // namespace iapt
