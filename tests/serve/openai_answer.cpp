// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/openai_answer.hpp"

#include <array>

#include "data/byte_tokenizer.hpp"
#include "support/catch.hpp"

namespace iapt::test::serve_openai_answer {
namespace {

using json = nlohmann::json;

openai_request request_of(bool chat, const std::string& more = "") {
  return openai_request::parse((chat ? R"({"model": "m", "messages": [{"role": "user", "content": "Hi"}])"
                                     : R"({"model": "m", "prompt": "Hi")") +
                                   more + "}",
                               chat);
}
/// Bytes as the tokens of an answer, each of probability 1/2.
std::vector<chosen_token> tokens_of(const std::string& text) {
  std::vector<chosen_token> all;
  for (const char c : text) {
    const auto token = token_id(static_cast<unsigned char>(c));
    all.push_back({token, token_log_probabilities{-0.5, {{token, -0.5}, {'z', -2}}}});
  }
  return all;
}
/// The objects of a stream, behind which [DONE] must stand.
std::vector<json> events_of(const std::string& stream) {
  std::vector<json> found;
  const std::string done = "data: [DONE]\n\n";
  REQUIRE(stream.size() >= done.size());
  REQUIRE(stream.substr(stream.size() - done.size()) == done);
  for (std::size_t at = 0; at < stream.size() - done.size();) {
    const std::size_t end = stream.find("\n\n", at);
    REQUIRE(stream.substr(at, 6) == "data: ");
    found.push_back(json::parse(stream.substr(at + 6, end - at - 6)));
    at = end + 2;
  }
  return found;
}
std::string stream_of(const openai_request& request, const tokenizer& words, const std::string& text) {
  answer_text answer(request, words);
  openai_answer shape(request, words, "7", 1000);
  std::string stream = shape.opening();
  for (const auto& one : tokens_of(text)) {
    stream += shape.next(0, answer.next(one));
    if (answer.stopped()) break;
  }
  answer_piece last = answer.finish();
  last.reason = "stop";
  stream += shape.next(0, last);
  return stream + shape.ending({.prompt = 3, .generated = 4});
}

}  // namespace

TEST_CASE("openai: control tokens are not part of the text, unless asked for", "[serve]") {
  const tokenizer words = byte_tokenizer();
  for (const bool shown : {false, true}) {
    answer_text answer(request_of(false, shown ? R"(, "skip_special_tokens": false)" : ""), words);
    std::string text;
    for (const token_id token : {token_id('a'), token_id(256), token_id('b')}) text += answer.next({token, {}}).text;
    CHECK(text + answer.finish().text == (shown ? "a<|im_start|>b" : "ab"));
  }
}

TEST_CASE("openai: a prompt that is told again has log-probabilities but for its first token", "[serve]") {
  const tokenizer words = byte_tokenizer();
  const openai_request request = request_of(false, R"(, "echo": true, "logprobs": 1)");
  answer_text answer(request, words);
  answer_piece all{.text = request.opening(0, words)};
  for (const auto& one : tokens_of("Hi")) all.append(answer.read(all.tokens.empty() ? chosen_token{one.token} : one));
  for (const auto& one : tokens_of("!")) all.append(answer.next(one));
  all.append(answer.finish());
  all.reason = "length";
  const json choice =
      json::parse(openai_answer(request, words, "7", 1000).whole({all}, {.prompt = 2, .generated = 1}))["choices"][0];
  CHECK(choice["text"] == "Hi!");
  const json& told = choice["logprobs"];
  CHECK(told["tokens"] == json({"H", "i", "!"}));
  CHECK(told["token_logprobs"] == json({nullptr, -0.5, -0.5}));
  CHECK(told["top_logprobs"] == json({nullptr, {{"i", -0.5}, {"z", -2.0}}, {{"!", -0.5}, {"z", -2.0}}}));
  CHECK(told["text_offset"] == json({0, 1, 2}));

  // Two tokens of the same text, parts of characters: the likelier one is not hidden by the one that was read.
  answer_piece part;
  part.append(answer.read({0xC3, token_log_probabilities{-3, {{0xE2, -0.1}}}}));
  part.reason = "length";
  const json same =
      json::parse(openai_answer(request, words, "7", 1000).whole({part}, {.prompt = 1}))["choices"][0]["logprobs"];
  CHECK(same["token_logprobs"][0] == -3);
  CHECK(same["top_logprobs"][0] == json({{"\uFFFD", -0.1}}));
}

TEST_CASE("openai: a stream has the whole text, characters never cut, no stop string", "[serve]") {
  const tokenizer words = byte_tokenizer();
  for (const bool chat : {false, true}) {
    const auto events =
        events_of(stream_of(request_of(chat, R"(, "stop": "END", "stream": true)"), words, "Grüße ENTE END more"));
    std::string text;
    for (const json& event : events) {
      CHECK(event["object"] == (chat ? "chat.completion.chunk" : "text_completion"));
      CHECK(event["id"] == (chat ? "chatcmpl-7" : "cmpl-7"));
      CHECK(event["created"] == 1000);
      CHECK(event["model"] == "m");
      const json& choice = event["choices"][0];
      CHECK(choice["finish_reason"] == (&event == &events.back() ? json("stop") : json()));
      text += chat ? choice["delta"].value("content", "") : choice["text"].get<std::string>();
    }
    CHECK(text == "Grüße ENTE ");
    if (chat) CHECK(events[0]["choices"][0]["delta"]["role"] == "assistant");
  }
  // What never became a stop string is shown at the end.
  const auto events = events_of(stream_of(request_of(false, R"(, "stop": "END", "stream": true)"), words, "EN"));
  CHECK(events[0]["choices"][0]["text"] == "EN");
}

TEST_CASE("openai: usage ends a stream where it is asked for", "[serve]") {
  const tokenizer words = byte_tokenizer();
  const std::string more = R"(, "stream": true, "stream_options": {"include_usage": true})";
  const auto events = events_of(stream_of(request_of(true, more), words, "a"));
  CHECK(events.back()["choices"] == json::array());
  CHECK(events.back()["usage"] == json({{"prompt_tokens", 3}, {"completion_tokens", 4}, {"total_tokens", 7}}));
}

TEST_CASE("openai: whole answers, with log-probabilities in each interface's shape", "[serve]") {
  const tokenizer words = byte_tokenizer();
  const auto whole = [&](const openai_request& request, const std::string& text) {
    answer_text answer(request, words);
    answer_piece all;
    for (const auto& one : tokens_of(text)) all.append(answer.next(one));
    all.reason = "length";
    return json::parse(openai_answer(request, words, "7", 1000).whole({all}, {3, 4}));
  };
  const json plain = whole(request_of(true), "ab");
  CHECK(plain["object"] == "chat.completion");
  CHECK(plain["choices"][0]["message"] == json({{"role", "assistant"}, {"content", "ab"}, {"refusal", nullptr}}));
  CHECK(plain["choices"][0]["finish_reason"] == "length");
  CHECK(plain["choices"][0]["logprobs"].is_null());
  CHECK(plain["usage"]["total_tokens"] == 7);

  const json chat = whole(request_of(true, R"(, "logprobs": true, "top_logprobs": 2)"), "a\xC3\xBC");
  const json& content = chat["choices"][0]["logprobs"]["content"];
  REQUIRE(content.size() == 3);
  CHECK(content[0]["token"] == "a");
  CHECK(content[0]["logprob"] == -0.5);
  CHECK(content[1]["bytes"] == json({0xC3}));  // part of a character is told by its bytes
  CHECK(content[0]["top_logprobs"][1]["token"] == "z");

  const json completion = whole(request_of(false, R"(, "logprobs": 2)"), "ab");
  const json& listed = completion["choices"][0]["logprobs"];
  CHECK(completion["choices"][0]["text"] == "ab");
  CHECK(listed["tokens"] == json({"a", "b"}));
  CHECK(listed["token_logprobs"] == json({-0.5, -0.5}));
  CHECK(listed["text_offset"] == json({0, 1}));
  CHECK(listed["top_logprobs"][1] == json({{"b", -0.5}, {"z", -2}}));
}

TEST_CASE("openai: several answers are told apart by their index", "[serve]") {
  const tokenizer words = byte_tokenizer();
  for (const bool chat : {false, true}) {
    const auto request = request_of(chat, chat ? R"(, "n": 2, "logprobs": true)" : R"(, "n": 2, "logprobs": 0)");
    const std::array<std::string, 2> texts{"abc", "xy"};
    std::vector<answer_piece> all(2);
    openai_answer shape(request, words, "7", 1000), whole_shape(request, words, "7", 1000);
    std::string stream = shape.opening();
    for (std::size_t at = 0; at < 3; ++at)
      for (std::size_t i = 0; i < 2; ++i) {
        if (at >= texts[i].size()) continue;
        answer_piece piece{texts[i].substr(at, 1), tokens_of(texts[i].substr(at, 1))};
        if (at + 1 == texts[i].size()) piece.reason = i ? "stop" : "length";
        stream += shape.next(i, piece);
        all[i].append(piece);
      }
    const json whole = json::parse(whole_shape.whole(all, {3, 5}));
    REQUIRE(whole["choices"].size() == 2);
    std::array<std::string, 2> shown, reasons;
    std::array<json, 2> offsets{json::array(), json::array()};
    for (const json& event : events_of(stream + shape.ending({3, 5}))) {
      const json& choice = event["choices"][0];
      const std::size_t i = choice["index"];
      REQUIRE(i < 2);
      shown[i] += chat ? choice["delta"].value("content", "") : choice["text"].get<std::string>();
      if (choice["finish_reason"].is_string()) reasons[i] = choice["finish_reason"];
      if (!chat && choice["logprobs"].is_object()) offsets[i].push_back(choice["logprobs"]["text_offset"][0]);
    }
    CHECK(shown == texts);
    CHECK(reasons == std::array<std::string, 2>{"length", "stop"});
    for (std::size_t i = 0; i < 2; ++i) {
      const json& choice = whole["choices"][i];
      CHECK(choice["index"] == i);
      CHECK((chat ? choice["message"]["content"] : choice["text"]) == texts[i]);
      CHECK(choice["finish_reason"] == reasons[i]);
      if (!chat) CHECK(choice["logprobs"]["text_offset"] == offsets[i]);
    }
    if (!chat) CHECK(offsets[0] == json({0, 1, 2}));
  }
}

}  // namespace iapt::test::serve_openai_answer
