// SPDX-License-Identifier: Apache-2.0
// Bodies, refusals and answers of OpenAI's interface on connections of HTTP.
#pragma once
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "answer_channel.hpp"
#include "connection.hpp"

namespace program {

inline constexpr const char* no_page = "there is no such page";

/// Answers with an error.
inline void refuse(httplib::Response& to, const iapt::openai_error& refusal) {
  to.status = refusal.status;
  to.set_content(refusal.body(), "application/json");
}
/// Gives what the HTTP library refuses by itself OpenAI's shape.
inline void refuse_as_library(const httplib::Request&, httplib::Response& to) {
  if (!to.body.empty()) return;
  refuse(to, {to.status, to.status == 404   ? no_page
                         : to.status == 413 ? "the body is too large"
                                            : "the request cannot be read"});
}
/// What a client is told of something that was thrown.
inline iapt::openai_error refusal_of(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const iapt::openai_error& refusal) { return refusal; } catch (const std::exception& failure) {
    return {500, failure.what()};
  }
}
/// Answers with what a handler has thrown.
inline void refuse_as_thrown(const httplib::Request&, httplib::Response& to, std::exception_ptr thrown) {
  refuse(to, refusal_of(thrown));
}

/// All of a body, after which the next request may follow on the same connection. What counts is its length when it is
/// unpacked, which no header tells.
/// @throws iapt::openai_error if it is longer than `most` bytes, or a form
inline std::string read_body(const httplib::Request& from, const httplib::Response& to,
                             const httplib::ContentReader& body, std::size_t most) {
  if (from.is_multipart_form_data()) throw iapt::openai_error(415, "the body must be JSON");
  std::string all;
  bool fits = true;
  const bool whole = body([&](const char* data, std::size_t size) {
    if ((fits = size <= most - all.size())) all.append(data, size);
    return fits;
  });
  if (!fits || to.status == 413)
    throw iapt::openai_error(413, "the body is larger than " + std::to_string(most) + " bytes");
  if (!whole) throw iapt::openai_error(400, "the body cannot be read");
  connection::here().whole();
  return all;
}

/// OpenAI's word for an end.
/// @throws iapt::openai_error if it is none
inline const char* require_answer(iapt::finish_reason why) {
  if (why == iapt::finish_reason::stop) return "stop";
  if (why == iapt::finish_reason::length) return "length";
  if (why == iapt::finish_reason::cancelled)
    throw iapt::openai_error(503, "the time for this request is over", "", "timeout");
  throw iapt::openai_error(500, "the answer cannot be computed: its numbers are not finite, or the device failed");
}

/// What comes next of the answers, while nothing is written yet: so a client that leaves, perhaps while its request
/// waits, is noticed here, and gives its place to another.
/// @throws iapt::openai_error if the client has left
inline std::vector<answer_channel::news> next_news(answer_channel& channel) {
  for (;;) {
    if (connection::here().gone())
      throw iapt::openai_error(499, "the client has left");  // the status by which others count it, too
    if (auto news = channel.take(moment); !news.empty()) return news;
  }
}

/// The piece in some news.
/// @throws iapt::openai_error if its answer has failed
inline iapt::answer_piece piece_of(answer_channel::news& news) {
  if (news.end) news.piece.reason = require_answer(*news.end);
  return std::move(news.piece);
}

/// All answers, once they have come.
/// @param prompt tokens of the prompts
/// @throws iapt::openai_error if one has failed, or the client has left
inline std::string whole_answer(iapt::openai_answer& shape, iapt::extent prompt, answer_channel& channel) {
  std::vector<iapt::answer_piece> all(shape.answers());
  while (!channel.done())
    for (auto& one : next_news(channel)) all[one.index].append(piece_of(one));
  return shape.whole(all, {.prompt = prompt, .generated = channel.tokens()});
}

/// Writes answers as they come: the connection calls back until they have ended, so that it is noticed when the client
/// has gone. What fails before the first token is told by the status, later by an error that ends the stream.
/// @param shape of the objects
/// @param prompt tokens of the prompts
/// @param channel kept until all is written
/// @throws iapt::openai_error if one has failed before anything came, or the client has left
inline void stream_answer(httplib::Response& to, std::shared_ptr<iapt::openai_answer> shape, iapt::extent prompt,
                          std::shared_ptr<answer_channel> channel) {
  std::string first = shape->opening();
  for (auto& one : next_news(*channel)) first += shape->next(one.index, piece_of(one));
  const auto next = [=, text = std::move(first)](std::size_t, httplib::DataSink& sink) mutable {
    bool ends = channel->done();
    try {
      if (text.empty() && !ends) {
        for (auto& one : channel->take(moment)) text += shape->next(one.index, piece_of(one));
        ends = channel->done();
      }
      if (ends) text += shape->ending({.prompt = prompt, .generated = channel->tokens()});
    } catch (...) {  // nobody else would catch it
      text += iapt::openai_answer::event(refusal_of(std::current_exception()).body()), ends = true;
    }
    const std::string part = std::exchange(text, {});
    if (!sink.is_writable() || !(part.empty() || sink.write(part.data(), part.size()))) return false;
    if (ends) sink.done();
    return true;
  };
  to.set_chunked_content_provider("text/event-stream", next);
}

}  // namespace program
