// SPDX-License-Identifier: Apache-2.0
// Requests of OpenAI's interface: from JSON to a prompt and options.
#pragma once
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/serve/choice.hpp"
#include "iapt/serve/openai_reader.hpp"
#include "iapt/text/chat_template.hpp"

namespace iapt {

/// What is asked of /v1/completions or /v1/chat/completions.
/// @par Source OpenAI's API reference; top_k, min_p and repetition_penalty as in vLLM's server
struct openai_request {
  bool chat = false;                                              ///< whether it has messages, or a prompt
  std::string model = {};                                         ///< the tenant
  std::vector<chat_message> messages = {};                        ///< of a chat
  std::string prompt = {};                                        ///< of a completion
  std::vector<token_id> prompt_tokens = {};                       ///< of a completion, in place of `prompt`
  generation_options options = {.sampling = {.temperature = 1}};  ///< but for the stop tokens
  std::optional<extent> max_tokens = {};                          ///< what options.max_new becomes, where it is given
  std::vector<std::string> stop = {};                             ///< stop strings
  bool stream = false;                                            ///< whether the answer comes in pieces
  bool include_usage = false;                                     ///< whether a stream ends with what it took

  static constexpr std::size_t most_stop_strings = 4;  ///< as in OpenAI's interface

  /// Reads a body. A parameter that is not known and not off is refused: it would change what is answered.
  /// @throws openai_error naming the parameter that is wrong
  static openai_request parse(std::string_view body, bool chat);

  /// The prompt's tokens. Special tokens in a message are plain text: only the template writes turns.
  /// @param lm a `language_model`
  /// @throws openai_error if it cannot be encoded, or has no tokens
  template <class Model>
  std::vector<token_id> encode(const Model& lm) const {
    const char* param = chat ? "messages" : "prompt";
    try {
      std::vector<token_id> tokens = chat                    ? lm.chat().encode(lm.tokenizer(), messages, true)
                                     : prompt_tokens.empty() ? lm.tokenizer().encode(prompt)
                                                             : prompt_tokens;
      if (!tokens.empty()) return tokens;
    } catch (const error& failure) { throw openai_error(400, failure.what(), param); }
    throw openai_error(400, "the prompt has no tokens", param);
  }
};

/// The text of a message: a string, or parts of type text.
inline std::string openai_content(const nlohmann::json& content, const std::string& name) {
  if (content.is_string()) return content;
  openai_reader::need(content.is_array(), name, "a string, or an array of parts of type text");
  std::string text;
  for (const auto& part : content) {
    openai_reader::need(part.is_object() && part.value("type", nlohmann::json()) == "text" && part.contains("text") &&
                            part["text"].is_string(),
                        name, "a string, or an array of parts of type text");
    text += part["text"].get<std::string>();
  }
  return text;
}

inline openai_request openai_request::parse(std::string_view body, bool chat) {
  openai_reader from(body);
  openai_request r{.chat = chat};
  const auto need = openai_reader::need;
  from.into("model", r.model);
  need(!r.model.empty(), "model", "the name of a model");
  if (chat) {
    const auto& messages = from.take("messages");
    need(messages.is_array() && !messages.empty(), "messages", "an array of at least one message");
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const std::string name = "messages[" + std::to_string(i) + "]";
      const auto& one = messages[i];
      need(one.is_object() && one.contains("role") && one["role"].is_string() && one.contains("content"), name,
           "an object with role and content");
      std::string role = one["role"];
      if (role == "developer") role = "system";  // its newer name
      need(role == "system" || role == "user" || role == "assistant", name + ".role", "system, user or assistant");
      r.messages.push_back({role, openai_content(one["content"], name + ".content")});
      for (const auto& [key, value] : one.items())
        need(key == "role" || key == "content" || key == "name" || value.is_null() || value.empty(), name,
             "of text alone, without " + key.substr(0, 64));
    }
  } else {
    const auto* prompt = &from.take("prompt");
    if (prompt->is_array() && prompt->size() == 1 && !(*prompt)[0].is_number()) prompt = &(*prompt)[0];
    const bool tokens =
        prompt->is_array() && !prompt->empty() && std::all_of(prompt->begin(), prompt->end(), [](const auto& one) {
          return one.is_number_integer() && one >= 0 && one <= INT32_MAX;
        });
    need(prompt->is_string() || tokens, "prompt", "one string, or one array of tokens");
    if (tokens)
      prompt->get_to(r.prompt_tokens);
    else
      prompt->get_to(r.prompt);
  }

  sampling_options& s = r.options.sampling;
  // Each is judged where it has just been read: so the message's parameter is the one that is wrong.
  const auto sampling = [&](const char* name, auto& to) {
    from.into(name, to);
    try {
      s.check();
    } catch (const error& failure) { throw openai_error(400, failure.what(), name); }
  };
  sampling("temperature", s.temperature), sampling("top_p", s.top_p), sampling("min_p", s.min_p);
  sampling("frequency_penalty", s.frequency_penalty), sampling("presence_penalty", s.presence_penalty);
  sampling("repetition_penalty", s.repetition_penalty);
  std::optional<extent> top_k;
  from.into("top_k", top_k, -1, INT32_MAX);
  s.top_k = std::max<extent>(top_k.value_or(0), 0);
  const auto& seed = from.take("seed");
  need(seed.is_null() || seed.is_number_integer(), "seed", "a whole number");
  s.seed = seed.is_null() ? std::uint64_t(std::random_device()()) << 32 | std::random_device()()
                          : seed.template get<std::uint64_t>();

  from.into("max_tokens", r.max_tokens, 1, INT32_MAX);
  if (chat) from.into("max_completion_tokens", r.max_tokens, 1, INT32_MAX);
  if (!chat && !r.max_tokens) r.max_tokens = 16;  // OpenAI's default
  const auto& stop = from.take("stop");
  if (stop.is_string()) r.stop = {stop};
  if (stop.is_array())
    for (const auto& one : stop)
      need(one.is_string(), "stop", "a string or an array of strings"), r.stop.push_back(one);
  need(stop.is_null() || stop.is_string() || stop.is_array(), "stop", "a string or an array of strings");
  need(r.stop.size() <= most_stop_strings, "stop", "at most " + std::to_string(most_stop_strings) + " strings");
  need(std::find(r.stop.begin(), r.stop.end(), "") == r.stop.end(), "stop", "of strings that are not empty");

  if (chat) {
    bool wanted = false;
    from.into("logprobs", wanted);
    from.into("top_logprobs", r.options.log_probabilities, 0, most_alternatives);
    need(wanted || !r.options.log_probabilities, "top_logprobs", "given with logprobs alone");
    if (wanted && !r.options.log_probabilities) r.options.log_probabilities = 0;
  } else {
    from.into("logprobs", r.options.log_probabilities, 0, most_alternatives);
    from.only("best_of", 1), from.only("echo", false), from.only("suffix", "");
  }
  from.only("n", 1);
  from.into("stream", r.stream);
  if (const auto& about = from.take("stream_options"); !about.is_null()) {
    need(about.is_object() && r.stream, "stream_options", "an object, with stream alone");
    const auto usage = about.find("include_usage");
    need(usage == about.end() || usage->is_boolean(), "stream_options", "an object with a boolean include_usage");
    r.include_usage = usage != about.end() && *usage;
  }
  from.only("response_format", {{"type", "text"}});
  // What changes no answer here.
  for (const char* name : {"user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key"})
    from.take(name);
  from.finish();
  return r;
}

}  // namespace iapt
