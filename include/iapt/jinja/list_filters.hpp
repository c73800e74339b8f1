// SPDX-License-Identifier: Apache-2.0
// Filters of lists and dicts.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "iapt/jinja/lookup.hpp"

namespace iapt::jinja::detail::filters {

using kind = list::kind_type;
inline bool is_true(const value* v) { return v && truth(*v); }

inline value length_filter(runtime& rt, const value& v, const arguments& a) {
  bind_none("length", a);
  return length(rt, v);
}
inline value default_filter(runtime&, const value& v, const arguments& a) {
  const auto [otherwise, boolean] = bind<2>("default", a, {"default_value", "boolean"});
  if (!v.is<undefined>() && !(is_true(boolean) && !truth(v))) return v;
  return otherwise ? *otherwise : literal("");
}
inline value to_list(runtime& rt, const value& v, const arguments& a) {
  bind_none("list", a);
  return make_list(rt, read_all(rt, v));
}
inline value first(runtime& rt, const value& v, const arguments& a) {
  bind_none("first", a);
  const auto items = items_of(rt, v);
  if (const value* item = list_reader(items).next()) return *item;
  return make_undefined("No first item, sequence was empty.");
}
// reversed(): what has an order that can be read backwards.
inline std::vector<value> reversed(runtime& rt, const value& v) {
  const list* l = v.as_list();
  if (l && !l->is_sized()) throw refusal("an iterator cannot be read from its end");
  std::vector<value> items = read_all(rt, v);
  std::reverse(items.begin(), items.end());
  return items;
}
inline value last(runtime& rt, const value& v, const arguments& a) {
  bind_none("last", a);
  const auto items = reversed(rt, v);
  return items.empty() ? make_undefined("No last item, sequence was empty.") : items.front();
}
inline value reverse(runtime& rt, const value& v, const arguments& a) {
  bind_none("reverse", a);
  if (v.is<text>()) return slice_of(rt, v, none{}, none{}, value(-1));
  const list* l = v.as_list();
  if (l && !l->is_sized()) {  // Jinja2 makes a list of an iterator
    std::vector<value> items = read_all(rt, v);
    std::reverse(items.begin(), items.end());
    return make_list(rt, std::move(items));
  }
  return make_list(rt, reversed(rt, v), kind::generator);
}
inline value join_filter(runtime& rt, const value& v, const arguments& a) {
  const auto [separator, attribute] = bind<2>("join", a, {"d", "attribute"});
  const attribute_path path(attribute);
  std::vector<value> items = read_all(rt, v);
  for (value& item : items) item = path.get(rt, item);
  return join(rt, separator ? *str(rt, *separator).content : marked_text(), items, false);
}
inline value items_filter(runtime& rt, const value& v, const arguments& a) {
  bind_none("items", a);
  std::vector<value> pairs;
  if (!v.as_dict() && !v.is<undefined>()) throw refusal("items: a value of type " + type_name(v) + " is not a dict");
  if (const dict* d = v.as_dict())
    for (const auto& e : d->entries()) pairs.push_back(methods::pair_of(e));
  return make_list(rt, std::move(pairs), kind::generator);
}

// A value by which others are compared: texts without their case, unless it counts.
inline value sort_key(runtime& rt, value v, bool case_sensitive) {
  return !case_sensitive && v.is<text>() ? lower(rt, *v.as_text()) : v;
}
// The items in the order of their keys; equal ones keep theirs.
inline std::vector<value> sorted(runtime& rt, const std::vector<value>& items, const std::vector<value>& keys,
                                 bool reverse) {
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return reverse ? less(rt, keys[b], keys[a]) : less(rt, keys[a], keys[b]);
  });
  std::vector<value> out;
  for (const std::size_t i : order) out.push_back(items[i]);
  return out;
}
inline value dictsort(runtime& rt, const value& v, const arguments& a) {
  const auto [case_sensitive, by, reverse] = bind<3>("dictsort", a, {"case_sensitive", "by", "reverse"});
  if (v.is<undefined>()) refuse_undefined(v);
  const dict* d = v.as_dict();
  if (!d) throw refusal("dictsort: a value of type " + type_name(v) + " is not a dict");
  const marked_text* what = text_of(by);
  if (what && what->bytes() != "key" && what->bytes() != "value")
    throw refusal("dictsort: it sorts by key or by value");
  std::vector<value> pairs, keys;
  for (const auto& e : d->entries()) {
    pairs.push_back(methods::pair_of(e));
    keys.push_back(sort_key(rt, what && what->bytes() == "value" ? e.content : e.key, is_true(case_sensitive)));
  }
  return make_list(rt, sorted(rt, pairs, keys, is_true(reverse)));
}
inline value sort(runtime& rt, const value& v, const arguments& a) {
  const auto [reverse, case_sensitive, attribute] = bind<3>("sort", a, {"reverse", "case_sensitive", "attribute"});
  std::vector<attribute_path> paths;  // of a text: several, with commas between them
  if (const marked_text* t = attribute ? attribute->as_text() : nullptr) {
    for (const piece& p : split_at(rt, t->bytes(), ",", std::string::npos, false)) {
      const value part = part_of(rt, *t, p.begin, p.size);
      paths.emplace_back(&part);
    }
  } else {
    paths.emplace_back(attribute);
  }
  const std::vector<value> items = read_all(rt, v);
  std::vector<value> keys;
  for (const value& item : items) {
    std::vector<value> parts;
    for (const auto& path : paths) parts.push_back(sort_key(rt, path.get(rt, item), is_true(case_sensitive)));
    keys.push_back(make_list(rt, std::move(parts)));
  }
  return make_list(rt, sorted(rt, items, keys, is_true(reverse)));
}
inline value unique(runtime& rt, const value& v, const arguments& a) {
  const auto [case_sensitive, attribute] = bind<2>("unique", a, {"case_sensitive", "attribute"});
  const attribute_path path(attribute);
  std::unordered_set<std::string> seen;
  std::vector<value> out;
  for (const value& item : read_all(rt, v)) {
    const auto name = key_of(sort_key(rt, path.get(rt, item), is_true(case_sensitive)));
    if (!name) throw refusal("unique: a list or a dict cannot be compared in this way");
    rt.read(name->size());
    if (seen.insert(*name).second) out.push_back(item);
  }
  return make_list(rt, std::move(out), kind::generator);
}
template <bool Largest>
value extreme(runtime& rt, const value& v, const arguments& a) {
  const auto [case_sensitive, attribute] = bind<2>(Largest ? "max" : "min", a, {"case_sensitive", "attribute"});
  const attribute_path path(attribute);
  value best, best_key;
  bool any = false;
  for (const value& item : read_all(rt, v)) {
    const value key = sort_key(rt, path.get(rt, item), is_true(case_sensitive));
    if (!any || (Largest ? less(rt, best_key, key) : less(rt, key, best_key))) best = item, best_key = key;
    any = true;
  }
  return any ? best : make_undefined("No aggregated item, sequence was empty.");
}
inline value sum(runtime& rt, const value& v, const arguments& a) {
  const auto [attribute, start] = bind<2>("sum", a, {"attribute", "start"});
  const attribute_path path(attribute);
  value total = start ? *start : value(0);
  if (total.is<text>()) throw refusal("sum: texts are joined, not summed");
  for (const value& item : read_all(rt, v)) total = compute(rt, binary_operator::add, total, path.get(rt, item));
  return total;
}
inline value groupby(runtime& rt, const value& v, const arguments& a) {
  const auto given = bind<3>("groupby", a, {"attribute", "default", "case_sensitive"}, 1);
  const attribute_path path(given[0]);
  const auto grouper_of = [&](const value& item) { return path.get(rt, item, given[1]); };
  const auto key_of_item = [&](const value& item) { return sort_key(rt, grouper_of(item), is_true(given[2])); };
  const std::vector<value> items = read_all(rt, v);
  std::vector<value> keys, groups, members;
  for (const value& item : items) keys.push_back(key_of_item(item));
  const auto close_group = [&] {
    if (members.empty()) return;
    value grouper = grouper_of(members.front());
    groups.push_back(list({std::move(grouper), make_list(rt, std::exchange(members, {}))}, kind::group));
  };
  for (const value& item : sorted(rt, items, keys, false)) {
    if (!members.empty() && !equal(rt, key_of_item(members.front()), key_of_item(item))) close_group();
    members.push_back(item);
  }
  close_group();
  return make_list(rt, std::move(groups));
}
inline value batch(runtime& rt, const value& v, const arguments& a) {
  const auto [count, fill] = bind<2>("batch", a, {"linecount", "fill_with"}, 1);
  const std::int64_t size = int_of(count, 0);
  std::vector<value> rows, row;
  for (const value& item : read_all(rt, v)) {
    if (static_cast<std::int64_t>(row.size()) == size) rows.push_back(make_list(rt, std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    for (; fill && !fill->is<none>() && static_cast<std::int64_t>(row.size()) < size; rt.work()) row.push_back(*fill);
    rows.push_back(make_list(rt, std::move(row)));
  }
  return make_list(rt, std::move(rows), kind::generator);
}
inline value slice_filter(runtime& rt, const value& v, const arguments& a) {
  const auto [count, fill] = bind<2>("slice", a, {"slices", "fill_with"}, 1);
  const std::vector<value> items = read_all(rt, v);
  const std::int64_t slices = int_of(count, 0), size = static_cast<std::int64_t>(items.size());
  if (slices <= 0) throw refusal("slice: the number of slices must be positive");
  std::vector<value> rows;
  for (std::int64_t i = 0, at = 0; i < slices; ++i) {
    const std::int64_t end = at + size / slices + (i < size % slices);
    std::vector<value> row(items.begin() + at, items.begin() + end);
    if (fill && !fill->is<none>() && i >= size % slices) row.push_back(*fill);
    rows.push_back(make_list(rt, std::move(row)));
    rt.work();
    at = end;
  }
  return make_list(rt, std::move(rows), kind::generator);
}

inline value attr(runtime& rt, const value& v, const arguments& a) {
  const auto [name] = bind<1>("attr", a, {"name"}, 1);
  const marked_text* t = text_of(name);
  if (!t) throw refusal("attr: the name must be a text");
  if (v.is<undefined>()) refuse_undefined(v);
  if (auto found = own_attribute(rt, v, t->bytes())) return *found;
  return make_undefined("'" + shown_object(v) + "' has no attribute '" + t->bytes() + "'");
}

}  // namespace iapt::jinja::detail::filters
