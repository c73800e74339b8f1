// SPDX-License-Identifier: Apache-2.0
// Bodies, refusals and answers of OpenAI's interface on connections of HTTP.
#pragma once
#include <exception>
#include <memory>
#include <string>
#include <utility>

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
/// Answers with what a handler has thrown.
inline void refuse_as_thrown(const httplib::Request&, httplib::Response& to, std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const iapt::openai_error& refusal) { refuse(to, refusal); } catch (const std::exception& failure) {
    refuse(to, {500, failure.what()});
  }
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

/// The first that comes of an answer, for which the status is still open. Until then nothing is written, so the
/// connection is looked at: a client that leaves while its request waits gives its place to another.
/// @throws iapt::openai_error if the client has left
inline answer_channel::news first_news(answer_channel& channel) {
  for (;;) {
    auto first = channel.take(moment);
    if (first.tokens > 0 || first.end) return first;
    if (!connection::here().gone()) continue;
    channel.leave();
    throw iapt::openai_error(499, "the client has left");  // the status by which others count it, too
  }
}

/// Writes an answer as it comes: the connection calls back until it has ended, so that it is noticed when the client
/// has gone. Until the first token has come the status is open, so what fails by then is told by it; later a stream
/// ends with an error, and a whole answer is broken off.
/// @param shape of the answer's objects
/// @param first what has come
/// @param held until all is written
inline void write_answer(httplib::Response& to, std::shared_ptr<iapt::openai_answer> shape, bool stream,
                         iapt::extent prompt, std::shared_ptr<answer_channel> channel, answer_channel::news first,
                         std::shared_ptr<void> held) {
  auto next = [=, all = iapt::answer_piece(), news = std::move(first), begun = false](std::size_t,
                                                                                      httplib::DataSink& sink) mutable {
    const auto send = [&](const std::string& part) { return part.empty() || sink.write(part.data(), part.size()); };
    if (begun) news = channel->take(moment);
    if (!sink.is_writable()) return false;
    if (stream && !begun && !send(shape->opening())) return false;
    begun = true;
    if (stream && !send(shape->next(news.piece))) return false;
    if (!stream) all.append(std::move(news.piece));
    if (!news.end) return true;
    const iapt::token_usage took{.prompt = prompt, .generated = news.tokens};
    try {
      const char* reason = require_answer(*news.end);
      if (!send(stream ? shape->ending(reason, took) : shape->whole(all, reason, took))) return false;
    } catch (const iapt::openai_error& failure) {
      if (!stream || !send(iapt::openai_answer::event(failure.body()))) return false;
    }
    sink.done();
    return true;
  };
  to.set_chunked_content_provider(stream ? "text/event-stream" : "application/json", std::move(next),
                                  [channel, held = std::move(held)](bool) { channel->leave(); });
}

}  // namespace program
