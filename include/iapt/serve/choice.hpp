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

#include "iapt/backend/host_loop.hpp"
#include "iapt/serve/logits.hpp"
#include "iapt/serve/sampler.hpp"

namespace iapt {

/// How a prompt is continued.
struct generation_options {
  index_t max_new = 256;                          ///< tokens at most
  std::vector<token_id> stop = {};                ///< tokens that end it; they are not part of the result
  sampling_options sampling = {};                 ///< how tokens are chosen; greedily unless it says otherwise
  std::optional<index_t> log_probabilities = {};  ///< list those of each token and of so many alternatives
  index_t beams = 1;                              ///< hypotheses that are followed side by side (`beam_search`)
  double length_penalty = 1;                      ///< of beams: a hypothesis of n tokens is worth log p / n to this

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
  static constexpr index_t most_beams = 64;  ///< of one request
};

/// What a row of logits is for.
struct token_choice {
  const generation_options* options;  ///< of its request
  token_history so_far;               ///< tokens of its request
  index_t row;                        ///< of the logits

  /// Whether the likeliest token is all that is wanted.
  bool simple() const { return options->sampling.greedy() && !options->log_probabilities; }
};
/// A token, and how likely it was where the options ask.
struct chosen_token {
  token_id token;                                                 ///< the token
  std::optional<token_log_probabilities> log_probabilities = {};  ///< where they are asked for
};

/// How likely given tokens were by rows of logits (M, V), one each; nothing where a row is not finite. Threads of the
/// host share the rows.
/// @param tokens (M)
/// @param alternatives how many of the likeliest to list of each row (M)
/// @throws shape_error if a row has no such token, or not from 0 to `most_alternatives` are asked for
template <class T, class Backend>
std::vector<std::optional<token_log_probabilities>> log_probabilities(const tensor<T, 2, Backend>& logits,
                                                                      std::span<const token_id> tokens,
                                                                      std::span<const index_t> alternatives) {
  const std::vector<T> all = to_host(logits);
  const auto width = std::size_t(logits.size(1));
  std::vector<std::optional<token_log_probabilities>> found(tokens.size());
  host_loop(host_threads(logits.backend()), index_t(tokens.size()), [&](index_t row) {
    const auto i = std::size_t(row);
    try {
      found[i] = log_probabilities(std::span<const T>(all).subspan(i * width, width), tokens[i], alternatives[i]);
    } catch (const numeric_error&) {}  // it stays without
  });
  return found;
}

/// Chooses the next tokens of many requests; it keeps memory between calls, no more.
class token_chooser {
 public:
  /// The next token by some rows of logits (M, V); none where a row is not finite. Simply the likeliest ones are found
  /// where the logits lie; of the others, rows are copied to the host, whose threads share them.
  /// @throws error naming an option that makes no sense
  template <class T, class Backend>
  std::vector<std::optional<chosen_token>> operator()(const tensor<T, 2, Backend>& logits,
                                                      std::span<const token_choice> wanted) {
    std::vector<std::optional<chosen_token>> chosen(wanted.size());
    std::vector<std::int32_t> likeliest_of_rows;
    std::vector<std::size_t> others;
    std::vector<std::vector<T>> rows;  // of these
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const index_t row = wanted[i].row;
      if (wanted[i].simple()) {
        if (likeliest_of_rows.empty()) likeliest_of_rows = row_argmax(logits);
        if (const token_id token = likeliest_of_rows[std::size_t(row)]; token >= 0) chosen[i] = chosen_token{token};
      } else {
        others.push_back(i), rows.push_back(to_host(logits.slice(row, row + 1)));
      }
    }
    const auto parts = std::min<std::size_t>(others.size(), std::size_t(host_threads(logits.backend())));
    samplers_.resize(std::max(samplers_.size(), parts));
    host_loop(int(parts), index_t(parts), [&](index_t part) {
      for (auto i = std::size_t(part); i < others.size(); i += parts)
        chosen[others[i]] = choose(samplers_[std::size_t(part)], std::span<const T>(rows[i]), wanted[others[i]]);
    });
    return chosen;
  }

 private:
  template <class T>
  static std::optional<chosen_token> choose(sampler& sample, std::span<const T> row, const token_choice& one) {
    try {
      chosen_token chosen{sample(row, one.options->sampling, one.so_far)};
      if (const auto count = one.options->log_probabilities)
        chosen.log_probabilities = log_probabilities(row, chosen.token, *count);
      return chosen;
    } catch (const numeric_error&) { return {}; }
  }
  std::vector<sampler> samplers_;  // of the threads
};

}  // namespace iapt
