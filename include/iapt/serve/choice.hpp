// SPDX-License-Identifier: Apache-2.0
// What is asked of a continuation, and the choice of its next token.  Shapes: M rows of logits, V vocabulary.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/serve/logits.hpp"
#include "iapt/serve/sampler.hpp"

namespace iapt {

/// How a prompt is continued.
struct generation_options {
  extent max_new = 256;                          ///< tokens at most
  std::vector<token_id> stop = {};               ///< tokens that end it; they are not part of the result
  sampling_options sampling = {};                ///< how tokens are chosen; greedily unless it says otherwise
  std::optional<extent> log_probabilities = {};  ///< list those of each token and of so many alternatives
  extent beams = 1;                              ///< hypotheses that are followed side by side (`beam_search`)
  double length_penalty = 1;                     ///< of beams: a hypothesis of n tokens is worth log p / n to this

  /// Whether a token ends it.
  bool stops_at(token_id token) const { return std::find(stop.begin(), stop.end(), token) != stop.end(); }
  /// Refuses what makes no sense.
  /// @throws error naming the option
  void check() const {
    sampling.check();
    check_alternatives(log_probabilities.value_or(0));
    if (beams < 1 || beams > most_beams)
      throw error("beams: must be from 1 to " + std::to_string(most_beams) + ", found " + std::to_string(beams));
    if (beams > 1 && sampling.temperature > 0)
      throw error("beams: a search follows the likeliest tokens, so the temperature must be 0");
    if (!std::isfinite(length_penalty)) throw error("length_penalty: must be finite");
  }
  static constexpr extent most_beams = 64;  ///< of one request
};

/// What a row of logits is for.
struct token_choice {
  const generation_options* options;  ///< of its request
  token_history so_far;               ///< tokens of its request
  extent row;                         ///< of the logits

  /// Whether the likeliest token is all that is wanted.
  bool simple() const { return options->sampling.greedy() && !options->log_probabilities; }
};
/// A token, and how likely it was where the options ask.
struct chosen_token {
  token_id token;                                                 ///< the token
  std::optional<token_log_probabilities> log_probabilities = {};  ///< where they are asked for
};

/// The next token by some rows of logits (M, V); none where a row is not finite. Simply the likeliest ones are found
/// where the logits lie; of the others, rows are copied to the host.
/// @throws error naming an option that makes no sense
template <class T, class Backend>
std::vector<std::optional<chosen_token>> choose_tokens(sampler& sample, const tensor<T, 2, Backend>& logits,
                                                       std::span<const token_choice> wanted) {
  std::vector<std::int32_t> likeliest_of_rows;
  if (std::any_of(wanted.begin(), wanted.end(), [](const token_choice& one) { return one.simple(); }))
    likeliest_of_rows = row_argmax(logits);
  const auto choose = [&](const token_choice& one) -> std::optional<chosen_token> {
    if (one.simple()) {
      const token_id token = likeliest_of_rows[std::size_t(one.row)];
      if (token < 0) return {};
      return chosen_token{token};
    }
    const std::vector<T> values = to_host(logits.slice(one.row, one.row + 1));
    const std::span<const T> row(values);
    try {
      chosen_token chosen{sample(row, one.options->sampling, one.so_far)};
      if (const auto count = one.options->log_probabilities)
        chosen.log_probabilities = log_probabilities(row, chosen.token, *count);
      return chosen;
    } catch (const numeric_error&) { return {}; }
  };
  std::vector<std::optional<chosen_token>> chosen;
  for (const token_choice& one : wanted) chosen.push_back(choose(one));
  return chosen;
}

}  // namespace iapt
