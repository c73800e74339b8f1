// SPDX-License-Identifier: Apache-2.0
// One metadata value of a GGUF file: checked when the file is opened, decoded when it is used.
#pragma once
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "iapt/io/byte_reader.hpp"

namespace iapt {

/// The types of metadata values, with the numbers of the format.
enum class gguf_type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// The name of a type, for messages.
constexpr std::string_view name_of(gguf_type type) {
  constexpr std::string_view names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
  return names[static_cast<int>(type)];
}

/// Number of bytes of a value of the type; for strings and arrays, the smallest number.
constexpr std::uint64_t least_size(gguf_type type) {
  constexpr std::uint64_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  return sizes[static_cast<int>(type)];
}

/// A value in a file. It refers to the file's bytes, which must outlive it.
struct gguf_value {
  gguf_type type = gguf_type::u8;         ///< its type
  gguf_type element = gguf_type::u8;      ///< type of an array's elements
  std::uint64_t count = 1;                ///< number of an array's elements
  std::span<const std::byte> bytes = {};  ///< the encoded value; of an array, its elements end to end
  std::uint64_t offset = 0;               ///< offset of these bytes in the file

  /// "u32", or "array of 3 string", for messages.
  std::string type_text() const {
    return std::string(name_of(type)) +
           (type == gguf_type::array ? " of " + std::to_string(count) + " " + std::string(name_of(element)) : "");
  }

  /// The value as T: a bool, an integer (any stored integer that fits), a float or double (either stored kind), a
  /// std::string or std::string_view, or a std::vector of one of these.
  /// @return none if it is of another kind or does not fit
  template <class T>
  std::optional<T> as() const {
    byte_reader reader(bytes, "");
    if constexpr (requires { typename T::allocator_type; } && !std::is_same_v<T, std::string>) {
      if (type != gguf_type::array) return {};
      T values;
      values.reserve(count);  // each element has at least one byte in the file
      for (std::uint64_t i = 0; i < count; ++i) {
        auto value = decode<typename T::value_type>(element, reader);
        if (!value) return {};
        values.push_back(*std::move(value));
      }
      return values;
    } else {
      return decode<T>(type, reader);
    }
  }

 private:
  template <class T>
  static std::optional<T> decode(gguf_type type, byte_reader& reader) {
    if constexpr (std::is_same_v<T, bool>) {
      if (type == gguf_type::boolean) return reader.number<std::uint8_t>("bool") != 0;
    } else if constexpr (std::integral<T>) {
      switch (type) {
        case gguf_type::u8:
          return fit<T>(reader.number<std::uint8_t>("u8"));
        case gguf_type::i8:
          return fit<T>(reader.number<std::int8_t>("i8"));
        case gguf_type::u16:
          return fit<T>(reader.number<std::uint16_t>("u16"));
        case gguf_type::i16:
          return fit<T>(reader.number<std::int16_t>("i16"));
        case gguf_type::u32:
          return fit<T>(reader.number<std::uint32_t>("u32"));
        case gguf_type::i32:
          return fit<T>(reader.number<std::int32_t>("i32"));
        case gguf_type::u64:
          return fit<T>(reader.number<std::uint64_t>("u64"));
        case gguf_type::i64:
          return fit<T>(reader.number<std::int64_t>("i64"));
        default:
          return {};
      }
    } else if constexpr (std::floating_point<T>) {
      if (type == gguf_type::f32) return static_cast<T>(reader.number<float>("f32"));
      if (type == gguf_type::f64) return static_cast<T>(reader.number<double>("f64"));
    } else {
      static_assert(std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>,
                    "no GGUF value has this type");
      if (type == gguf_type::string) return T(reader.text("string"));
    }
    return {};
  }
  template <class T, class Stored>
  static std::optional<T> fit(Stored value) {
    if (!std::in_range<T>(value)) return {};
    return static_cast<T>(value);
  }
};

/// What `gguf_value::as<T>` expects, for messages.
template <class T>
std::string gguf_expectation() {
  if constexpr (std::is_same_v<T, bool>)
    return "bool";
  else if constexpr (std::integral<T>)
    return (std::is_signed_v<T> ? "integer of " : "integer, not negative, of ") + std::to_string(8 * sizeof(T)) +
           " bits";
  else if constexpr (std::floating_point<T>)
    return "f32 or f64";
  else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>)
    return "string";
  else
    return "array of " + gguf_expectation<typename T::value_type>();
}

/// Reads the number of a type.
/// @throws io_error if GGUF has no such type
inline gguf_type read_gguf_type(byte_reader& reader, std::string_view what) {
  const byte_reader start = reader;
  const auto number = reader.number<std::uint32_t>(what);
  if (number > static_cast<std::uint32_t>(gguf_type::f64))
    start.refuse(std::string(what) + " is " + std::to_string(number) + ", which GGUF does not define");
  return static_cast<gguf_type>(number);
}

/// Reads past `count` values of a type and checks everything in them. Arrays of arrays may nest a few levels.
/// @throws io_error if the file ends before that, or they nest deeper
inline void check_gguf_values(byte_reader& reader, gguf_type type, std::uint64_t count, int level = 0) {
  constexpr int deepest = 4;
  if (type == gguf_type::string) {
    for (std::uint64_t i = 0; i < count; ++i) reader.text("metadata string");
  } else if (type == gguf_type::array) {
    if (level == deepest) reader.refuse("metadata arrays nest deeper than " + std::to_string(deepest) + " levels");
    for (std::uint64_t i = 0; i < count; ++i) {
      const gguf_type element = read_gguf_type(reader, "type of array elements");
      check_gguf_values(reader, element, reader.count(least_size(element), "length of array"), level + 1);
    }
  } else if (type == gguf_type::boolean) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const byte_reader start = reader;
      if (reader.number<std::uint8_t>("bool") > 1) start.refuse("a bool is neither 0 nor 1");
    }
  } else {
    if (count > reader.remaining() / least_size(type)) reader.refuse("metadata value ends behind the file");
    reader.take(count * least_size(type), "metadata value");
  }
}

/// Reads one value, its type first, without decoding it.
/// @throws io_error if anything in it is damaged
inline gguf_value read_gguf_value(byte_reader& reader, std::span<const std::byte> file) {
  gguf_value value;
  value.type = value.element = read_gguf_type(reader, "type of metadata value");
  if (value.type == gguf_type::array) {
    value.element = read_gguf_type(reader, "type of array elements");
    value.count = reader.count(least_size(value.element), "length of array");
  }
  value.offset = reader.offset();
  check_gguf_values(reader, value.element, value.count, value.type == gguf_type::array ? 1 : 0);
  value.bytes = file.subspan(value.offset, reader.offset() - value.offset);
  return value;
}

}  // namespace iapt
