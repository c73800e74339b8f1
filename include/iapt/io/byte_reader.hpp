// SPDX-License-Identifier: Apache-2.0
// A cursor over the bytes of a file that never steps outside them.
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

/// Reads numbers and texts one after another. Whatever would end behind the last byte is an error, before any memory is
/// taken for it. The bytes and the name of the file must outlive the reader.
class byte_reader {
 public:
  /// Begins at the first byte.
  byte_reader(std::span<const std::byte> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  /// Position of the next byte.
  std::uint64_t offset() const { return offset_; }
  /// Bytes from there to the end.
  std::uint64_t remaining() const { return bytes_.size() - offset_; }
  /// Gives up at the current position.
  /// @throws io_error always
  [[noreturn]] void refuse(const std::string& reason) const { refuse_file(file_, offset_, reason); }

  /// The next bytes; `what` names them in the message.
  /// @throws io_error if the file ends before
  std::span<const std::byte> take(std::uint64_t size, std::string_view what) {
    if (size > remaining())
      refuse(std::string(what) + " takes " + std::to_string(size) + " bytes, but only " + std::to_string(remaining()) +
             " are left; was the file cut off?");
    const auto part = bytes_.subspan(offset_, size);
    offset_ += size;
    return part;
  }
  /// A number.
  /// @throws io_error if the file ends before
  template <class T>
  requires std::is_arithmetic_v<T> T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  /// A number of things that follow, each of which takes at least `smallest` bytes (not zero).
  /// @throws io_error if so many cannot follow
  std::uint64_t count(std::uint64_t smallest, std::string_view what) {
    const std::uint64_t start = offset_, value = number<std::uint64_t>(what);
    if (value > remaining() / smallest)
      refuse_file(file_, start,
                  std::string(what).append(" says ").append(std::to_string(value)).append(", but only ") +
                      std::to_string(remaining()) + " bytes follow; the file is damaged");
    return value;
  }
  /// A text preceded by its length in 64 bits.
  /// @throws io_error if the file ends before
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
