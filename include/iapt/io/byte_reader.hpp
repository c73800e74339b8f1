// SPDX-License-Identifier: Apache-2.0
// Reads the bytes of a file in order, and never outside them.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "iapt/io/failure.hpp"

namespace iapt {

static_assert(std::endian::native == std::endian::little,
              "the file formats are little-endian, and so are their readers");

/// Reads numbers and texts one after another. An item that would end after the last byte is an error; no memory is
/// allocated for it before. The bytes and the file's name must outlive the reader.
class byte_reader {
 public:
  /// Starts at the first byte.
  byte_reader(std::span<const std::byte> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  /// Offset of the next byte.
  std::uint64_t offset() const { return offset_; }
  /// Number of bytes that are left.
  std::uint64_t remaining() const { return bytes_.size() - offset_; }
  /// Refuses the file, with the offset of the next byte.
  /// @throws io_error always
  [[noreturn]] void refuse(const std::string& reason) const { refuse_file(file_, offset_, reason); }

  /// Takes the next bytes; `what` names them in messages.
  /// @throws io_error if the file ends before that
  std::span<const std::byte> take(std::uint64_t size, std::string_view what) {
    if (size > remaining())
      refuse(std::string(what) + " takes " + std::to_string(size) + " bytes, but only " + std::to_string(remaining()) +
             " are left; was the file cut off?");
    const auto part = bytes_.subspan(offset_, size);
    offset_ += size;
    return part;
  }
  /// Reads a number.
  /// @throws io_error if the file ends before that
  template <class T>
  requires std::is_arithmetic_v<T> T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  /// Reads the number of items that follow, each of at least `smallest` bytes (not zero).
  /// @throws io_error if the rest of the file is too short for them
  std::uint64_t count(std::uint64_t smallest, std::string_view what) {
    const std::uint64_t start = offset_, value = number<std::uint64_t>(what);
    if (value > remaining() / smallest)
      refuse_file(file_, start,
                  std::string(what).append(" says ").append(std::to_string(value)).append(", but only ") +
                      std::to_string(remaining()) + " bytes follow; the file is damaged");
    return value;
  }
  /// Reads a text after its length in 64 bits.
  /// @throws io_error if the file ends before that
  std::string_view text(std::string_view what) {
    const auto bytes = take(number<std::uint64_t>(what), what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view file_;
  std::uint64_t offset_ = 0;
};

}  // namespace iapt
