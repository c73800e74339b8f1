// SPDX-License-Identifier: Apache-2.0
// Python's text.format(values).
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "iapt/jinja/format_spec.hpp"

namespace iapt::jinja::detail {

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
