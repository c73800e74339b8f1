// SPDX-License-Identifier: Apache-2.0
// Filters of texts and numbers, and `tojson`.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/json_text.hpp"
#include "iapt/jinja/lookup.hpp"

namespace iapt::jinja::detail::filters {

// A filter that changes str() of any value. A safe text stays safe.
template <value (*Change)(runtime&, const marked_text&)>
value change(runtime& rt, const value& v, const arguments& a) {
  bind_none("a filter of texts", a);
  const text t = str(rt, v);
  return text{Change(rt, *t.content).template as<text>()->content, t.safe};
}
inline value trim(runtime& rt, const value& v, const arguments& a) {
  const auto [chars] = bind<1>("trim", a, {"chars"});
  const text t = str(rt, v);
  return text{strip(rt, *t.content, text_of(chars), true, true).as<text>()->content, t.safe};
}
inline value string(runtime& rt, const value& v, const arguments& a) {
  bind_none("string", a);
  return str(rt, v);
}
inline value safe(runtime& rt, const value& v, const arguments& a) {
  bind_none("safe", a);
  return text{str(rt, v).content, true};
}
inline value escape(runtime& rt, const value& v, const arguments& a) {
  bind_none("escape", a);
  const text t = str(rt, v);
  if (t.safe) return t;
  text_builder out(rt);
  append_escaped(out, *t.content);
  return text{std::make_shared<marked_text>(out.take()), true};
}
inline value replace(runtime& rt, const value& v, const arguments& a) {
  const auto [from, to, count] = bind<3>("replace", a, {"old", "new", "count"}, 2);
  const std::int64_t most = count && !count->is<none>() ? int_of(count, -1) : -1;
  return detail::replace(rt, *str(rt, v).content, *str(rt, *from).content, *str(rt, *to).content, most);
}
inline value indent(runtime& rt, const value& v, const arguments& a) {
  const auto [width, first, blank] = bind<3>("indent", a, {"width", "first", "blank"});
  if (v.is<undefined>()) refuse_undefined(v);
  const marked_text* t = v.as_text();
  if (!t) throw refusal("indent: a value of type " + type_name(v) + " is not a text");
  if (v.as<text>()->safe) throw refusal("indent of a text that is marked as safe is not supported");
  text_builder margin(rt), out(rt);
  if (const marked_text* given = width ? width->as_text() : nullptr)
    margin.append(*given);
  else
    margin.pad(static_cast<std::size_t>(std::max<std::int64_t>(int_of(width, 4), 0)), " ");
  // A last line end is kept, because one is added before the text is split.
  std::vector<piece> lines = split_lines(t->bytes());
  const bool ends = !t->empty() && (lines.empty() || lines.back().begin + lines.back().size < t->size());
  if (lines.empty() || ends) lines.push_back({t->size(), 0});
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i) out.append("\n", t->marks()[lines[i - 1].begin + lines[i - 1].size]);  // of who ended the line
    const bool indented = i == 0 ? first && truth(*first) : lines[i].size > 0 || (blank && truth(*blank));
    if (indented) out.append(margin.content());
    out.append(*t, lines[i].begin, lines[i].size);
  }
  return out.finish();
}
inline value format(runtime& rt, const value& v, const arguments& a) {
  const text t = str(rt, v);
  if (a.keywords.empty()) return percent_format(rt, t, make_list(rt, a.positional, list::kind_type::tuple));
  if (!a.positional.empty()) throw refusal("format: it takes either positional or keyword arguments");
  dict names;
  for (const auto& [name, content] : a.keywords) names.set(value(name), content);
  return percent_format(rt, t, value(std::move(names)));
}
inline value center(runtime& rt, const value& v, const arguments& a) {
  const auto [width] = bind<1>("center", a, {"width"});
  return methods::justify<true, true>(rt, value(str(rt, v)), {{width ? *width : value(80)}});
}
inline value wordcount(runtime& rt, const value& v, const arguments& a) {
  bind_none("wordcount", a);
  const text t = str(rt, v);
  rt.read(t.content->size());
  std::int64_t n = 0;
  bool inside = false;
  for_each_character(t.content->bytes(), [&](char32_t c, std::size_t, std::size_t) {
    const bool word = c == '_' || is_alnum(c);
    n += word && !inside;
    inside = word;
    return true;
  });
  return n;
}

// ---- numbers ----
inline value to_integer(runtime&, const value& v, const arguments& a) {
  const auto [otherwise, base] = bind<2>("int", a, {"default", "base"});
  if (v.is<undefined>()) refuse_undefined(v);
  const value fallback = otherwise ? *otherwise : value(0);
  if (const marked_text* t = v.as_text()) {
    if (const auto i = parse_int(t->bytes(), int_of(base, 10))) return *i;
    const auto d = parse_float(t->bytes());
    return d && std::isfinite(*d) ? value(to_int(*d)) : fallback;
  }
  if (const auto i = as_int(v)) return *i;
  if (const double* d = v.as<double>()) return std::isfinite(*d) ? value(to_int(*d)) : fallback;
  return fallback;
}
inline value to_float(runtime&, const value& v, const arguments& a) {
  const auto [otherwise] = bind<1>("float", a, {"default"});
  if (v.is<undefined>()) refuse_undefined(v);
  if (const marked_text* t = v.as_text()) {
    if (const auto d = parse_float(t->bytes())) return *d;
  } else if (const auto d = as_float(v)) {
    return *d;
  }
  return otherwise ? *otherwise : value(0.0);
}
inline value absolute(runtime&, const value& v, const arguments& a) {
  bind_none("abs", a);
  if (v.is<undefined>()) refuse_undefined(v);
  if (const double* d = v.as<double>()) return std::fabs(*d);
  const auto i = as_int(v);
  if (!i) throw refusal("abs: a value of type " + type_name(v) + " is not a number");
  return *i < 0 ? compute(unary_operator::minus, v) : value(*i);
}
inline value round(runtime&, const value& v, const arguments& a) {
  const auto [digits, method] = bind<2>("round", a, {"precision", "method"});
  const marked_text* how = text_of(method);
  const std::string name = how ? how->bytes() : "common";
  const std::int64_t precision = int_of(digits, 0);
  if (v.is<undefined>()) refuse_undefined(v);
  const auto d = as_float(v);
  if (!d) throw refusal("round: a value of type " + type_name(v) + " is not a number");
  if (precision < 0 || precision > 22) throw refusal("round: the precision must be from 0 to 22");
  if (name == "ceil" || name == "floor") {
    const double scale = std::pow(10.0, static_cast<double>(precision)), scaled = *d * scale;
    // math.ceil and math.floor give integers.
    const std::int64_t whole = to_int(name == "ceil" ? std::ceil(scaled) : std::floor(scaled));
    return static_cast<double>(whole) / scale;
  }
  if (name != "common") throw refusal("round: the method must be common, ceil or floor");
  if (const auto i = as_int(v)) return *i;
  if (!std::isfinite(*d)) return *d;
  return *parse_float((*d < 0 ? "-" : "") + float_digits(*d, 'f', static_cast<int>(precision)));
}

// json.dumps with the options that Hugging Face's filter has.
inline value tojson(runtime& rt, const value& v, const arguments& a) {
  const auto [ascii, indent, separators, sort_keys] =
      bind<4>("tojson", a, {"ensure_ascii", "indent", "separators", "sort_keys"});
  json_layout layout;
  layout.ascii = ascii && truth(*ascii);
  layout.sort_keys = sort_keys && truth(*sort_keys);
  layout.lines = indent && !indent->is<none>();
  if (layout.lines) {
    text_builder one(rt);
    if (const marked_text* given = indent->as_text())
      one.append(*given);
    else
      one.pad(static_cast<std::size_t>(std::max<std::int64_t>(int_of(indent, 0), 0)), " ");
    layout.indent = one.take();
  }
  layout.item_separator = marked_text(layout.lines ? "," : ", ", {});
  layout.key_separator = marked_text(": ", {});
  if (separators && !separators->is<none>()) {
    const auto both = read_all(rt, *separators);
    if (both.size() != 2 || !both[0].is<text>() || !both[1].is<text>())
      throw refusal("tojson: the separators must be two texts");
    layout.item_separator = *both[0].as_text();
    layout.key_separator = *both[1].as_text();
  }
  return json_writer(rt, layout).write(v);
}

}  // namespace iapt::jinja::detail::filters
