// SPDX-License-Identifier: Apache-2.0
// str() and repr() of values, the names of types, and texts as sequences of characters.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/number.hpp"
#include "iapt/jinja/runtime.hpp"

namespace iapt::jinja::detail {

// Python's name of a value's type.
inline std::string type_name(const value& v) {
  constexpr const char* lists[] = {"list",      "tuple",       "tuple",      "range",
                                   "dict_keys", "dict_values", "dict_items", "generator"};
  if (v.is<undefined>()) return "Undefined";
  if (v.is<none>()) return "NoneType";
  if (v.is<bool>()) return "bool";
  if (v.is<std::int64_t>()) return "int";
  if (v.is<double>()) return "float";
  if (v.is<text>()) return "str";
  if (const list* l = v.as_list()) return lists[static_cast<std::size_t>(l->kind())];
  return v.as_dict() ? "dict" : v.as_object()->type_name();
}

[[noreturn]] inline void refuse_undefined(const value& v) {
  const auto& message = v.as<undefined>()->message;
  throw refusal(message ? *message : "a value is undefined");
}
inline value make_undefined(std::string message) {
  return undefined{std::make_shared<const std::string>(std::move(message))};
}

// Calls f(character, begin, size) for each character of `t`, up to one where it returns false.
template <class F>
void for_each_character(std::string_view t, F f) {
  for (std::size_t at = 0; at < t.size();) {
    const auto s = utf8::next(t.substr(at));
    if (!f(s.code_point, at, s.size)) return;
    at += s.size;
  }
}

// len() of a text.
inline std::size_t length_of(runtime& rt, const marked_text& t) {
  rt.read(t.size());
  std::size_t n = 0;
  for (const char c : t.bytes()) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}
// The characters of a text, each as a text.
inline std::vector<value> characters_of(runtime& rt, const marked_text& t) {
  std::vector<value> out;
  for_each_character(t.bytes(), [&](char32_t, std::size_t begin, std::size_t size) {
    rt.make();
    out.emplace_back(t.substr(begin, size));
    return true;
  });
  return out;
}

inline std::string hex_of(char32_t c, std::size_t digits) {
  std::string out(digits, '0');
  for (std::size_t i = digits; i-- > 0; c >>= 4) out[i] = "0123456789abcdef"[c & 15];
  return out;
}

// repr() of a text. What an escape stands for wrote the escape.
inline void append_repr(text_builder& out, const marked_text& t) {
  const bool single = t.bytes().find('\'') == std::string::npos || t.bytes().find('"') != std::string::npos;
  const char quote = single ? '\'' : '"';
  out.literal({&quote, 1});
  for_each_character(t.bytes(), [&](char32_t c, std::size_t begin, std::size_t size) {
    const mark by = t.marks()[begin];
    const std::string_view shown(t.bytes().data() + begin, size);
    if (c == static_cast<unsigned char>(quote) || c == '\\')
      out.append("\\", by), out.append(shown, by);
    else if (c == '\n')
      out.append("\\n", by);
    else if (c == '\r')
      out.append("\\r", by);
    else if (c == '\t')
      out.append("\\t", by);
    else if (is_printable(c))
      out.append(shown, by);
    else
      out.append(c < 0x100 ? "\\x" + hex_of(c, 2) : c < 0x10000 ? "\\u" + hex_of(c, 4) : "\\U" + hex_of(c, 8), by);
    return true;
  });
  out.literal({&quote, 1});
}

inline void append_repr(runtime& rt, text_builder& out, const value& v);

inline void append_items(runtime& rt, text_builder& out, const list& l) {
  using kind = list::kind_type;
  constexpr const char* openings[] = {"[", "(", "(", "", "dict_keys([", "dict_values([", "dict_items([", ""};
  if (l.kind() == kind::range || l.kind() == kind::generator)
    throw refusal(std::string(l.is_sized() ? "a range" : "an iterator") + " cannot be printed; write |list after it");
  out.literal(openings[static_cast<std::size_t>(l.kind())]);
  for (std::size_t i = 0; i < l.items().size(); ++i) {
    if (i) out.literal(", ");
    append_repr(rt, out, l.items()[i]);
  }
  if (l.is_tuple())
    out.literal(l.items().size() == 1 ? ",)" : ")");
  else
    out.literal(l.kind() == kind::list ? "]" : "])");
}

// What str() shows of a value that is neither text nor container.
inline std::string plain_text(const value& v) {
  if (v.is<none>()) return "None";
  if (const bool* b = v.as<bool>()) return *b ? "True" : "False";
  if (const auto* i = v.as<std::int64_t>()) return std::to_string(*i);
  if (const double* d = v.as<double>()) return float_text(*d);
  throw refusal("a '" + type_name(v) + "' object cannot be printed");
}

// Appends repr(v). The nesting of values is bounded, and so is this recursion.
inline void append_repr(runtime& rt, text_builder& out, const value& v) {
  rt.work();
  if (const marked_text* t = v.as_text()) {
    if (v.as<text>()->safe) throw refusal("repr() of a text that is marked as safe is not supported");
    append_repr(out, *t);
  } else if (const list* l = v.as_list()) {
    append_items(rt, out, *l);
  } else if (const dict* d = v.as_dict()) {
    out.literal("{");
    for (std::size_t i = 0; i < d->entries().size(); ++i) {
      if (i) out.literal(", ");
      append_repr(rt, out, d->entries()[i].key);
      out.literal(": ");
      append_repr(rt, out, d->entries()[i].content);
    }
    out.literal("}");
  } else if (v.is<undefined>()) {
    out.literal("Undefined");
  } else {
    out.literal(plain_text(v));
  }
}

// Appends str(v).
inline void append_str(runtime& rt, text_builder& out, const value& v) {
  if (const marked_text* t = v.as_text())
    out.append(*t);
  else if (!v.is<undefined>())
    append_repr(rt, out, v);
}
// str(v), which is v itself if it is a text.
inline text str(runtime& rt, const value& v) {
  if (const text* t = v.as<text>()) return *t;
  text_builder out(rt);
  append_str(rt, out, v);
  return {std::make_shared<marked_text>(out.take())};
}

}  // namespace iapt::jinja::detail
