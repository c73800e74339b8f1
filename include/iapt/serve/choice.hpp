// SPDX-License-Identifier: Apache-2.0
// What is asked of a continuation, and the choice of its next token.  Shapes: M rows of logits, V vocabulary.
#pragma once
#include <algorithm>
#include <optional>
#include <span>
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
};

/// What a row of logits is for.
struct token_choice {
  const generation_options* options;  ///< of its request
  token_history so_far;               ///< tokens of its request
};
/// A token, and how likely it was where the options ask.
struct chosen_token {
  token_id token;                                                 ///< the token
  std::optional<token_log_probabilities> log_probabilities = {};  ///< where they are asked for
};

/// The next token of each row of logits (M, V). If all are simply the likeliest ones, they are found where the logits
/// lie, and nothing else is copied.
/// @throws error naming an option that makes no sense
/// @throws numeric_error if the logits are not finite
template <class T, class Backend>
std::vector<chosen_token> choose_tokens(sampler& sample, const tensor<T, 2, Backend>& logits,
                                        std::span<const token_choice> wanted) {
  std::vector<chosen_token> chosen;
  if (std::all_of(wanted.begin(), wanted.end(), [](const token_choice& one) {
        return one.options->sampling.greedy() && !one.options->log_probabilities;
      })) {
    for (const token_id token : likeliest(logits)) chosen.push_back({token});
    return chosen;
  }
  const std::vector<T> all = to_host(logits);
  const auto columns = std::size_t(logits.size(1));
  for (const token_choice& one : wanted) {
    const auto row = std::span<const T>(all).subspan(chosen.size() * columns, columns);
    chosen.push_back({sample(row, one.options->sampling, one.so_far)});
    if (const auto count = one.options->log_probabilities)
      chosen.back().log_probabilities = log_probabilities(row, chosen.back().token, *count);
  }
  return chosen;
}

}  // namespace iapt
