// SPDX-License-Identifier: Apache-2.0
// What is chosen at run time about instance-aware prompts.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "iapt/model/packed_batch.hpp"
#include "iapt/nn/hooks.hpp"
#include "iapt/peft/option.hpp"

namespace iapt {

/// How the soft tokens start.
/// @par Source ours (docs/method.md, "Initialisation")
enum class prompt_start {
  text,    ///< as the states of a text's first tokens in the base model, each of unit RMS
  random,  ///< as random numbers
  last     ///< as the states of a text's last tokens before the final one
};

/// Of placements.
template <>
inline constexpr std::array<std::string_view, 2> names_of<placement>{"front", "late"};
/// Of starts.
template <>
inline constexpr std::array<std::string_view, 3> names_of<prompt_start>{"text", "random", "last"};

/// Sizes and starting values of a method.
struct iapt_options {
  index_t soft_tokens = 4;                  ///< P, for each sequence and layer
  index_t bottleneck = 64;                  ///< R
  placement where = placement::front;       ///< where the soft tokens stand
  prompt_start start = prompt_start::text;  ///< how they start
  index_t layers_per_projection = 1;        ///< layers that share one down- and one up-projection
  std::uint64_t seed = 0;                   ///< of all random starting values
  std::vector<token_id> start_text = {};    ///< tokens of the text for `text` and `last`

  /// f(option, value) for each that files and command lines know.
  template <class Options, class F>
  static void visit(Options& o, F f) {
    f(option{"placement", "placement", "where the soft tokens stand"}, o.where);
    f(option{"soft_tokens", "soft-tokens", "for each layer", 1, 4096}, o.soft_tokens);
    f(option{"bottleneck", "bottleneck", "width of a generator", 1, 65536}, o.bottleneck);
    f(option{"share", "layers-per-projection", "layers that share projections", 1, 65536, "share"},
      o.layers_per_projection);
    f(option{"", "init", "start of the soft tokens; text in front, random late"}, o.start);
  }
  /// Tokens of a text that the start takes; 0 at random.
  index_t text_needed() const {
    return start == prompt_start::text ? soft_tokens : start == prompt_start::last ? soft_tokens + 1 : 0;
  }
  /// Refuses what makes no method.
  /// @throws shape_error naming the option
  void check() const {
    check_bounds(*this);
    check_start_text(*this);
  }
};

/// What a tensor of a method is to an optimiser and to a file.
enum class tensor_role {
  weights,       ///< trained, one for each layer
  shared,        ///< trained, one for each group of layers
  coefficients,  ///< trained with settings of its own
  fixed          ///< stored, not trained
};

}  // namespace iapt
