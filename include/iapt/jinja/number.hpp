// SPDX-License-Identifier: Apache-2.0
// Numbers as Python reads, prints and compares them.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "iapt/jinja/unicode_case.hpp"
#include "iapt/jinja/value.hpp"

namespace iapt::jinja::detail {

[[noreturn]] inline void refuse_overflow() {
  throw refusal("an integer does not fit into 64 bits; this interpreter has no larger ones");
}

// repr() of a float: the shortest digits that read back as the same number.
inline std::string float_text(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific).ptr;
  const std::string_view shown(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = shown.find('e');
  int exponent = 0;
  std::from_chars(shown.data() + e + 2, end, exponent);  // behind the sign, which it does not read
  if (shown[e + 1] == '-') exponent = -exponent;
  std::string digits(shown.substr(0, e));
  const std::string sign = digits.front() == '-' ? "-" : "";
  std::erase_if(digits, [](char c) { return c == '-' || c == '.'; });
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    if (count > 1) digits.insert(1, ".");
    const std::string size = std::to_string(std::abs(exponent));
    return sign + digits + (exponent < 0 ? "e-" : "e+") + (size.size() < 2 ? "0" : "") + size;
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1)
    return sign + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  return sign + digits.insert(static_cast<std::size_t>(exponent + 1), ".");
}

// The text without white space around it, as bytes.
inline std::string_view stripped(std::string_view t) {
  while (!t.empty()) {
    const auto s = utf8::next(t);
    if (!is_space(s.code_point)) break;
    t.remove_prefix(s.size);
  }
  while (!t.empty()) {
    const std::size_t last = utf8::last_begin(t);
    if (!is_space(utf8::next(t.substr(last)).code_point)) break;
    t = t.substr(0, last);
  }
  return t;
}

// Digits with single underscores between them, without these; nothing if they stand elsewhere.
inline std::optional<std::string> without_underscores(std::string_view t) {
  std::string out;
  const auto is_digit_at = [&](std::size_t i) {
    return i < t.size() && std::string_view("0123456789abcdefABCDEF").find(t[i]) != std::string_view::npos;
  };
  for (std::size_t i = 0; i < t.size(); ++i) {
    if (t[i] != '_')
      out += t[i];
    else if (i == 0 || !is_digit_at(i - 1) || !is_digit_at(i + 1))
      return std::nullopt;
  }
  return out;
}

// int(text, base); nothing if it is no integer.
inline std::optional<std::int64_t> parse_int(std::string_view given, std::int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) throw refusal("int(): the base must be 0 or from 2 to 36");
  std::string_view t = stripped(given);
  const bool negative = t.starts_with('-');
  if (negative || t.starts_with('+')) t.remove_prefix(1);
  bool prefixed = false;
  const auto take_prefix = [&](char letter, std::int64_t its_base) {
    if (prefixed || t.size() < 3 || t[0] != '0' || (t[1] | 0x20) != letter || (base != 0 && base != its_base)) return;
    t.remove_prefix(t[2] == '_' ? 3 : 2);
    base = its_base;
    prefixed = true;
  };
  take_prefix('x', 16), take_prefix('o', 8), take_prefix('b', 2);
  if (base == 0) {
    if (t.starts_with('0') && t.find_first_not_of("0_") != t.npos) return std::nullopt;
    base = 10;
  }
  const auto clean = without_underscores(t);
  if (!clean || clean->empty()) return std::nullopt;
  std::uint64_t magnitude = 0;
  const auto end = clean->data() + clean->size();
  const auto read = std::from_chars(clean->data(), end, magnitude, static_cast<int>(base));
  if (read.ptr != end) return std::nullopt;
  constexpr std::uint64_t most = std::uint64_t{1} << 63;
  if (read.ec != std::errc() || magnitude > most || (magnitude == most && !negative)) refuse_overflow();
  return static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
}

// float(text); nothing if it is no number.
inline std::optional<double> parse_float(std::string_view given) {
  auto clean = without_underscores(stripped(given));
  if (!clean) return std::nullopt;
  std::string_view t = *clean;
  const bool negative = t.starts_with('-');
  if (negative || t.starts_with('+')) t.remove_prefix(1);
  std::string lowered(t);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; });
  double d = 0;
  if (lowered == "inf" || lowered == "infinity") {
    d = HUGE_VAL;
  } else if (lowered == "nan") {
    d = std::nan("");
  } else {
    if (lowered.empty() || lowered.find_first_not_of("0123456789.e+-") != lowered.npos) return std::nullopt;
    const auto end = lowered.data() + lowered.size();
    const auto read = std::from_chars(lowered.data(), end, d);
    if (read.ptr != end || lowered.front() == '-' || lowered.front() == '+') return std::nullopt;
    // Out of range: it is far too large or far too small.
    if (read.ec == std::errc::result_out_of_range) d = std::strtod(lowered.c_str(), nullptr);
  }
  return negative ? -d : d;
}

// The int that a number or a bool is.
inline std::optional<std::int64_t> as_int(const value& v) {
  if (const auto* i = v.as<std::int64_t>()) return *i;
  if (const bool* b = v.as<bool>()) return *b;
  return std::nullopt;
}
// The number as a float.
inline std::optional<double> as_float(const value& v) {
  if (const double* d = v.as<double>()) return *d;
  if (const auto i = as_int(v)) return static_cast<double>(*i);
  return std::nullopt;
}

// The int below a float, if there is one of 64 bits.
inline std::int64_t to_int(double d) {
  if (std::isnan(d) || std::isinf(d)) throw refusal("a float that is not finite cannot become an integer");
  if (d < -9223372036854775808.0 || d >= 9223372036854775808.0) refuse_overflow();
  return static_cast<std::int64_t>(d);
}

// Exact comparison: large ints are not rounded to floats.
inline std::partial_ordering compare_numbers(const value& a, const value& b) {
  const auto i = as_int(a), j = as_int(b);
  if (i && j) return *i <=> *j;
  if (!i && !j) return *a.as<double>() <=> *b.as<double>();
  if (!i) return 0 <=> compare_numbers(b, a);
  const double d = *b.as<double>();
  if (std::isnan(d)) return std::partial_ordering::unordered;
  if (d >= 9223372036854775808.0) return std::partial_ordering::less;
  if (d < -9223372036854775808.0) return std::partial_ordering::greater;
  const double whole = std::floor(d);
  const auto below = static_cast<std::int64_t>(whole);
  if (*i != below) return *i <=> below;
  return whole <=> d;
}

}  // namespace iapt::jinja::detail
