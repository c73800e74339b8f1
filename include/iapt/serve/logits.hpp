// SPDX-License-Identifier: Apache-2.0
// Rows of logits: the likeliest token, and log-probabilities of tokens.  Shapes: M rows, V vocabulary.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/token.hpp"
#include "iapt/ops/argmax.hpp"

namespace iapt {

/// A token and the logarithm of its probability, in nats.
struct scored_token {
  token_id token;          ///< its id
  double log_probability;  ///< −∞ to 0
};

/// Order by probability, the highest first; equal ones by id.
constexpr bool likelier(const scored_token& a, const scored_token& b) {
  return a.log_probability > b.log_probability || (a.log_probability == b.log_probability && a.token < b.token);
}

/// The likeliest token of one row of logits (V) on the host; of equal ones the first.
/// @throws numeric_error if a logit is not finite
/// @throws shape_error if the row is empty
template <class T>
token_id likeliest(std::span<const T> logits) {
  if (logits.empty()) throw shape_error("likeliest: a row without logits");
  std::size_t best = 0;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    if (!std::isfinite(double(logits[v]))) throw numeric_error("likeliest: the logits are not finite");
    if (logits[v] > logits[best]) best = v;
  }
  return token_id(best);
}

/// The likeliest token of each row of logits (M, V), found on their backend; of equal ones the first.
/// @throws numeric_error if a logit is not finite
template <class T, class Backend>
std::vector<token_id> likeliest(const tensor<T, 2, Backend>& logits) {
  const std::vector<std::int32_t> best = row_argmax(logits);
  if (std::find(best.begin(), best.end(), -1) != best.end())
    throw numeric_error("likeliest: the logits are not finite");
  return {best.begin(), best.end()};
}

/// The log-probability of a token, and the likeliest alternatives.
struct token_log_probabilities {
  double chosen = 0;              ///< log-probability of the chosen token
  std::vector<scored_token> top;  ///< the likeliest tokens, in order; the chosen one may be among them
};

/// Largest number of alternatives that `log_probabilities` lists, as in OpenAI's API.
inline constexpr index_t most_alternatives = 20;

/// Refuses a number of alternatives that is not from 0 to `most_alternatives`.
/// @throws shape_error with the number
inline void check_alternatives(index_t count) {
  if (count < 0 || count > most_alternatives)
    throw shape_error("log_probabilities: from 0 to " + std::to_string(most_alternatives) +
                      " alternatives can be listed, not " + std::to_string(count));
}

/// Log-softmax of one row of logits (V) for a token and for the likeliest ones: x − max x − log Σ exp(x − max x), in
/// double. These are the model's own probabilities, before penalties and temperature, so they do not depend on how the
/// token was sampled.
/// @param logits one row (V)
/// @param chosen the chosen token
/// @param alternatives how many of the likeliest tokens to list
/// @throws numeric_error if a logit is not finite
/// @throws shape_error if the row has no such token, or `alternatives` is not from 0 to `most_alternatives`
/// @par Source the "raw_logprobs" of vLLM's engine; OpenAI lists at most 20 and does not say which logits it takes
template <class T>
token_log_probabilities log_probabilities(std::span<const T> logits, token_id chosen, index_t alternatives) {
  if (chosen < 0 || std::size_t(chosen) >= logits.size())
    throw shape_error("log_probabilities: token " + std::to_string(chosen) + " in a row of " +
                      std::to_string(logits.size()));
  check_alternatives(alternatives);
  const double greatest = double(logits[std::size_t(likeliest(logits))]);
  double sum = 0;
  for (const T& x : logits) sum += std::exp(double(x) - greatest);
  const double log_sum = std::log(sum);
  const auto score = [&](std::size_t v) { return double(logits[v]) - greatest - log_sum; };
  token_log_probabilities found{score(std::size_t(chosen)), {}};
  auto& top = found.top;
  for (std::size_t v = 0; alternatives && v < logits.size(); ++v) {
    const scored_token one{token_id(v), score(v)};
    if (index_t(top.size()) == alternatives) {
      if (!likelier(one, top.back())) continue;
      top.pop_back();
    }
    top.insert(std::upper_bound(top.begin(), top.end(), one, likelier), one);
  }
  return found;
}

}  // namespace iapt
