// SPDX-License-Identifier: Apache-2.0
// Answers of OpenAI's API: from tokens to text up to a stop string, then to JSON, complete or streamed.
#pragma once
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "iapt/serve/openai_request.hpp"
#include "iapt/serve/stop.hpp"
#include "iapt/text/stream_decoder.hpp"

namespace iapt {

/// A piece of an answer.
struct answer_piece {
  std::string text = {};                  ///< text that can be sent
  std::vector<chosen_token> tokens = {};  ///< tokens of the text, if log-probabilities are requested
  const char* reason = nullptr;           ///< OpenAI's finish_reason of the last piece, else null

  /// Appends the next piece.
  void append(answer_piece next) {
    text += next.text;
    std::move(next.tokens.begin(), next.tokens.end(), std::back_inserter(tokens));
    reason = next.reason;
  }
};

/// Converts the tokens of an answer to text.
class answer_text {
 public:
  /// The text of one answer to a request.
  answer_text(const openai_request& request, const tokenizer& words)
      : decoder_(words, request.skip_special_tokens, request.chat),
        until_(request.stop),
        lists_(request.options.log_probabilities) {}
  /// What a token adds to the answer.
  answer_piece next(const chosen_token& one) {
    answer_piece piece{until_.next(decoder_.next(one.token))};
    if (lists_) piece.tokens.push_back(one);
    return piece;
  }
  /// What a prompt token adds: no text, since `openai_request::opening` has it.
  answer_piece read(const chosen_token& one) const {
    answer_piece piece;
    if (lists_) piece.tokens.push_back(one);
    return piece;
  }
  /// The text that was held back.
  answer_piece finish() {
    if (until_.stopped()) return {};
    std::string rest = until_.next(decoder_.finish());
    if (!until_.stopped()) rest += until_.finish();
    return {rest};
  }
  /// Whether a stop string was found.
  bool stopped() const { return until_.stopped(); }

 private:
  stream_decoder decoder_;
  stop_matcher until_;
  bool lists_;
};

/// Number of tokens of a request.
struct token_usage {
  index_t prompt = 0;     ///< tokens of its prompts
  index_t generated = 0;  ///< tokens of its answers, without stop tokens
};

/// Writes the JSON objects that answer a request.
class openai_answer {
 public:
  using json = nlohmann::ordered_json;  ///< keeps the order in which OpenAI writes the fields

  /// @param id id of the request, without its prefix
  /// @param created seconds since 1970
  openai_answer(const openai_request& request, const tokenizer& words, const std::string& id, std::int64_t created)
      : words_(words),
        chat_(request.chat),
        lists_(request.options.log_probabilities.has_value()),
        usage_(request.include_usage),
        offsets_(std::size_t(request.answers())) {
    head_ = {
        {"id", (chat_ ? "chatcmpl-" : "cmpl-") + id}, {"object", ""}, {"created", created}, {"model", request.model}};
  }

  /// Number of answers.
  std::size_t answers() const { return offsets_.size(); }
  /// The complete response with all answers.
  std::string whole(const std::vector<answer_piece>& all, const token_usage& took) {
    json choices = json::array();
    for (const answer_piece& one : all) {
      const std::size_t index = choices.size();
      json choice{{"index", index}};
      if (chat_)
        choice["message"] = {{"role", "assistant"}, {"content", one.text}, {"refusal", nullptr}};
      else
        choice["text"] = one.text;
      choice["logprobs"] = log_probabilities(index, one.tokens);
      choice["finish_reason"] = one.reason;
      choices.push_back(std::move(choice));
    }
    json found = with(chat_ ? "chat.completion" : "text_completion", std::move(choices));
    found["usage"] = usage(took);
    return text(found);
  }
  /// The events that begin a stream; may be empty.
  std::string opening() {
    std::string found;
    for (std::size_t i = 0; chat_ && i < offsets_.size(); ++i)
      found += chunk(i, {{"role", "assistant"}, {"content", ""}}, {}, nullptr);
    return found;
  }
  /// The events for a piece of one answer in a stream; empty if the piece is empty.
  std::string next(std::size_t index, const answer_piece& piece) {
    std::string found;
    if (!piece.text.empty() || !piece.tokens.empty()) found += chunk(index, {{"content", piece.text}}, piece, nullptr);
    if (piece.reason) found += chunk(index, json::object(), {}, piece.reason);
    return found;
  }
  /// The events that end a stream.
  std::string ending(const token_usage& took) {
    std::string found;
    if (usage_) {
      json last = with(stream_object(), json::array());
      last["usage"] = usage(took);
      found = event(text(last));
    }
    return found + event("[DONE]");
  }
  /// A server-sent event.
  static std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

 private:
  const char* stream_object() const { return chat_ ? "chat.completion.chunk" : "text_completion"; }
  json with(const char* object, json choices) const {
    json found = head_;
    found["object"] = object;
    found["choices"] = std::move(choices);
    return found;
  }
  std::string chunk(std::size_t index, json delta, const answer_piece& piece, json reason) {
    json choice{{"index", index}};
    if (chat_)
      choice["delta"] = std::move(delta);
    else
      choice["text"] = piece.text;
    choice["logprobs"] = piece.tokens.empty() ? json() : log_probabilities(index, piece.tokens);
    choice["finish_reason"] = std::move(reason);
    json choices = json::array();
    choices.push_back(std::move(choice));
    return event(text(with(stream_object(), std::move(choices))));
  }
  static json usage(const token_usage& took) {
    return {{"prompt_tokens", took.prompt},
            {"completion_tokens", took.generated},
            {"total_tokens", took.prompt + took.generated}};
  }
  // Model names are names of folders, which need not be UTF-8.
  static std::string text(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }
  std::string word(token_id token) const { return words_.decode({{token}}, false, false); }

  json log_probabilities(std::size_t index, const std::vector<chosen_token>& tokens) {
    if (!lists_) return nullptr;
    return chat_ ? of_chat(tokens) : of_completion(tokens, offsets_[index]);
  }
  json of_chat(const std::vector<chosen_token>& tokens) const {
    const auto entry = [&](token_id token, double value) {
      const std::string_view bytes = words_.bytes(token);
      return json{{"token", word(token)},
                  {"logprob", value},
                  {"bytes", std::vector<int>(reinterpret_cast<const unsigned char*>(bytes.data()),
                                             reinterpret_cast<const unsigned char*>(bytes.data()) + bytes.size())}};
    };
    json content = json::array();
    for (const chosen_token& one : tokens) {
      json own = entry(one.token, one.log_probabilities->chosen);
      own["top_logprobs"] = json::array();
      for (const scored_token& other : one.log_probabilities->top)
        own["top_logprobs"].push_back(entry(other.token, other.log_probability));
      content.push_back(std::move(own));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }
  json of_completion(const std::vector<chosen_token>& tokens, index_t& offset) const {
    json names = json::array(), values = json::array(), tops = json::array(), offsets = json::array();
    for (const chosen_token& one : tokens) {
      const std::string name = word(one.token);
      json value, top;  // null for a prompt's first token, which has no probability
      if (one.log_probabilities) {
        value = one.log_probabilities->chosen;
        top = json::object();
        // The likeliest come first; of tokens with the same text the first counts. OpenAI lists the chosen token as
        // well.
        for (const scored_token& other : one.log_probabilities->top)
          top.emplace(word(other.token), json(other.log_probability));
        top.emplace(name, json(value));
      }
      names.push_back(name);
      values.push_back(std::move(value));
      tops.push_back(std::move(top));
      offsets.push_back(offset);
      for (const char c : name) offset += (c & 0xC0) != 0x80;  // counts characters
    }
    return {{"tokens", names}, {"token_logprobs", values}, {"top_logprobs", tops}, {"text_offset", offsets}};
  }

  const tokenizer& words_;
  bool chat_, lists_, usage_;
  json head_;
  std::vector<index_t> offsets_;  // where the next token's text begins in each answer, in characters
};

}  // namespace iapt
