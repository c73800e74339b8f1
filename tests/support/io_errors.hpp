// SPDX-License-Identifier: Apache-2.0
// For tests of readers: bytes of damaged files, and the message that each earns.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "iapt/core/error.hpp"

namespace iapt::test {

/// Appends numbers as they lie in little-endian files.
class byte_string : public std::string {
 public:
  using std::string::string;
  /// A number.
  template <class T>
  requires std::is_arithmetic_v<T> byte_string& number(T value) {
    append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  /// A text as it is.
  byte_string& raw(std::string_view text) {
    append(text);
    return *this;
  }
  /// A text preceded by its length in 64 bits.
  byte_string& text(std::string_view text) { return number(std::uint64_t(text.size())).raw(text); }
};

/// A text as bytes.
inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// The message of the io_error that a call throws; "nothing thrown" otherwise.
template <class Call>
std::string io_message(Call call) {
  try {
    call();
  } catch (const io_error& failure) { return failure.what(); }
  return "nothing thrown";
}

}  // namespace iapt::test
