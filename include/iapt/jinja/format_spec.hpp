// SPDX-License-Identifier: Apache-2.0
// How one value is laid out: width, alignment, digits. Shared by Python's two ways to format.
#pragma once
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/compare.hpp"

namespace iapt::jinja::detail {

// How one value is laid out.
struct format_spec {
  std::string fill = " ";
  mark fill_mark = {};  // who wrote the fill
  char align = 0;       // < > ^ = or 0: as the type wants it
  char sign = '-';      // + or a space: also for numbers that are not negative
  char type = 0;        // such as d or f; 0: as str()
  bool alternate = false, zeros = false, commas = false;
  std::size_t width = 0;
  std::optional<int> precision = {};
};

// Reads decimal digits at `at`.
inline std::optional<std::size_t> read_size(std::string_view t, std::size_t& at) {
  std::size_t n = 0;
  const auto read = std::from_chars(t.data() + std::min(at, t.size()), t.data() + t.size(), n);
  if (read.ec == std::errc::invalid_argument) return std::nullopt;
  if (read.ec != std::errc() || n > (std::size_t{1} << 40))
    throw refusal("a width or a precision of a format is too large");
  at = static_cast<std::size_t>(read.ptr - t.data());
  return n;
}
inline std::optional<int> read_precision(std::string_view t, std::size_t& at) {
  const auto n = read_size(t, at);
  if (n && *n > 1000) throw refusal("a precision of a format is larger than 1000");
  return n ? std::optional(static_cast<int>(*n)) : std::nullopt;
}

inline std::string int_digits(std::uint64_t magnitude, int base, bool upper) {
  char buffer[65];
  std::string out(buffer, std::to_chars(buffer, buffer + sizeof buffer, magnitude, base).ptr);
  if (upper)
    for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}
// A float's digits without sign, as %f, %e or %g.
inline std::string float_digits(double d, char type, int precision) {
  d = std::fabs(d);
  const char kind = static_cast<char>(type | 0x20);
  std::string out;
  if (std::isnan(d) || std::isinf(d)) {
    out = std::isnan(d) ? "nan" : "inf";
  } else {
    const auto format = kind == 'f'   ? std::chars_format::fixed
                        : kind == 'e' ? std::chars_format::scientific
                                      : std::chars_format::general;
    std::string buffer(static_cast<std::size_t>(precision) + 400, '\0');
    out.assign(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), d, format, precision).ptr);
  }
  if (type < 'a')
    for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

// Appends `body` in its width. `sign` is what zeros are put after.
inline void append_padded(runtime& rt, text_builder& out, const format_spec& spec, const std::string& sign,
                          const marked_text& body, char align) {
  const std::size_t size = length_of(rt, body) + sign.size();
  const std::size_t room = spec.width > size ? spec.width - size : 0;
  const std::size_t before = align == '>' ? room : align == '^' ? room / 2 : 0;
  if (align != '=') out.pad(before, spec.fill, spec.fill_mark);
  out.literal(sign);
  if (align == '=') out.pad(room, spec.fill, spec.fill_mark);
  out.append(body);
  if (align == '<' || align == '^') out.pad(room - before, spec.fill, spec.fill_mark);
}
inline void append_number(runtime& rt, text_builder& out, const format_spec& spec, bool negative, std::string digits) {
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  if (spec.commas) {
    std::size_t whole = digits.find_first_not_of("0123456789");
    if (whole == digits.npos) whole = digits.size();
    for (std::size_t at = whole; at > 3; at -= 3) digits.insert(at - 3, ",");
    if (spec.zeros) throw refusal("a format with commas and leading zeros is not supported");
  }
  format_spec padded = spec;
  if (spec.zeros) padded.fill = "0", padded.fill_mark = {};
  append_padded(rt, out, padded, sign, marked_text(digits, {}), spec.zeros ? '=' : spec.align ? spec.align : '>');
}
// Appends a number by a type of d, x, X, o, b, e, f, g (and their capitals) or %.
inline void append_typed(runtime& rt, text_builder& out, const format_spec& spec, const value& v) {
  if (!is_number(v))
    throw refusal(std::string("the format ") + spec.type + " needs a number, not a value of type " + type_name(v));
  if (std::string_view("dxXob").find(spec.type) != std::string_view::npos) {
    const auto i = as_int(v);
    if (!i) throw refusal(std::string("the format ") + spec.type + " needs an integer, not a float");
    const bool upper = spec.type == 'X';
    const int base = spec.type == 'd' ? 10 : spec.type == 'o' ? 8 : spec.type == 'b' ? 2 : 16;
    const auto magnitude = *i < 0 ? 0 - static_cast<std::uint64_t>(*i) : static_cast<std::uint64_t>(*i);
    return append_number(rt, out, spec, *i < 0, int_digits(magnitude, base, upper));
  }
  double d = *as_float(v);
  std::string end;
  char type = spec.type;
  if (type == '%') d *= 100, type = 'f', end = "%";
  append_number(rt, out, spec, std::signbit(d) && !std::isnan(d),
                float_digits(d, type, spec.precision.value_or(6)) + end);
}

// The first characters of a text.
inline marked_text first_characters(const marked_text& t, std::size_t n) {
  std::size_t end = 0;
  for_each_character(
      t.bytes(), [&](char32_t, std::size_t begin, std::size_t size) { return n-- > 0 && (end = begin + size, true); });
  return t.substr(0, end);
}
inline void append_as_text(runtime& rt, text_builder& out, const format_spec& spec, const marked_text& t) {
  const auto shown = spec.precision ? first_characters(t, static_cast<std::size_t>(*spec.precision)) : t;
  append_padded(rt, out, spec, "", shown, spec.align ? spec.align : '<');
}

}  // namespace iapt::jinja::detail
