// SPDX-License-Identifier: Apache-2.0
// Methods of lists and dicts, and methods as values.
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

#include "iapt/jinja/text_methods.hpp"

namespace iapt::jinja::detail {

namespace methods {

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
