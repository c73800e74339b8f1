// SPDX-License-Identifier: Apache-2.0
// HTTP answers as bytes.
#pragma once
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/status.hpp>
#include <string>

#include "http_message.hpp"

namespace program {

/// The head of an answer, without the empty line after it.
/// @param status HTTP status
/// @param type content type; empty if there is no body
/// @param fields other fields
inline std::string http_head(int status, const std::string& type, const http_fields& fields) {
  namespace http = boost::beast::http;
  const auto reason = http::obsolete_reason(http::int_to_status(unsigned(status)));
  std::string text = "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason.data(), reason.size()) + "\r\n";
  if (!type.empty()) text += "Content-Type: " + type + "\r\n";
  for (const auto& [name, value] : fields.all()) text += name + ": " + value + "\r\n";
  return text;
}

/// A part of an answer as a chunk; no chunk if it is empty. The last part is followed by the end of the chunks.
inline std::string http_chunk(const http_part& part) {
  namespace http = boost::beast::http;
  using boost::beast::buffers_to_string;
  std::string text;
  if (!part.text.empty()) text = buffers_to_string(http::make_chunk(boost::asio::buffer(part.text)));
  if (part.last) text += buffers_to_string(http::make_chunk_last());
  return text;
}

}  // namespace program
