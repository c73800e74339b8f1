// SPDX-License-Identifier: Apache-2.0
// Methods of texts.
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

#include "iapt/jinja/brace_format.hpp"
#include "iapt/jinja/functions.hpp"
#include "iapt/jinja/operators.hpp"
#include "iapt/jinja/text_operations.hpp"

namespace iapt::jinja::detail {

// Methods of texts, and of lists and dicts in methods.hpp.
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

}  // namespace methods

}  // namespace iapt::jinja::detail
