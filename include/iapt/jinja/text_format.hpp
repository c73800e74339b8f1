// SPDX-License-Identifier: Apache-2.0
// Python's two ways to format: text % values, and text.format(values).
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

// ---- text % values ----
class percent_formatter {
 public:
  percent_formatter(runtime& rt, const marked_text& format, const value& values)
      : rt_(rt), format_(format), values_(values), out_(rt) {
    const list* l = values.as_list();
    if (l && l->is_tuple()) tuple_ = l;
  }
  value run() {
    const std::string& f = format_.bytes();
    for (std::size_t at = 0; at < f.size();) {
      const std::size_t percent = std::min(f.find('%', at), f.size());
      out_.append(format_, at, percent - at);
      at = percent + 1;
      if (percent < f.size()) read_field(f, at);
    }
    const list* l = values_.as_list();
    const bool may_be_left = values_.as_dict() || (l && !l->is_tuple());
    if (tuple_ ? used_ < tuple_->items().size() : used_ == 0 && !may_be_left)
      throw refusal("the format has fewer fields than there are values");
    return out_.finish();
  }

 private:
  const value& take() {
    if (tuple_ ? used_ >= tuple_->items().size() : used_ > 0)
      throw refusal("the format has more fields than there are values");
    return tuple_ ? tuple_->items()[used_++] : (++used_, values_);
  }
  void read_field(const std::string& f, std::size_t& at) {
    rt_.work();
    format_spec spec;
    const value* v = nullptr;
    if (f.compare(at, 1, "(") == 0) {
      const std::size_t close = f.find(')', at);
      const dict* d = values_.as_dict();
      if (close == f.npos || !d) throw refusal("a format with names needs a dict");
      v = d->find(std::string_view(f).substr(at + 1, close - at - 1));
      if (!v) throw refusal("the dict has no key " + f.substr(at + 1, close - at - 1) + " that the format names");
      at = close + 1;
      used_ = 1;
    }
    bool left = false;
    for (; at < f.size() && std::string_view("-+ 0#").find(f[at]) != std::string_view::npos; ++at) {
      left |= f[at] == '-';
      spec.zeros |= f[at] == '0';
      spec.alternate |= f[at] == '#';
      if (f[at] == '+' || (f[at] == ' ' && spec.sign == '-')) spec.sign = f[at];
    }
    if (const auto width = read_size(f, at)) spec.width = *width;
    if (f.compare(at, 1, ".") == 0) spec.precision = read_precision(f, ++at).value_or(0);
    if (at >= f.size()) throw refusal("the format ends inside of a field");
    spec.type = f[at++];
    if (spec.type == '%') return out_.append(format_, at - 1, 1);
    spec.align = left ? '<' : '>';
    spec.zeros &= !left;
    if (!v) v = &take();
    append(spec, *v);
  }
  void append(format_spec& spec, const value& v) {
    if (spec.type == 's') return append_as_text(rt_, out_, spec, *str(rt_, v).content);
    if (spec.type == 'r') {
      text_builder shown(rt_);
      append_repr(rt_, shown, v);
      return append_as_text(rt_, out_, spec, shown.take());
    }
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    if (spec.alternate || std::string_view("dxXoeEfFgG").find(spec.type) == std::string_view::npos ||
        (spec.precision && std::string_view("dxXo").find(spec.type) != std::string_view::npos))
      throw refusal(std::string("the format %") + (spec.alternate ? "#" : "") + spec.type + " is not supported here");
    const double* d = v.as<double>();
    append_typed(rt_, out_, spec, spec.type == 'd' && d ? value(to_int(*d)) : v);
  }

  runtime& rt_;
  const marked_text& format_;
  const value& values_;
  const list* tuple_ = nullptr;
  std::size_t used_ = 0;
  text_builder out_;
};
inline value percent_format(runtime& rt, const text& format, const value& values) {
  if (format.safe) throw refusal("% on a text that is marked as safe is not supported");
  return percent_formatter(rt, *format.content, values).run();
}

// ---- text.format(values) ----
inline format_spec parse_spec(std::string_view t) {
  format_spec spec;
  std::size_t at = 0;
  const auto take = [&](std::string_view any) -> char {
    return at < t.size() && any.find(t[at]) != any.npos ? t[at++] : '\0';
  };
  if (!t.empty()) {
    const std::size_t fill = utf8::next(t).size;
    if (fill < t.size() && std::string_view("<>=^").find(t[fill]) != std::string_view::npos)
      spec.fill = t.substr(0, fill), at = fill;
  }
  spec.align = take("<>=^");
  if (const char sign = take("+- ")) spec.sign = sign;
  if (take("#")) spec.alternate = true;
  if (take("0")) spec.zeros = spec.align == 0;
  if (const auto width = read_size(t, at)) spec.width = *width;
  if (take(",")) spec.commas = true;
  if (take(".")) {
    spec.precision = read_precision(t, at);
    if (!spec.precision) throw refusal("a precision is missing in the format " + std::string(t));
  }
  spec.type = take("sdxXobeEfFgG%");
  if (at < t.size() || spec.alternate) throw refusal("the format {:" + std::string(t) + "} is not supported");
  return spec;
}
// format(v, spec), by whom `by` says
inline void append_formatted(runtime& rt, text_builder& out, const value& v, std::string_view given, mark by) {
  format_spec spec = parse_spec(given);
  spec.fill_mark = by;
  if (const marked_text* t = v.as_text()) {
    if ((spec.type && spec.type != 's') || spec.zeros || spec.commas || spec.sign != '-' || spec.align == '=')
      throw refusal("the format {:" + std::string(given) + "} does not fit a text");
    return append_as_text(rt, out, spec, *t);
  }
  if (given.empty()) return append_str(rt, out, v);
  const bool is_int = v.is<std::int64_t>();
  if (!is_int && !v.is<double>())
    throw refusal("the format {:" + std::string(given) + "} of a value of type " + type_name(v) + " is not supported");
  if (is_int && !spec.type) spec.type = 'd';
  const bool as_integer = std::string_view("dxXob").find(spec.type) != std::string_view::npos && spec.type;
  if (spec.type == 's' || (as_integer && spec.precision) || (!spec.type && spec.precision))
    throw refusal("the format {:" + std::string(given) + "} of a number is not supported");
  if (spec.type) return append_typed(rt, out, spec, v);
  const double d = *v.as<double>();
  append_number(rt, out, spec, std::signbit(d) && !std::isnan(d), float_text(std::fabs(d)));
}

inline value brace_format(runtime& rt, const marked_text& format, const arguments& given) {
  const std::string& f = format.bytes();
  text_builder out(rt);
  std::size_t next_index = 0;
  bool automatic = false, by_number = false;
  for (std::size_t at = 0; at < f.size();) {
    const std::size_t brace = std::min(f.find_first_of("{}", at), f.size());
    out.append(format, at, brace - at);
    if (brace == f.size()) break;
    rt.work();
    at = brace + 1;
    if (at < f.size() && f[at] == f[brace]) {
      out.append(format, at++, 1);
      continue;
    }
    const std::size_t close = f.find('}', at);
    if (f[brace] == '}' || close == f.npos) throw refusal("a single brace in a format; write it twice");
    std::string_view field = std::string_view(f).substr(at, close - at), spec, conversion;
    at = close + 1;
    if (field.find_first_of("{[") != field.npos || field.substr(0, field.find(':')).find('.') != field.npos)
      throw refusal("attributes, indices and fields in the fields of a format are not supported");
    if (const auto colon = field.find(':'); colon != field.npos)
      spec = field.substr(colon + 1), field = field.substr(0, colon);
    if (const auto bang = field.find('!'); bang != field.npos)
      conversion = field.substr(bang + 1), field = field.substr(0, bang);
    std::size_t index = next_index, end = 0;
    const value* v = nullptr;
    const auto number = field.empty() ? std::optional<std::size_t>(next_index++) : read_size(field, end);
    if (number && end == field.size()) {
      (field.empty() ? automatic : by_number) = true;
      if (automatic && by_number) throw refusal("a format cannot have fields with numbers and without");
      index = *number;
      if (index < given.positional.size()) v = &given.positional[index];
    } else {
      for (const auto& [name, content] : given.keywords)
        if (name.bytes() == field) v = &content;
    }
    if (!v) throw refusal("the format has a field {" + std::string(field) + "} without a value");
    text_builder shown(rt);
    if (conversion == "r")
      append_repr(rt, shown, *v);
    else if (conversion == "s")
      append_str(rt, shown, *v);
    else if (!conversion.empty())
      throw refusal("the conversion !" + std::string(conversion) + " is not supported");
    append_formatted(rt, out, conversion.empty() ? *v : shown.finish(), spec, format.marks()[brace]);
  }
  return out.finish();
}

}  // namespace iapt::jinja::detail
