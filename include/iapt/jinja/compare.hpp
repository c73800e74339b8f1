// SPDX-License-Identifier: Apache-2.0
// Truth, equality, order and membership of values, as in Python. Marks do not count.
#pragma once
#include <algorithm>
#include <compare>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/python_text.hpp"

namespace iapt::jinja::detail {

inline bool truth(const value& v) {
  if (v.is<undefined>() || v.is<none>()) return false;
  if (const bool* b = v.as<bool>()) return *b;
  if (const auto i = as_int(v)) return *i != 0;
  if (const double* d = v.as<double>()) return *d != 0;
  if (const marked_text* t = v.as_text()) return !t->empty();
  if (const list* l = v.as_list()) return !l->is_sized() || !l->items().empty();
  if (const dict* d = v.as_dict()) return !d->entries().empty();
  return true;
}
inline bool is_number(const value& v) { return v.is<bool>() || v.is<std::int64_t>() || v.is<double>(); }

// Reads the items of a list of any kind, one after the other. What is read of a generator is gone.
class list_reader {
 public:
  explicit list_reader(std::shared_ptr<const list> items) : items_(std::move(items)) {}
  const value* next() {
    std::size_t& at = items_->is_sized() ? at_ : items_->position();
    return at < items_->items().size() ? &items_->items()[at++] : nullptr;
  }

 private:
  std::shared_ptr<const list> items_;
  std::size_t at_ = 0;
};

inline bool equal(runtime& rt, const value& a, const value& b);

inline bool equal_lists(runtime& rt, const list& a, const list& b) {
  if (&a == &b) return true;
  const bool comparable = a.is_tuple() ? b.is_tuple() : a.kind() == b.kind();
  if (!comparable || a.items().size() != b.items().size()) return false;
  if (a.kind() == list::kind_type::values || !a.is_sized()) return false;  // compared by identity
  if (a.kind() == list::kind_type::keys || a.kind() == list::kind_type::items)
    throw refusal("views of dicts cannot be compared; write |list after them");
  for (std::size_t i = 0; i < a.items().size(); ++i)
    if (!equal(rt, a.items()[i], b.items()[i])) return false;
  return true;
}
inline bool equal(runtime& rt, const value& a, const value& b) {
  rt.work();
  if (is_number(a) && is_number(b)) return compare_numbers(a, b) == 0;
  if (const marked_text* s = a.as_text(), *t = b.as_text(); s && t) {
    if (s->size() != t->size()) return false;
    rt.read(s->size());
    return s->bytes() == t->bytes();
  }
  if (const list* l = a.as_list(), *m = b.as_list(); l && m) return equal_lists(rt, *l, *m);
  if (const dict* d = a.as_dict(), *e = b.as_dict(); d && e) {
    if (d == e) return true;
    if (d->entries().size() != e->entries().size()) return false;
    return std::all_of(d->entries().begin(), d->entries().end(), [&](const dict::entry& entry) {
      const value* other = e->find(entry.key);
      return other && equal(rt, entry.content, *other);
    });
  }
  if (a.as_object() || b.as_object()) return a.as_object() == b.as_object();
  return (a.is<none>() && b.is<none>()) || (a.is<undefined>() && b.is<undefined>());
}

// a <=> b for numbers, texts, and lists or tuples of these.
inline std::partial_ordering order(runtime& rt, const value& a, const value& b) {
  rt.work();
  if (a.is<undefined>()) refuse_undefined(a);
  if (b.is<undefined>()) refuse_undefined(b);
  if (is_number(a) && is_number(b)) return compare_numbers(a, b);
  if (const marked_text* s = a.as_text(), *t = b.as_text(); s && t) {
    rt.read(std::min(s->size(), t->size()));
    return s->bytes().compare(t->bytes()) <=> 0;  // bytes of UTF-8 are in the order of code points
  }
  const list *l = a.as_list(), *m = b.as_list();
  const bool comparable =
      l && m && (l->is_tuple() ? m->is_tuple() : l->kind() == list::kind_type::list && m->kind() == l->kind());
  if (!comparable) throw refusal("values of the types " + type_name(a) + " and " + type_name(b) + " have no order");
  for (std::size_t i = 0; i < l->items().size() && i < m->items().size(); ++i)
    if (!equal(rt, l->items()[i], m->items()[i])) return order(rt, l->items()[i], m->items()[i]);
  return l->items().size() <=> m->items().size();
}
inline bool less(runtime& rt, const value& a, const value& b) { return order(rt, a, b) < 0; }

// Where `part`, which is not empty, stands in `t`: at most `most` places that do not overlap, the first ones. Time is
// linear, whatever the texts are (Knuth, Morris and Pratt 1977).
inline std::vector<std::size_t> find_all(runtime& rt, std::string_view t, std::string_view part, std::size_t most) {
  std::vector<std::size_t> places;
  if (part.size() > t.size()) return places;
  rt.read(t.size());
  if (part.size() <= 8) {  // without a table: at most eight bytes are compared at each place
    for (std::size_t at = t.find(part); at != t.npos && places.size() < most; at = t.find(part, at + part.size()))
      rt.work(), places.push_back(at);
    return places;
  }
  std::vector<std::size_t> border(part.size());  // size of the longest proper prefix that ends after i + 1 bytes
  const auto longer = [&](std::size_t k, char byte) {
    while (k && part[k] != byte) k = border[k - 1];
    return part[k] == byte ? k + 1 : 0;
  };
  for (std::size_t i = 1, k = 0; i < part.size(); ++i) border[i] = k = longer(k, part[i]);
  for (std::size_t i = 0, k = 0; i < t.size() && places.size() < most; ++i) {
    k = longer(k, t[i]);
    if (k < part.size()) continue;
    rt.work(), places.push_back(i + 1 - k);
    k = 0;
  }
  return places;
}
inline bool has_part(runtime& rt, std::string_view t, std::string_view part) {
  return part.empty() || !find_all(rt, t, part, 1).empty();
}

// `item in container`
inline bool contains(runtime& rt, const value& container, const value& item) {
  if (const marked_text* t = container.as_text()) {
    const marked_text* part = item.as_text();
    if (!part) throw refusal("'in <str>' needs a text before it, not a value of type " + type_name(item));
    return has_part(rt, t->bytes(), part->bytes());
  }
  if (const dict* d = container.as_dict()) {
    if (const marked_text* t = item.as_text()) rt.read(t->size());
    if (!key_of(item)) throw refusal("a list or a dict cannot be a key of a dict");
    return d->find(item) != nullptr;
  }
  if (const auto* l = container.as<std::shared_ptr<const list>>()) {
    list_reader items(*l);
    while (const value* v = items.next())
      if (equal(rt, *v, item)) return true;
    return false;
  }
  if (container.is<undefined>()) return false;
  throw refusal("a value of type " + type_name(container) + " contains nothing");
}

// What iter() gives: the items of a list, the keys of a dict, the characters of a text; nothing if it has none.
inline std::shared_ptr<const list> try_items(runtime& rt, const value& v) {
  if (const auto* l = v.as<std::shared_ptr<const list>>()) return *l;
  std::vector<value> items;
  if (const marked_text* t = v.as_text()) {
    items = characters_of(rt, *t);
  } else if (const dict* d = v.as_dict()) {
    rt.work(d->entries().size());
    for (const auto& entry : d->entries()) items.push_back(entry.key);
  } else if (!v.is<undefined>()) {
    return nullptr;
  }
  return std::make_shared<const list>(std::move(items));
}
inline std::shared_ptr<const list> items_of(runtime& rt, const value& v) {
  if (auto items = try_items(rt, v)) return items;
  throw refusal("a value of type " + type_name(v) + " cannot be iterated over");
}
// list(v)
inline std::vector<value> read_all(runtime& rt, const value& v) {
  const auto items = items_of(rt, v);
  rt.work(items->items().size());
  if (items->is_sized()) return items->items();
  const std::size_t begin = std::exchange(items->position(), items->items().size());
  return {items->items().begin() + static_cast<std::ptrdiff_t>(begin), items->items().end()};
}
// len(v)
inline std::size_t length(runtime& rt, const value& v) {
  if (const marked_text* t = v.as_text()) return length_of(rt, *t);
  if (const list* l = v.as_list(); l && l->is_sized()) return l->items().size();
  if (const dict* d = v.as_dict()) return d->entries().size();
  if (v.is<undefined>()) return 0;
  throw refusal("a value of type " + type_name(v) + " has no length");
}

// A list that the template makes. Its items are counted as work.
inline value make_list(runtime& rt, std::vector<value> items, list::kind_type kind = list::kind_type::list) {
  rt.make();
  rt.work(items.size());
  return value(std::make_shared<const list>(std::move(items), kind));
}

}  // namespace iapt::jinja::detail
