// SPDX-License-Identifier: Apache-2.0
// The options of a continuation, and the choice of its next token.  Shapes: M rows of logits, V vocabulary.
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
  index_t max_new = 256;                          ///< largest number of new tokens
  std::vector<token_id> stop = {};                ///< tokens that end the answer; they are not part of it
  sampling_options sampling = {};                 ///< how tokens are chosen; greedy by default
  std::optional<index_t> log_probabilities = {};  ///< log-probabilities of each token and this many alternatives
  index_t beams = 1;                              ///< number of hypotheses of a beam search
  double length_penalty = 1;                      ///< beams: the score of n tokens is log p / n^this

  /// Whether a token ends the answer.
  bool stops_at(token_id token) const { return std::find(stop.begin(), stop.end(), token) != stop.end(); }
  /// Refuses invalid options.
  /// @throws error with the option's name
  void check() const {
    sampling.check();
    check_alternatives(log_probabilities.value_or(0));
    if (beams < 1 || beams > most_beams)
      throw error("beams: must be from 1 to " + std::to_string(most_beams) + ", found " + std::to_string(beams));
    if (beams > 1 && sampling.temperature > 0)
      throw error("beams: a search follows the likeliest tokens, so the temperature must be 0");
    if (!std::isfinite(length_penalty)) throw error("length_penalty: must be finite");
  }
  static constexpr index_t most_beams = 64;  ///< beams of one request
};

/// The request that a row of logits belongs to.
struct token_choice {
  const generation_options* options;  ///< options of the request
  token_history so_far;               ///< tokens of the request
  index_t row;                        ///< index of its row of logits

  /// Whether only the likeliest token is needed.
  bool simple() const { return options->sampling.greedy() && !options->log_probabilities; }
};
/// A token, and its log-probabilities if the options ask for them.
struct chosen_token {
  token_id token;                                                 ///< the token
  std::optional<token_log_probabilities> log_probabilities = {};  ///< if requested
};

/// Log-probabilities of given tokens, one for each row of logits (M, V); none for a row that is not finite. The rows
/// are divided among threads of the host.
/// @param tokens token of each row (M)
/// @param alternatives how many of the likeliest tokens to list for each row (M)
/// @throws shape_error if a row has no such token, or if a number of alternatives is not from 0 to `most_alternatives`
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
    } catch (const numeric_error&) {}  // there is no result
  });
  return found;
}

/// Chooses the next tokens of many requests. Its only state is memory that it uses again.
class token_chooser {
 public:
  /// The next token of each request, from its row of logits (M, V); none if the row is not finite. If only the
  /// likeliest token is needed, the backend finds it. Other rows are copied to the host and divided among its threads.
  /// @throws error for an invalid option, with its name
  template <class T, class Backend>
  std::vector<std::optional<chosen_token>> operator()(const tensor<T, 2, Backend>& logits,
                                                      std::span<const token_choice> wanted) {
    std::vector<std::optional<chosen_token>> chosen(wanted.size());
    std::vector<std::int32_t> likeliest_of_rows;
    std::vector<std::size_t> others;
    std::vector<std::vector<T>> rows;  // rows of logits of `others`
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
  std::vector<sampler> samplers_;  // one for each thread
};

}  // namespace iapt
