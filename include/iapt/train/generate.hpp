// SPDX-License-Identifier: Apache-2.0
// Greedy generation: prompts are read once, then every token costs one row.
#pragma once
#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "iapt/model/decoder.hpp"
#include "iapt/ops/argmax.hpp"

namespace iapt {

/// How generation ends.
struct generation_options {
  extent max_new = 256;             ///< tokens at most
  std::vector<token_id> stop = {};  ///< tokens that end it; they are not part of the result
};

/// The likeliest token of each row of logits (M, V); the first of equals.
/// @throws numeric_error if any logit is not finite
template <class T, class Backend>
std::vector<token_id> likeliest(const tensor<T, 2, Backend>& logits) {
  const std::vector<std::int32_t> best = row_argmax(logits);
  if (std::find(best.begin(), best.end(), -1) != best.end()) throw numeric_error("generate: the logits are not finite");
  return {best.begin(), best.end()};
}

/// Continues prompts, each with its likeliest tokens, all in one batch.
/// @param lm the model
/// @param method what it is adapted with, or the bare method
/// @param prompts tokens of each prompt, at least one
/// @param options length and stop tokens
/// @param seen called with (number of the prompt, token) as tokens come, if given
/// @throws shape_error if a prompt is too short
template <class T, class Backend, class Method>
std::vector<std::vector<token_id>> generate(const causal_lm<T, Backend>& lm, const Method& method,
                                            const std::vector<std::vector<token_id>>& prompts,
                                            const generation_options& options,
                                            const std::function<void(std::size_t, token_id)>& seen = {}) {
  std::vector<std::vector<token_id>> answers(prompts.size());
  if (prompts.empty() || options.max_new < 1) return answers;
  packed_batch batch;
  extent longest = 0;
  for (const auto& prompt : prompts) batch.add(prompt), longest = std::max(longest, extent(prompt.size()));
  kv_cache<T, Backend> cache(lm.backend(), lm.config, extent(prompts.size()),
                             longest + soft_token_count(method) + options.max_new);
  std::vector<extent> active(prompts.size());
  for (std::size_t i = 0; i < active.size(); ++i) active[i] = extent(i);
  std::optional<decoder<T, Backend, Method>> reader;  // of the sequences that go on
  auto next = likeliest(lm.prefill(batch, cache, method));
  for (extent length = 1;; ++length) {
    std::vector<extent> going;
    std::vector<token_id> tokens;
    for (std::size_t i = 0; i < active.size(); ++i) {
      if (std::find(options.stop.begin(), options.stop.end(), next[i]) != options.stop.end()) continue;
      answers[std::size_t(active[i])].push_back(next[i]);
      if (seen) seen(std::size_t(active[i]), next[i]);
      if (length < options.max_new) going.push_back(active[i]), tokens.push_back(next[i]);
    }
    if (going.empty()) return answers;
    if (!reader || going.size() < active.size()) reader.emplace(lm, cache, going, method);
    active = std::move(going);
    next = likeliest(reader->step(tokens));
  }
}

}  // namespace iapt
