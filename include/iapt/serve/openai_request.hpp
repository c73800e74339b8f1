// SPDX-License-Identifier: Apache-2.0
// Requests of OpenAI's API: from JSON to prompts and options.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "iapt/chat/chat_template.hpp"
#include "iapt/serve/choice.hpp"
#include "iapt/serve/openai_reader.hpp"

namespace iapt {

/// A prompt of /v1/completions: text, or token ids.
using openai_prompt = std::variant<std::string, std::vector<token_id>>;

/// A request to /v1/completions or /v1/chat/completions.
/// @par Source OpenAI's API reference; top_k, min_p, repetition_penalty, stop_token_ids, ignore_eos and
/// skip_special_tokens and chat_template_kwargs as in vLLM's server; use_beam_search (best_of is its width) and
/// length_penalty as in vLLM before 0.6.3
struct openai_request {
  bool chat = false;                                              ///< whether it has messages instead of prompts
  std::string model = {};                                         ///< name of the tenant
  conversation messages = {};                                     ///< messages of a chat
  std::vector<openai_prompt> prompts = {};                        ///< prompts of completions
  index_t choices = 1;                                            ///< number of answers to each prompt
  generation_options options = {.sampling = {.temperature = 1}};  ///< the first answer's options; no model stop tokens
  std::optional<index_t> max_tokens = {};                         ///< replaces options.max_new, if given
  std::vector<std::string> stop = {};                             ///< stop strings
  bool ignore_eos = false;                                        ///< whether to ignore the model's stop tokens
  bool skip_special_tokens = true;                                ///< whether control tokens are left out of the text
  bool stream = false;                                            ///< whether the answers are streamed
  bool include_usage = false;                                     ///< whether a stream ends with the numbers of tokens
  bool echo = false;                                              ///< whether an answer begins with its prompt

  static constexpr std::size_t most_stop_strings = 4;       ///< limit of OpenAI's API
  static constexpr index_t most_choices = 128;              ///< limit of OpenAI's API
  static constexpr std::size_t longest_stop_string = 4096;  ///< bytes
  static constexpr std::size_t most_stop_tokens = 256;      ///< ids in stop_token_ids
  static constexpr std::size_t most_biases = 1024;          ///< entries of logit_bias
  static constexpr std::size_t most_messages = 4096;        ///< messages of a chat

  /// Parses a body. An unknown parameter is refused unless it is off, because it could change the answer.
  /// @throws openai_error with the invalid parameter
  static openai_request parse(std::string_view body, bool chat);

  /// Number of answers; those to one prompt are adjacent.
  index_t answers() const { return (chat ? 1 : index_t(prompts.size())) * choices; }
  /// The options of an answer; answers to the same prompt have different seeds.
  generation_options options_of(index_t answer) const {
    generation_options own = options;
    own.sampling.seed += std::uint64_t(answer % choices);
    return own;
  }
  /// Whether log-probabilities of the prompts' tokens are requested.
  bool scores_prompts() const { return echo && options.log_probabilities; }
  /// The beginning of an answer: its prompt's text, if requested.
  std::string opening(index_t answer, const tokenizer& words) const {
    if (!echo) return "";
    const openai_prompt& prompt = prompts[std::size_t(answer / choices)];
    const auto* tokens = std::get_if<std::vector<token_id>>(&prompt);
    return tokens ? words.decode(*tokens) : std::get<std::string>(prompt);
  }
  /// The tokens of each prompt. Special tokens in a message are plain text: only the chat template writes control
  /// tokens.
  /// @param lm a `language_model`
  /// @throws openai_error if a prompt cannot be encoded or has no tokens, or a token id is not in the vocabulary
  template <class Model>
  std::vector<std::vector<token_id>> encode(const Model& lm) const {
    const char* param = chat ? "messages" : "prompt";
    std::vector<std::vector<token_id>> all;
    try {
      if (chat) all.push_back(lm.chat().encode(lm.tokenizer(), messages));
      for (const openai_prompt& one : prompts) {
        const auto* tokens = std::get_if<std::vector<token_id>>(&one);
        all.push_back(tokens ? *tokens : lm.tokenizer().encode(std::get<std::string>(one)));
      }
    } catch (const refused_conversation& failure) {
      throw openai_error(400, "the model's chat template refuses the messages: " + failure.reason, param);
    } catch (const error& failure) { throw openai_error(400, failure.what(), param); }
    const auto need_known = [&](token_id token, const char* where) {
      if (std::size_t(token) >= lm.tokenizer().size())
        throw openai_error(400,
                           std::string(where) + ": token " + std::to_string(token) + " is not among the model's " +
                               std::to_string(lm.tokenizer().size()),
                           where);
    };
    for (const auto& tokens : all) {
      if (tokens.empty()) throw openai_error(400, "a prompt has no tokens", param);
      for (const token_id token : tokens) need_known(token, param);
    }
    for (const auto& [token, bias] : options.sampling.logit_bias) need_known(token, "logit_bias");
    return all;
  }
};

/// The text of a message, given as a string or as parts of type text.
inline std::string openai_content(const openai_reader::json& content, const std::string& name) {
  if (content.is_string()) return content;
  openai_reader::need(content.is_array(), name, "a string, or an array of parts of type text");
  std::string text;
  for (const auto& part : content) {
    openai_reader::need(part.is_object() && part.value("type", openai_reader::json()) == "text" &&
                            part.contains("text") && part["text"].is_string(),
                        name, "a string, or an array of parts of type text");
    text += part["text"].get<std::string>();
  }
  return text;
}

/// The messages of a chat.
inline conversation openai_messages(openai_reader& from) {
  const auto need = openai_reader::need;
  const openai_reader::json& given = from.take("messages");
  need(given.is_array() && !given.empty(), "messages", "an array of at least one message");
  openai_reader::need_length(given, "messages", openai_request::most_messages);
  conversation chat;
  for (const auto& one : given) {
    const std::string name = "messages[" + std::to_string(chat.messages.size()) + "]";
    need(one.is_object() && one.contains("role") && one["role"].is_string() && one.contains("content"), name,
         "an object with role and content");
    std::string role = one["role"];
    if (role == "developer") role = "system";  // a newer name of it
    need(role == "system" || role == "user" || role == "assistant", name + ".role", "system, user or assistant");
    chat.add(role, openai_content(one["content"], name + ".content"));
    for (const auto& [key, value] : one.items())
      need(key == "role" || key == "content" || key == "name" || value.is_null() || value.empty(), name,
           "of text alone, without " + key.substr(0, 64));
  }
  if (const auto& more = from.take("chat_template_kwargs"); !more.is_null()) {
    need(more.is_object(), "chat_template_kwargs", "an object of variables for the chat template");
    chat.variables = more;
  }
  return chat;
}

/// The token ids in an array, which may be empty.
/// @param name name of the parameter
/// @param path the array's path within it
/// @throws openai_error with the entry that is not a token id
inline std::vector<token_id> openai_tokens(const openai_reader::json& given, const std::string& name,
                                           const std::string& path) {
  std::vector<token_id> tokens;
  for (const auto& one : given) {
    if (!one.is_number_integer() || one < 0 || one > INT32_MAX)
      openai_reader::need_at(false, name, path + "[" + std::to_string(tokens.size()) + "]",
                             "a token, from 0 to 2147483647");
    tokens.push_back(one);
  }
  return tokens;
}

/// The prompts of completions, given as a string, an array of tokens, or an array of these.
inline std::vector<openai_prompt> openai_prompts(const openai_reader::json& given) {
  const auto prompt = [&](const openai_reader::json& one, const std::string& path) -> openai_prompt {
    if (one.is_string()) return one.get<std::string>();
    openai_reader::need_at(one.is_array() && !one.empty(), "prompt", path,
                           "a string, an array of tokens, or an array of these");
    return openai_tokens(one, "prompt", path);
  };
  if (!given.is_array() || given.empty() || given[0].is_number()) return {prompt(given, "prompt")};
  std::vector<openai_prompt> all;
  for (const auto& one : given) all.push_back(prompt(one, "prompt[" + std::to_string(all.size()) + "]"));
  return all;
}

/// The biases of logits, given as an object from token ids, as strings, to numbers.
/// @throws openai_error with the invalid entry
inline std::map<token_id, double> openai_bias(const openai_reader::json& given) {
  const std::string name = "logit_bias";
  std::map<token_id, double> bias;
  if (given.is_null()) return bias;
  openai_reader::need(given.is_object(), name, "an object from tokens to numbers");
  openai_reader::need_length(given, name, openai_request::most_biases);
  for (const auto& [key, value] : given.items()) {
    token_id token = -1;
    const auto [end, failure] = std::from_chars(key.data(), key.data() + key.size(), token);
    openai_reader::need(failure == std::errc() && end == key.data() + key.size() && token >= 0, name,
                        "an object whose keys are tokens, found \"" + key.substr(0, 64) + "\"");
    openai_reader::need_at(value.is_number() && std::abs(value.get<double>()) <= sampling_options::greatest_bias, name,
                           name + "." + key, "a number from -100 to 100");
    bias[token] = value;
  }
  return bias;
}

/// Reads how tokens are chosen, and the number of choices.
inline void openai_choice(openai_reader& from, openai_request& r) {
  const auto need = openai_reader::need;
  generation_options& o = r.options;
  sampling_options& s = o.sampling;
  std::optional<index_t> choices, width, top_k;
  from.into("n", choices, 1, openai_request::most_choices);
  r.choices = choices.value_or(1);
  bool beams = false;
  from.into("use_beam_search", beams);
  if (beams) {
    need(r.choices == 1, "n", "1 with use_beam_search, whose width is best_of");
    from.into("best_of", width, 1, generation_options::most_beams);
    need(width.has_value(), "best_of", "given with use_beam_search: it is the width");
    from.into("length_penalty", o.length_penalty);
    o.beams = *width, s.temperature = 0;
  } else {
    from.only("best_of", r.choices);
  }

  // Each parameter is checked when it is read, so that the error names the invalid one.
  const auto sampling = [&](const char* name, double& to) {
    from.into(name, to);
    try {
      o.check();
    } catch (const error& failure) { throw openai_error(400, failure.what(), name); }
  };
  sampling("temperature", s.temperature), sampling("top_p", s.top_p), sampling("min_p", s.min_p);
  sampling("frequency_penalty", s.frequency_penalty), sampling("presence_penalty", s.presence_penalty);
  sampling("repetition_penalty", s.repetition_penalty);
  s.logit_bias = openai_bias(from.take("logit_bias"));
  from.into("top_k", top_k, -1, INT32_MAX);
  s.top_k = std::max<index_t>(top_k.value_or(0), 0);
  const auto& seed = from.take("seed");
  need(seed.is_null() || seed.is_number_integer(), "seed", "a whole number");
  s.seed =
      seed.is_null() ? std::uint64_t(std::random_device()()) << 32 | std::random_device()() : seed.get<std::uint64_t>();
}

/// Reads where answers end.
inline void openai_end(openai_reader& from, openai_request& r) {
  const auto need = openai_reader::need;
  if (!r.chat) from.into("echo", r.echo);
  from.into("max_tokens", r.max_tokens, r.echo ? 0 : 1, INT32_MAX);
  if (r.chat) from.into("max_completion_tokens", r.max_tokens, 1, INT32_MAX);
  if (!r.chat && !r.max_tokens) r.max_tokens = 16;  // OpenAI's default
  const auto& stop = from.take("stop");
  need(stop.is_null() || stop.is_string() || stop.is_array(), "stop", "a string or an array of strings");
  if (stop.is_string()) r.stop = {stop};
  if (stop.is_array()) {
    openai_reader::need_length(stop, "stop", openai_request::most_stop_strings);
    for (const auto& one : stop) {
      openai_reader::need_at(one.is_string(), "stop", "stop[" + std::to_string(r.stop.size()) + "]", "a string");
      r.stop.push_back(one);
    }
  }
  for (const std::string& one : r.stop) {
    need(!one.empty(), "stop", "of strings that are not empty");
    need(one.size() <= openai_request::longest_stop_string, "stop",
         "of strings of at most " + std::to_string(openai_request::longest_stop_string) + " bytes, found " +
             std::to_string(one.size()));
  }
  if (const auto& tokens = from.take("stop_token_ids"); !tokens.is_null()) {
    need(tokens.is_array(), "stop_token_ids", "an array of tokens");
    openai_reader::need_length(tokens, "stop_token_ids", openai_request::most_stop_tokens);
    r.options.stop = openai_tokens(tokens, "stop_token_ids", "stop_token_ids");
  }
  from.into("ignore_eos", r.ignore_eos);
}

/// Reads what is returned besides the text, and whether it is streamed.
inline void openai_shape(openai_reader& from, openai_request& r) {
  const auto need = openai_reader::need;
  auto& alternatives = r.options.log_probabilities;
  if (r.chat) {
    bool wanted = false;
    from.into("logprobs", wanted);
    from.into("top_logprobs", alternatives, 0, most_alternatives);
    need(wanted || !alternatives, "top_logprobs", "given with logprobs alone");
    if (wanted && !alternatives) alternatives = 0;
  } else {
    from.into("logprobs", alternatives, 0, most_alternatives);
    from.only("suffix", "");
  }
  from.into("skip_special_tokens", r.skip_special_tokens);
  from.into("stream", r.stream);
  if (const auto& about = from.take("stream_options"); !about.is_null()) {
    need(about.is_object() && r.stream, "stream_options", "an object, with stream alone");
    const auto usage = about.find("include_usage");
    need(usage == about.end() || usage->is_boolean(), "stream_options", "an object with a boolean include_usage");
    r.include_usage = usage != about.end() && *usage;
  }
  from.only("response_format", {{"type", "text"}}), from.only("modalities", {"text"}), from.only("tool_choice", "none");
}

inline openai_request openai_request::parse(std::string_view body, bool chat) {
  openai_reader from(body);
  openai_request r{.chat = chat};
  from.into("model", r.model);
  openai_reader::need(!r.model.empty(), "model", "the name of a model");
  if (chat)
    r.messages = openai_messages(from);
  else
    r.prompts = openai_prompts(from.take("prompt"));
  openai_choice(from, r), openai_end(from, r), openai_shape(from, r);
  // These change no answer here.
  for (const char* name :
       {"user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls"})
    from.take(name);
  from.finish();
  return r;
}

}  // namespace iapt
