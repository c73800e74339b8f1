// SPDX-License-Identifier: Apache-2.0
// Tokens that end an answer: those that a model's files name, and those with a known text.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// Texts of tokens that end a turn or an answer, in any vocabulary. Many files name only one of their own.
/// @par Source the list of llama.cpp's vocabulary reader, without the tokens for fill-in-the-middle, which do not end
/// messages
inline constexpr std::array<std::string_view, 21> end_of_generation_texts{
    "<|im_end|>",        // ChatML: Qwen, SmolLM
    "<|eot_id|>",        // Llama 3, the end of a turn
    "<|eom_id|>",        // Llama 3, the end of a message that calls a tool
    "<|end_of_text|>",   // Llama 3, Granite
    "<|endoftext|>",     // GPT-2, Qwen
    "<|end|>",           // Phi
    "<|return|>",        // gpt-oss
    "<|call|>",          // gpt-oss
    "<|flush|>",         // Solar
    "<|calls|>",         // Solar
    "<end_of_turn>",     // Gemma
    "<turn|>",           // Gemma 4
    "<|tool_response>",  // Gemma 4
    "<eos>",
    "</s>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",  // Kimi
    "[EOS]",  // Kimi
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",  // DeepSeek
};

/// Completes `spec.end_of_generation` with the end token, and with every control token of a known text. If a file has a
/// token of a known text as plain text, it becomes a control token, unless merges give it: then it is a word, such as
/// HTML's `</s>`.
inline void complete_end_of_generation(tokenizer_spec& spec) {
  const auto known = [](std::string_view text) {
    return std::find(end_of_generation_texts.begin(), end_of_generation_texts.end(), text) !=
           end_of_generation_texts.end();
  };
  const auto is_word = [&](std::string_view text) {
    return std::any_of(spec.merges.begin(), spec.merges.end(), [&](const auto& merge) {
      return merge.first.size() + merge.second.size() == text.size() && text.starts_with(merge.first) &&
             text.ends_with(merge.second);
    });
  };
  std::vector<token_id>& ends = spec.end_of_generation;
  if (spec.eos) ends.push_back(*spec.eos);
  std::vector<bool> is_added(spec.tokens.size());
  for (added_token& token : spec.added) {
    is_added[static_cast<std::size_t>(token.id)] = true;
    if (!known(token.text)) continue;
    token.special = true;
    ends.push_back(token.id);
  }
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& text = spec.tokens[id];
    if (is_added[id] || !known(text) || is_word(text)) continue;
    spec.added.push_back({.id = static_cast<token_id>(id), .text = text});
    ends.push_back(static_cast<token_id>(id));
  }

  // gpt-oss and Solar end each message with <|end|>, but an answer has several messages.
  const auto id_of = [&](std::string_view text) -> std::optional<token_id> {
    for (const added_token& token : spec.added)
      if (token.text == text) return token.id;
    return {};
  };
  const bool calls = id_of("<|call|>") || id_of("<|calls|>");
  if (const auto end = id_of("<|end|>"); end && calls && (id_of("<|return|>") || id_of("<|flush|>")))
    std::erase(ends, *end);

  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
}

}  // namespace iapt
