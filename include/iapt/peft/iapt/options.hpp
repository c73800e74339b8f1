// SPDX-License-Identifier: Apache-2.0
// The options of instance-aware prompt tuning.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "iapt/model/packed_batch.hpp"
#include "iapt/nn/hooks.hpp"
#include "iapt/peft/option.hpp"

namespace iapt {

/// The initial values of the soft tokens.
/// @par Source ours (docs/method.md, "Initialisation")
enum class prompt_start {
  text,    ///< hidden states of a text's first tokens in the base model, each of unit RMS
  random,  ///< random values
  last     ///< hidden states of a text's last tokens before the final one, likewise
};

/// Names of placement.
template <>
inline constexpr std::array<std::string_view, 2> names_of<placement>{"front", "late"};
/// Names of prompt_start.
template <>
inline constexpr std::array<std::string_view, 3> names_of<prompt_start>{"text", "random", "last"};

/// Sizes and initial values of a method.
struct iapt_options {
  index_t soft_tokens = 4;                  ///< P, for each sequence and layer
  index_t bottleneck = 64;                  ///< R, width of a generator's summary
  placement where = placement::front;       ///< placement of the soft tokens
  prompt_start start = prompt_start::text;  ///< their initial values
  index_t layers_per_projection = 1;        ///< number of layers that share one down- and one up-projection
  std::uint64_t seed = 0;                   ///< seed of all random initial values
  std::vector<token_id> start_text = {};    ///< tokens of the text, for `text` and `last`

  /// Calls f(option, value) for each option of files and command lines.
  template <class Options, class F>
  static void visit(Options& o, F f) {
    f(option{"placement", "placement", "where the soft tokens stand"}, o.where);
    f(option{"soft_tokens", "soft-tokens", "for each layer", 1, 4096}, o.soft_tokens);
    f(option{"bottleneck", "bottleneck", "width of a generator", 1, 65536}, o.bottleneck);
    f(option{"share", "layers-per-projection", "layers that share projections", 1, 65536, "share"},
      o.layers_per_projection);
    f(option{"", "init", "start of the soft tokens; text in front, random late"}, o.start);
  }
  /// Number of tokens of a text that the start needs; 0 for a random start.
  index_t text_needed() const {
    return start == prompt_start::text ? soft_tokens : start == prompt_start::last ? soft_tokens + 1 : 0;
  }
  /// Refuses options that are out of bounds, and a start text that is too short.
  /// @throws shape_error with the option
  void check() const {
    check_bounds(*this);
    check_start_text(*this);
  }
};

/// The role of a method's tensor for an optimizer and for a file.
enum class tensor_role {
  weights,       ///< trained, one for each layer
  shared,        ///< trained, one for each group of layers
  coefficients,  ///< trained with settings of its own
  fixed          ///< stored, not trained
};

}  // namespace iapt
