// SPDX-License-Identifier: Apache-2.0
// The filter `tojson`: Python's json.dumps with marks.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/jinja/python_text.hpp"

namespace iapt::jinja::detail {

// Layout of json.dumps.
struct json_layout {
  bool ascii = false;       // escape everything that is not ASCII
  bool sort_keys = false;   // by code points
  bool lines = false;       // one line for each item
  marked_text indent = {};  // of one level
  marked_text item_separator = {};
  marked_text key_separator = {};
};

class json_writer {
 public:
  json_writer(runtime& rt, const json_layout& layout) : rt_(rt), layout_(layout), out_(rt) {}
  value write(const value& v) {
    append(v, 0);
    return out_.finish();
  }

 private:
  void append(const value& v, std::size_t level) {
    rt_.work();
    if (const marked_text* t = v.as_text())
      append_string(*t);
    else if (v.as_dict() || (v.as_list() && is_array(*v.as_list())))
      append_container(v, level);
    else
      out_.literal(scalar(v));
  }
  static bool is_array(const list& l) { return l.kind() == list::kind_type::list || l.is_tuple(); }

  static std::string scalar(const value& v) {
    if (v.is<none>()) return "null";
    if (const bool* b = v.as<bool>()) return *b ? "true" : "false";
    if (const double* d = v.as<double>()) {
      if (std::isnan(*d)) return "NaN";
      return std::isinf(*d) ? (*d < 0 ? "-Infinity" : "Infinity") : float_text(*d);
    }
    if (v.is<std::int64_t>()) return plain_text(v);
    throw refusal("tojson: a value of type " + type_name(v) + " is not JSON");
  }

  // A list or a dict: both are brackets around items.
  void append_container(const value& v, std::size_t level) {
    const dict* d = v.as_dict();
    const std::size_t count = d ? d->entries().size() : v.as_list()->items().size();
    out_.literal(d ? "{" : "[");
    std::vector<const dict::entry*> entries;
    if (d) entries = ordered(*d);
    for (std::size_t i = 0; i < count; ++i) {
      if (i) out_.append(layout_.item_separator);
      new_line(level + 1);
      if (d) append_key(entries[i]->key), out_.append(layout_.key_separator);
      append(d ? entries[i]->content : v.as_list()->items()[i], level + 1);
    }
    if (count) new_line(level);
    out_.literal(d ? "}" : "]");
  }
  std::vector<const dict::entry*> ordered(const dict& d) {
    std::vector<const dict::entry*> entries;
    for (const auto& e : d.entries()) entries.push_back(&e);
    if (!layout_.sort_keys) return entries;
    for (const auto* e : entries)
      if (!e->key.as_text()) throw refusal("tojson: sort_keys needs keys that are texts");
    rt_.work(entries.size() * 8);
    std::sort(entries.begin(), entries.end(),
              [](auto* a, auto* b) { return a->key.as_text()->bytes() < b->key.as_text()->bytes(); });
    return entries;
  }
  void append_key(const value& key) {
    if (const marked_text* t = key.as_text()) return append_string(*t);
    out_.literal("\"" + scalar(key) + "\"");
  }
  void new_line(std::size_t level) {
    if (!layout_.lines) return;
    out_.literal("\n");
    for (; level; --level) out_.append(layout_.indent);
  }

  // An escape has the mark of the byte that it stands for.
  void append_string(const marked_text& t) {
    out_.literal("\"");
    std::size_t plain = 0;  // begin of the bytes that are not written yet
    for_each_character(t.bytes(), [&](char32_t c, std::size_t begin, std::size_t size) {
      const bool escaped = c < 0x20 || c == '"' || c == '\\' || (layout_.ascii && c > 0x7E);
      if (!escaped) return true;
      out_.append(t, plain, begin - plain);
      out_.append(escape(c), t.marks()[begin]);
      plain = begin + size;
      return true;
    });
    out_.append(t, plain, t.size() - plain);
    out_.literal("\"");
  }
  static std::string escape(char32_t c) {
    constexpr std::string_view from = "\"\\\n\r\t\f\b", to = "\"\\nrtfb";
    if (c < 0x80)
      if (const auto at = from.find(static_cast<char>(c)); at != from.npos) return std::string("\\") + to[at];
    if (c < 0x10000) return "\\u" + hex_of(c, 4);
    c -= 0x10000;  // a surrogate pair
    return "\\u" + hex_of(0xD800 + (c >> 10), 4) + "\\u" + hex_of(0xDC00 + (c & 0x3FF), 4);
  }

  runtime& rt_;
  const json_layout& layout_;
  text_builder out_;
};

}  // namespace iapt::jinja::detail
