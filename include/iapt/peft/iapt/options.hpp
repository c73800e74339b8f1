// SPDX-License-Identifier: Apache-2.0
// What is chosen at run time about instance-aware prompts.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/model/packed_batch.hpp"
#include "iapt/nn/hooks.hpp"

namespace iapt {

/// How the soft tokens start.
/// @par Source ours (docs/method.md, "Initialisation")
enum class prompt_start {
  text,    ///< as the states of a text's first tokens in the bare backbone, each of unit RMS
  random,  ///< as random numbers
  last     ///< as the states of a text's last tokens before the final one
};

/// Sizes and starting values of a method.
struct iapt_options {
  static constexpr extent most_soft_tokens = 4096;  ///< P at most
  static constexpr extent most_bottleneck = 65536;  ///< R at most
  static constexpr extent most_share = 65536;       ///< layers that share at most

  extent soft_tokens = 4;                   ///< P, for each sequence and layer
  extent bottleneck = 64;                   ///< R
  placement where = placement::front;       ///< where the soft tokens stand
  prompt_start start = prompt_start::text;  ///< how they start
  extent share = 1;                         ///< layers that share one down- and one up-projection
  std::uint64_t seed = 0;                   ///< of all random starting values
  std::vector<token_id> start_text = {};    ///< tokens of the text for `text` and `last`

  /// Refuses what makes no method.
  /// @throws shape_error naming the option
  void check() const {
    const auto need = [](const char* name, extent found, extent most) {
      if (found < 1 || found > most)
        throw shape_error(std::string(name) + " must be from 1 to " + std::to_string(most) + ", found " +
                          std::to_string(found));
    };
    need("soft_tokens", soft_tokens, most_soft_tokens), need("bottleneck", bottleneck, most_bottleneck);
    need("share", share, most_share);
    const extent needed = start == prompt_start::text ? soft_tokens : start == prompt_start::last ? soft_tokens + 1 : 0;
    if (extent(start_text.size()) < needed)
      throw shape_error("a start from text needs " + std::to_string(needed) + " tokens of it, found " +
                        std::to_string(start_text.size()) + "; give a longer text or start at random");
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
