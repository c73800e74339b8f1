// SPDX-License-Identifier: Apache-2.0
// A hash that tells contents apart. It is not cryptographic: contents can be chosen so that they collide.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace iapt {

/// A 64-bit hash of a sequence of bytes.
/// @par Source Fowler, Noll and Vo: FNV-1a
class fnv1a {
 public:
  /// Appends bytes.
  void add(std::span<const std::byte> bytes) {
    for (const std::byte one : bytes) hash_ = (hash_ ^ std::uint64_t(one)) * 0x100000001b3u;
  }
  /// Appends the bytes of a value.
  template <class T>
  requires(std::is_trivially_copyable_v<T>) void add(const T& value) { add(std::as_bytes(std::span(&value, 1))); }
  /// The hash of the bytes so far, as 16 hexadecimal digits.
  std::string text() const {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) text += digits[hash_ >> shift & 15];
    return text;
  }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace iapt
