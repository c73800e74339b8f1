// SPDX-License-Identifier: Apache-2.0
// Answers of HTTP as bytes.
#pragma once
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/status.hpp>
#include <string>

#include "http_message.hpp"

namespace program {

/// The head of an answer, without the empty line behind it.
/// @param status of HTTP
/// @param type of the body; empty where there is none
/// @param fields beside it
inline std::string http_head(int status, const std::string& type, const http_fields& fields) {
  namespace http = boost::beast::http;
  const auto reason = http::obsolete_reason(http::int_to_status(unsigned(status)));
  std::string text = "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason.data(), reason.size()) + "\r\n";
  if (!type.empty()) text += "Content-Type: " + type + "\r\n";
  for (const auto& [name, value] : fields.all()) text += name + ": " + value + "\r\n";
  return text;
}

/// A part of an answer as a chunk, nothing where it is empty, and what ends the answer behind the last one.
inline std::string http_chunk(const http_part& part) {
  namespace http = boost::beast::http;
  using boost::beast::buffers_to_string;
  std::string text;
  if (!part.text.empty()) text = buffers_to_string(http::make_chunk(boost::asio::buffer(part.text)));
  if (part.last) text += buffers_to_string(http::make_chunk_last());
  return text;
}

}  // namespace program
