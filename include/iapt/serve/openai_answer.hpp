// SPDX-License-Identifier: Apache-2.0
// Answers of OpenAI's interface: from tokens to text up to a stop string, and to JSON, whole or in pieces.
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
  std::string text = {};                  ///< that can be shown
  std::vector<chosen_token> tokens = {};  ///< that came with it, where log-probabilities are asked for

  /// Joins the piece behind it.
  void append(answer_piece next) {
    text += next.text;
    std::move(next.tokens.begin(), next.tokens.end(), std::back_inserter(tokens));
  }
};

/// The text of an answer, token by token.
class answer_text {
 public:
  /// Of a request.
  answer_text(const openai_request& request, const tokenizer& words)
      : decoder_(words), until_(request.stop), lists_(request.options.log_probabilities) {}
  /// What a token adds to it.
  answer_piece next(const chosen_token& one) {
    answer_piece piece{until_.next(decoder_.next(one.token))};
    if (lists_) piece.tokens.push_back(one);
    return piece;
  }
  /// What waited at the end.
  answer_piece finish() {
    if (until_.stopped()) return {};
    std::string rest = until_.next(decoder_.finish());
    if (!until_.stopped()) rest += until_.finish();
    return {rest};
  }
  /// Whether a stop string was met.
  bool stopped() const { return until_.stopped(); }

 private:
  stream_decoder decoder_;
  stop_matcher until_;
  bool lists_;
};

/// Tokens that a request took.
struct token_usage {
  extent prompt = 0;     ///< read
  extent generated = 0;  ///< the token that stopped the answer is not one of them
};

/// The objects of one answer.
class openai_answer {
 public:
  using json = nlohmann::ordered_json;  ///< in the order in which OpenAI writes it

  /// @param id of the request, without its prefix
  /// @param created seconds since 1970
  openai_answer(const openai_request& request, const tokenizer& words, const std::string& id, std::int64_t created)
      : words_(words),
        chat_(request.chat),
        lists_(request.options.log_probabilities.has_value()),
        usage_(request.include_usage) {
    head_ = {
        {"id", (chat_ ? "chatcmpl-" : "cmpl-") + id}, {"object", ""}, {"created", created}, {"model", request.model}};
  }

  /// All of an answer.
  std::string whole(const answer_piece& all, const char* reason, const token_usage& took) {
    json choice{{"index", 0}};
    if (chat_)
      choice["message"] = {{"role", "assistant"}, {"content", all.text}, {"refusal", nullptr}};
    else
      choice["text"] = all.text;
    choice["logprobs"] = log_probabilities(all.tokens);
    choice["finish_reason"] = reason;
    json found = with(chat_ ? "chat.completion" : "text_completion", std::move(choice));
    found["usage"] = usage(took);
    return text(found);
  }
  /// What a stream begins with, perhaps nothing.
  std::string opening() {
    return chat_ ? chunk({{"role", "assistant"}, {"content", ""}}, "", {}, nullptr) : std::string();
  }
  /// A piece of a stream, nothing where it has nothing to tell.
  std::string next(const answer_piece& piece) {
    if (piece.text.empty() && piece.tokens.empty()) return "";
    return chunk({{"content", piece.text}}, piece.text, piece.tokens, nullptr);
  }
  /// What a stream ends with.
  std::string ending(const char* reason, const token_usage& took) {
    std::string found = chunk(json::object(), "", {}, reason);
    if (usage_) {
      json last = with(stream_object(), {});
      last["choices"] = json::array();
      last["usage"] = usage(took);
      found += event(text(last));
    }
    return found + event("[DONE]");
  }
  /// A server-sent event.
  static std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

 private:
  const char* stream_object() const { return chat_ ? "chat.completion.chunk" : "text_completion"; }
  json with(const char* object, json choice) const {
    json found = head_;
    found["object"] = object;
    found["choices"] = json::array({std::move(choice)});
    return found;
  }
  std::string chunk(json delta, const std::string& shown, const std::vector<chosen_token>& tokens, json reason) {
    json choice{{"index", 0}};
    if (chat_)
      choice["delta"] = std::move(delta);
    else
      choice["text"] = shown;
    choice["logprobs"] = tokens.empty() ? json() : log_probabilities(tokens);
    choice["finish_reason"] = std::move(reason);
    return event(text(with(stream_object(), std::move(choice))));
  }
  static json usage(const token_usage& took) {
    return {{"prompt_tokens", took.prompt},
            {"completion_tokens", took.generated},
            {"total_tokens", took.prompt + took.generated}};
  }
  // Model names come from folders, which need not be UTF-8.
  static std::string text(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }
  std::string word(token_id token) const { return words_.decode({{token}}); }

  json log_probabilities(const std::vector<chosen_token>& tokens) {
    if (!lists_) return nullptr;
    return chat_ ? of_chat(tokens) : of_completion(tokens);
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
  json of_completion(const std::vector<chosen_token>& tokens) {
    json names = json::array(), values = json::array(), tops = json::array(), offsets = json::array();
    for (const chosen_token& one : tokens) {
      const std::string name = word(one.token);
      json top = json::object();
      for (const scored_token& other : one.log_probabilities->top) top[word(other.token)] = other.log_probability;
      top[name] = one.log_probabilities->chosen;  // which OpenAI lists too, though it be unlikely
      names.push_back(name), values.push_back(one.log_probabilities->chosen), tops.push_back(std::move(top));
      offsets.push_back(offset_);
      for (const char c : name) offset_ += (c & 0xC0) != 0x80;  // characters
    }
    return {{"tokens", names}, {"token_logprobs", values}, {"top_logprobs", tops}, {"text_offset", offsets}};
  }

  const tokenizer& words_;
  bool chat_, lists_, usage_;
  json head_;
  extent offset_ = 0;  // of the next token's text, in characters
};

}  // namespace iapt
