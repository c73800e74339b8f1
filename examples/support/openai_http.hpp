// SPDX-License-Identifier: Apache-2.0
// Errors and answers of OpenAI's API over HTTP.
#pragma once
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "answer_channel.hpp"
#include "http_server.hpp"

namespace program {

/// The error that a client gets for an exception. Only the messages of openai_error and http_error go to the client:
/// others may name files of the server, so they go to the log.
inline iapt::openai_error refusal_of(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const iapt::openai_error& refusal) { return refusal; } catch (const http_error& refusal) {
    return {refusal.status, refusal.what()};
  } catch (const std::exception& failure) {
    std::cerr << "iapt: a request failed: " + std::string(failure.what()) + "\n";
    return {500, "the server failed on this request; its log says why"};
  }
}
/// The HTTP answer with this error.
inline http_answer refuse(std::exception_ptr thrown) {
  const iapt::openai_error refusal = refusal_of(thrown);
  http_answer answer{.status = refusal.status, .body = refusal.body()};
  if (refusal.status == 401) answer.fields.add("WWW-Authenticate", "Bearer");
  if (refusal.status == 429) answer.fields.add("Retry-After", "1");
  try {
    std::rethrow_exception(thrown);
  } catch (const http_error& failure) {
    if (!failure.allow.empty()) answer.fields.add("Allow", failure.allow);
  } catch (...) {}  // no further fields
  return answer;
}

/// Rejects a body by its header fields.
/// @throws http_error if it is a form, or compressed
inline void check_body(const http_request& from) {
  constexpr std::string_view form = "multipart/form-data";
  if (same_name(from.fields.value("Content-Type").substr(0, form.size()), form))
    throw http_error(415, "the body must be JSON");
  if (const auto packed = from.fields.value("Content-Encoding"); !packed.empty() && !same_name(packed, "identity"))
    throw http_error(415, "the body must not be packed: no Content-Encoding is known");
}

/// OpenAI's name of a finish reason.
/// @throws iapt::openai_error if the answer is not usable
inline const char* require_answer(iapt::finish_reason why, const http_exchange& exchange) {
  if (why == iapt::finish_reason::stop) return "stop";
  if (why == iapt::finish_reason::length) return "length";
  if (why == iapt::finish_reason::failed)
    throw iapt::openai_error(500, "the answer cannot be computed: its numbers are not finite, or the device failed");
  if (!exchange.is_open()) throw iapt::openai_error(499, "the client has left");  // as other servers count it
  throw iapt::openai_error(503, "the time for this request is over", "", "timeout");
}

/// Writes the answers to an HTTP request.
class openai_response : public std::enable_shared_from_this<openai_response> {
 public:
  /// @param exchange the request's exchange
  /// @param asked the request
  /// @param shape formats the JSON objects
  /// @param prompt number of tokens of the prompts
  openai_response(std::shared_ptr<http_exchange> exchange, const iapt::openai_request& asked,
                  const iapt::tokenizer& words, iapt::openai_answer shape, iapt::index_t prompt)
      : exchange_(std::move(exchange)),
        channel_(asked, words),
        shape_(std::move(shape)),
        stream_(asked.stream),
        prompt_(prompt) {}

  /// Whether the client still waits for more.
  bool is_open() const { return exchange_->is_open() && !channel_.failed(); }
  /// Adds a token of an answer's prompt.
  void read(std::size_t index, const iapt::chosen_token& one) { channel_.read(index, one); }
  /// Adds a token of an answer. Returns whether the answer continues.
  bool put(std::size_t index, const iapt::chosen_token& one) {
    const bool goes_on = channel_.put(index, one);
    if (stream_) exchange_->wake();
    return goes_on;
  }
  /// Ends an answer.
  void end(std::size_t index, iapt::finish_reason why) {
    const bool last = channel_.end(index, why);
    if (stream_)
      exchange_->wake();
    else if (last)
      exchange_->run([own = shared_from_this()] { own->exchange_->answer({.body = own->whole()}); });
  }
  /// Starts a stream if the request asks for one. To be called after the requests were submitted. A failure before the
  /// first token is reported by the status, a later one by an error that ends the stream.
  void begin() {
    if (stream_) exchange_->stream("text/event-stream", [own = shared_from_this()] { return own->next(); });
  }

 private:
  // The piece of an answer's news.
  iapt::answer_piece piece_of(answer_channel::news& news) const {
    // If one answer has failed, the others end for that reason.
    if (channel_.failed()) require_answer(iapt::finish_reason::failed, *exchange_);
    if (news.end) news.piece.reason = require_answer(*news.end, *exchange_);
    return std::move(news.piece);
  }
  std::string whole() {
    std::vector<iapt::answer_piece> all(shape_.answers());
    while (!channel_.done())
      for (auto& one : channel_.take()) all[one.index].append(piece_of(one));
    return shape_.whole(all, {.prompt = prompt_, .generated = channel_.tokens()});
  }
  http_part next() {
    auto news = channel_.take();
    http_part part{.text = {}, .last = channel_.done()};
    if (news.empty() && !part.last) return part;
    if (!begun_) part.text = shape_.opening();
    try {
      for (auto& one : news) part.text += shape_.next(one.index, piece_of(one));
      if (part.last) part.text += shape_.ending({.prompt = prompt_, .generated = channel_.tokens()});
    } catch (...) {
      if (!begun_) throw;
      part.text += iapt::openai_answer::event(refusal_of(std::current_exception()).body());
      part.last = true;
    }
    begun_ = true;
    return part;
  }

  std::shared_ptr<http_exchange> exchange_;
  answer_channel channel_;
  iapt::openai_answer shape_;
  bool stream_;
  iapt::index_t prompt_;
  bool begun_ = false;  // whether a part of the stream was returned
};

}  // namespace program
