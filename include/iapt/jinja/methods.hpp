// SPDX-License-Identifier: Apache-2.0
// Methods of texts, lists and dicts, by their names in Python.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "iapt/jinja/functions.hpp"
#include "iapt/jinja/operators.hpp"
#include "iapt/jinja/text_operations.hpp"

namespace iapt::jinja::detail {

namespace methods {

inline std::size_t most_of(const value* v) {
  const std::int64_t n = int_of(v, -1);
  return n < 0 ? std::string::npos : static_cast<std::size_t>(n);
}

template <value (*Change)(runtime&, const marked_text&)>
value change(runtime& rt, const value& self, const arguments& a) {
  bind_none("a method of texts", a);
  return Change(rt, *self.as_text());
}
template <bool Left, bool Right>
value strip_ends(runtime& rt, const value& self, const arguments& a) {
  const auto [chars] = bind<1>("strip", a, {"-"});
  return strip(rt, *self.as_text(), text_of(chars), Left, Right);
}
template <bool FromRight>
value split(runtime& rt, const value& self, const arguments& a) {
  const auto [separator, most] = bind<2>("split", a, {"sep", "maxsplit"});
  const marked_text& t = *self.as_text();
  rt.read(t.size());
  if (const marked_text* at = text_of(separator))
    return pieces_of(rt, t, split_at(rt, t.bytes(), at->bytes(), most_of(most), FromRight));
  return pieces_of(rt, t, (FromRight ? split_at_space_from_right : split_at_space)(t.bytes(), most_of(most)));
}
inline value splitlines(runtime& rt, const value& self, const arguments& a) {
  const auto [keep] = bind<1>("splitlines", a, {"keepends"});
  return pieces_of(rt, *self.as_text(), split_lines(self.as_text()->bytes(), keep && truth(*keep)));
}
template <bool FromRight>
value partition(runtime& rt, const value& self, const arguments& a) {
  const auto [separator] = bind<1>("partition", a, {"sep"}, 1);
  const marked_text& t = *self.as_text();
  const marked_text* at = text_of(separator);
  if (!at) throw refusal("partition(): the separator must be a text");
  const auto pieces = split_at(rt, t.bytes(), at->bytes(), 1, FromRight);
  std::vector<value> items;
  if (pieces.size() == 1) {
    items = {self, literal(""), literal("")};
    if (FromRight) std::swap(items[0], items[2]);
  } else {
    items = {part_of(rt, t, 0, pieces[0].size), part_of(rt, t, pieces[0].size, at->size()),
             part_of(rt, t, pieces[1].begin, pieces[1].size)};
  }
  return make_list(rt, std::move(items), list::kind_type::tuple);
}

// startswith() and endswith(), also of a tuple of texts.
template <bool AtEnd>
value has_edge(runtime& rt, const value& self, const arguments& a) {
  const auto [edge] = bind<1>(AtEnd ? "endswith" : "startswith", a, {"-"}, 1);
  const std::string_view t = self.as_text()->bytes();
  const auto matches = [&](const value& v) {
    const marked_text* part = text_of(&v);
    if (!part) throw refusal("startswith() and endswith() need a text or a tuple of texts");
    rt.read(part->size());
    return AtEnd ? t.ends_with(part->bytes()) : t.starts_with(part->bytes());
  };
  const list* l = edge->as_list();
  if (!l || !l->is_tuple()) return matches(*edge);
  return std::any_of(l->items().begin(), l->items().end(), matches);
}
// find(), rfind(), index(): the place as a number of characters, or nothing.
inline std::optional<std::int64_t> find_place(runtime& rt, const value& self, const arguments& a, bool from_right) {
  const auto [part, start] = bind<2>("find", a, {"-", "-"}, 1);
  const marked_text *wanted = text_of(part), &t = *self.as_text();
  if (!wanted) throw refusal("find(): the text to be found is None");
  const value from = slice_of(rt, self, start ? *start : value(none{}), none{}, none{});
  const marked_text& searched = *from.as_text();
  const std::size_t skipped = t.size() - searched.size();
  std::vector<std::size_t> places;
  if (wanted->empty())
    places = {from_right ? searched.size() : 0};
  else
    places = (from_right ? find_all_from_right : find_all)(rt, searched.bytes(), wanted->bytes(), 1);
  if (places.empty()) return std::nullopt;
  return static_cast<std::int64_t>(length_of(rt, t.substr(0, skipped + places.front())));
}
template <bool FromRight>
value find(runtime& rt, const value& self, const arguments& a) {
  return find_place(rt, self, a, FromRight).value_or(-1);
}
inline value text_index(runtime& rt, const value& self, const arguments& a) {
  const auto place = find_place(rt, self, a, false);
  if (!place) throw refusal("index(): the text is not found");
  return *place;
}
inline value text_count(runtime& rt, const value& self, const arguments& a) {
  const auto [part] = bind<1>("count", a, {"-"}, 1);
  const marked_text* wanted = text_of(part);
  if (!wanted) throw refusal("count(): the text to be counted is None");
  if (wanted->empty()) return length_of(rt, *self.as_text()) + 1;
  return find_all(rt, self.as_text()->bytes(), wanted->bytes(), std::string::npos).size();
}
inline value text_replace(runtime& rt, const value& self, const arguments& a) {
  const auto [from, to, count] = bind<3>("replace", a, {"-", "-", "count"}, 2);
  const marked_text *f = text_of(from), *t = text_of(to);
  if (!f || !t) throw refusal("replace() needs texts");
  return replace(rt, *self.as_text(), *f, *t, int_of(count, -1));
}
inline value text_join(runtime& rt, const value& self, const arguments& a) {
  const auto [items] = bind<1>("join", a, {"-"}, 1);
  return join(rt, *self.as_text(), read_all(rt, *items), true);
}
inline value text_format(runtime& rt, const value& self, const arguments& a) {
  return brace_format(rt, *self.as_text(), a);
}
// ljust(), rjust(), center(): `Left` and `Right` say where the room goes.
template <bool Left, bool Right>
value justify(runtime& rt, const value& self, const arguments& a) {
  const auto [width, fill] = bind<2>("justify", a, {"-", "-"}, 1);
  const marked_text* with = text_of(fill);
  if (with && length_of(rt, *with) != 1) throw refusal("the fill must be one character");
  const auto size = static_cast<std::int64_t>(length_of(rt, *self.as_text()));
  const std::int64_t whole = int_of(width, 0), room = std::max<std::int64_t>(whole, size) - size;
  const std::int64_t before = Left && Right ? room / 2 + (room & whole & 1) : Left ? room : 0;
  text_builder out(rt);
  const auto pad = [&](std::int64_t n) {
    out.pad(static_cast<std::size_t>(n), with ? std::string_view(with->bytes()) : " ",
            with ? with->marks()[0] : mark{});
  };
  pad(before);
  out.append(*self.as_text());
  pad(room - before);
  return out.finish();
}
template <bool (*Is)(char32_t)>
value all_are(runtime& rt, const value& self, const arguments& a) {
  bind_none("a method of texts", a);
  rt.read(self.as_text()->size());
  bool all = !self.as_text()->empty();
  for_each_character(self.as_text()->bytes(), [&](char32_t c, std::size_t, std::size_t) { return all = all && Is(c); });
  return all;
}
inline bool is_ascii(char32_t c) { return c < 0x80; }
// isupper() and islower(): some letter has this case, and none another one.
template <bool (*Is)(char32_t)>
bool has_case(runtime& rt, const marked_text& t) {
  rt.read(t.size());
  bool any = false, other = false;
  for_each_character(t.bytes(), [&](char32_t c, std::size_t, std::size_t) {
    any |= Is(c);
    other |= !Is(c) && is_cased(c);
    return !other;
  });
  return any && !other;
}
template <bool (*Is)(char32_t)>
value text_has_case(runtime& rt, const value& self, const arguments& a) {
  bind_none("a method of texts", a);
  return has_case<Is>(rt, *self.as_text());
}
template <bool AtEnd>
value remove_edge(runtime& rt, const value& self, const arguments& a) {
  const value matches = has_edge<AtEnd>(rt, self, a);
  const marked_text &t = *self.as_text(), *edge = text_of(&a.positional.at(0));
  const std::size_t size = edge && truth(matches) ? edge->size() : 0;
  return part_of(rt, t, AtEnd ? 0 : size, t.size() - size);
}

// ---- lists and dicts ----
inline value list_index(runtime& rt, const value& self, const arguments& a) {
  const auto [item] = bind<1>("index", a, {"-"}, 1);
  const auto& items = self.as_list()->items();
  for (std::size_t i = 0; i < items.size(); ++i)
    if (equal(rt, items[i], *item)) return i;
  throw refusal("index(): the item is not in the list");
}
inline value list_count(runtime& rt, const value& self, const arguments& a) {
  const auto [item] = bind<1>("count", a, {"-"}, 1);
  std::int64_t n = 0;
  for (const value& v : self.as_list()->items()) n += equal(rt, v, *item);
  return n;
}
inline value same(runtime&, const value& self, const arguments& a) {
  bind_none("copy", a);
  return self;  // values do not change, so a copy is the same
}
inline value dict_get(runtime& rt, const value& self, const arguments& a) {
  const auto [key, otherwise] = bind<2>("get", a, {"-", "-"}, 1);
  if (!key_of(*key)) throw refusal("a list or a dict cannot be a key of a dict");
  if (const auto found = subscript_of(rt, self, *key)) return *found;
  return otherwise ? *otherwise : value(none{});
}
inline value pair_of(const dict::entry& e) { return list({e.key, e.content}, list::kind_type::tuple); }
template <list::kind_type Kind>
value dict_view(runtime& rt, const value& self, const arguments& a) {
  bind_none("a method of dicts", a);
  std::vector<value> items;
  for (const auto& e : self.as_dict()->entries())
    items.push_back(Kind == list::kind_type::keys ? e.key : Kind == list::kind_type::values ? e.content : pair_of(e));
  return make_list(rt, std::move(items), Kind);
}

inline const function_table<method_function>& of_texts() {
  static const function_table<method_function> table = {
      {"upper", change<upper>},
      {"lower", change<lower>},
      {"title", change<title>},
      {"capitalize", change<capitalize>},
      {"strip", strip_ends<true, true>},
      {"lstrip", strip_ends<true, false>},
      {"rstrip", strip_ends<false, true>},
      {"split", split<false>},
      {"rsplit", split<true>},
      {"splitlines", splitlines},
      {"partition", partition<false>},
      {"rpartition", partition<true>},
      {"startswith", has_edge<false>},
      {"endswith", has_edge<true>},
      {"removeprefix", remove_edge<false>},
      {"removesuffix", remove_edge<true>},
      {"find", find<false>},
      {"rfind", find<true>},
      {"index", text_index},
      {"count", text_count},
      {"replace", text_replace},
      {"join", text_join},
      {"format", text_format},
      {"ljust", justify<false, true>},
      {"rjust", justify<true, false>},
      {"center", justify<true, true>},
      {"isdigit", all_are<is_digit>},
      {"isdecimal", all_are<is_decimal>},
      {"isalpha", all_are<is_alpha>},
      {"isalnum", all_are<is_alnum>},
      {"isspace", all_are<is_space>},
      {"isascii", all_are<is_ascii>},
      {"isupper", text_has_case<is_upper>},
      {"islower", text_has_case<is_lower>},
  };
  return table;
}
inline const function_table<method_function>& of_lists() {
  static const function_table<method_function> table = {{"index", list_index}, {"count", list_count}, {"copy", same}};
  return table;
}
inline const function_table<method_function>& of_dicts() {
  static const function_table<method_function> table = {{"get", dict_get},
                                                        {"keys", dict_view<list::kind_type::keys>},
                                                        {"values", dict_view<list::kind_type::values>},
                                                        {"items", dict_view<list::kind_type::items>},
                                                        {"copy", same}};
  return table;
}
inline bool mutates_list(std::string_view name) {
  static const std::unordered_set<std::string_view> names = {"append", "clear",  "extend",  "insert",
                                                             "pop",    "remove", "reverse", "sort"};
  return names.contains(name);
}
inline bool mutates_dict(std::string_view name) {
  static const std::unordered_set<std::string_view> names = {"clear", "pop", "popitem", "setdefault", "update"};
  return names.contains(name);
}
// What Python's types have and this interpreter does not.
inline bool is_unsupported(const value& v, std::string_view name) {
  static const std::unordered_set<std::string_view> of_text = {
      "casefold", "encode",    "expandtabs", "format_map", "isidentifier", "isnumeric", "isprintable",
      "istitle",  "maketrans", "rindex",     "swapcase",   "translate",    "zfill"};
  static const std::unordered_set<std::string_view> of_number = {
      "real",     "imag",       "conjugate",        "numerator",  "denominator", "bit_length", "bit_count",
      "to_bytes", "from_bytes", "as_integer_ratio", "is_integer", "hex",         "fromhex"};
  if (v.is<text>()) return of_text.contains(name);
  if (is_number(v)) return of_number.contains(name);
  if (const list* l = v.as_list()) {
    const bool is_view = l->kind() >= list::kind_type::keys && l->kind() <= list::kind_type::items;
    return (is_view && (name == "mapping" || name == "isdisjoint")) ||
           (l->kind() == list::kind_type::range && (name == "start" || name == "stop" || name == "step"));
  }
  return v.as_dict() && name == "fromkeys";
}

}  // namespace methods

// A method with the value that it belongs to.
class bound_method final : public object {
 public:
  bound_method(value self, std::string name, method_function function)
      : self_(std::move(self)), name_(std::move(name)), function_(function) {}
  std::string type_name() const override { return "builtin_function_or_method"; }
  std::size_t depth() const override { return deeper(depth_of(self_)); }
  value call(runtime& rt, const arguments& a) override {
    rt.work();
    const text* t = self_.as<text>();
    if (!t || !t->safe) return function_(rt, self_, a);
    // Methods of a safe text give safe texts, and some escape their arguments.
    for (const char* name : {"join", "format", "replace", "ljust", "rjust", "center", "removeprefix", "removesuffix",
                             "partition", "rpartition"})
      if (name_ == name) throw refusal("the method " + name_ + " of a text that is marked as safe is not supported");
    return as_safe(function_(rt, self_, a));
  }

 private:
  static value as_safe(const value& v) {
    if (const text* t = v.as<text>()) return text{t->content, true};
    if (!v.as_list()) return v;
    std::vector<value> items;
    for (const value& item : v.as_list()->items()) items.push_back(as_safe(item));
    return value(list(std::move(items), v.as_list()->kind()));
  }
  value self_;
  std::string name_;
  method_function function_;
};

}  // namespace iapt::jinja::detail
