// SPDX-License-Identifier: Apache-2.0
// The values of templates, as Python has them. Texts, lists and dicts are shared and do not change.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "iapt/jinja/error.hpp"
#include "iapt/jinja/marked_text.hpp"

namespace iapt::jinja {

class list;
class dict;
class object;

/// The value of a name that is not there. It prints as nothing; most other uses are errors with this message.
struct undefined {
  std::shared_ptr<const std::string> message = {};  ///< such as "'tools' is undefined"
};
/// None.
struct none {};
/// A text, and whether HTML escaping leaves it as it is (the filter `safe`).
struct text {
  std::shared_ptr<const marked_text> content;  ///< never null
  bool safe = false;                           ///< Python's Markup: `+` escapes the other operand
};

/// Any value of a template. Copies are cheap.
class value {
 public:
  /// What a value is.
  using storage = std::variant<undefined, none, bool, std::int64_t, double, text, std::shared_ptr<const list>,
                               std::shared_ptr<const dict>, std::shared_ptr<object>>;

  value() = default;                                                                     ///< undefined
  value(undefined u) : storage_(std::move(u)) {}                                         ///< undefined, with a message
  value(none n) : storage_(n) {}                                                         ///< None
  value(double d) : storage_(d) {}                                                       ///< a float
  value(text t) : storage_(std::move(t)) {}                                              ///< a text
  value(marked_text t) : storage_(text{std::make_shared<marked_text>(std::move(t))}) {}  ///< a text
  value(std::shared_ptr<const list> l) : storage_(std::move(l)) {}                       ///< a list
  value(std::shared_ptr<const dict> d) : storage_(std::move(d)) {}                       ///< a dict
  value(std::shared_ptr<object> o) : storage_(std::move(o)) {}                           ///< any other object
  value(list l);                                                                         ///< a list
  value(dict d);                                                                         ///< a dict
  /// A bool; nothing else converts to it.
  value(std::same_as<bool> auto b) : storage_(b) {}
  /// An int.
  template <std::integral I>
  requires(!std::same_as<I, bool> && !std::same_as<I, char>) value(I i) : storage_(static_cast<std::int64_t>(i)) {}

  /// The value if it is a T, else null.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&storage_);
  }
  /// Whether it is a T.
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(storage_);
  }
  /// The text, or null.
  const marked_text* as_text() const {
    const text* t = as<text>();
    return t ? t->content.get() : nullptr;
  }
  /// The list of any kind, or null.
  const list* as_list() const {
    const auto* l = as<std::shared_ptr<const list>>();
    return l ? l->get() : nullptr;
  }
  /// The dict, or null.
  const dict* as_dict() const {
    const auto* d = as<std::shared_ptr<const dict>>();
    return d ? d->get() : nullptr;
  }
  /// The object, or null.
  object* as_object() const {
    const auto* o = as<std::shared_ptr<object>>();
    return o ? o->get() : nullptr;
  }

 private:
  storage storage_;
};

/// What an object is called with.
struct arguments {
  std::vector<value> positional = {};                        ///< by their order
  std::vector<std::pair<marked_text, value>> keywords = {};  ///< by name; a caller may have written the name
};

namespace detail {
struct runtime;

// Nesting of a value that holds others of this depth.
inline std::size_t deeper(std::size_t inner) {
  if (inner >= deepest_value)
    throw refusal("a value would be nested more than " + std::to_string(deepest_value) + " deep (limit deepest_value)");
  return inner + 1;
}
}  // namespace detail

/// What has attributes or can be called: functions, methods, macros, loops, namespaces.
class object {
 public:
  virtual ~object() = default;
  /// Python's name of the type, for messages.
  virtual std::string type_name() const = 0;
  /// The attribute of this name, if there is one.
  virtual std::optional<value> attribute(detail::runtime&, std::string_view) { return std::nullopt; }
  /// Whether it can be called.
  virtual bool callable() const { return true; }
  /// Calls it.
  virtual value call(detail::runtime&, const arguments&) {
    throw detail::refusal("'" + type_name() + "' object is not callable");
  }
  /// Nesting of the values that it holds.
  virtual std::size_t depth() const { return 1; }
};

namespace detail {
inline std::size_t depth_of(const value& v);
}

/// A list, a tuple, or what Python iterates over in the same way.
class list {
 public:
  /// What it is in Python.
  enum class kind_type { list, tuple, group, range, keys, values, items, generator };
  /// Holds these items.
  /// @throws error if it is nested more than deepest_value deep
  explicit list(std::vector<value> items, kind_type kind = kind_type::list) : items_(std::move(items)), kind_(kind) {
    std::size_t inner = 0;
    for (const value& v : items_) inner = std::max(inner, detail::depth_of(v));
    depth_ = detail::deeper(inner);
  }
  /// The items; of a generator, also those that were read.
  const std::vector<value>& items() const { return items_; }
  /// What it is in Python.
  kind_type kind() const { return kind_; }
  /// Whether len() and reading it twice are possible.
  bool is_sized() const { return kind_ != kind_type::generator; }
  /// Whether it has indices.
  bool is_sequence() const { return kind_ <= kind_type::range; }
  /// Whether it is a tuple.
  bool is_tuple() const { return kind_ == kind_type::tuple || kind_ == kind_type::group; }
  /// Its nesting.
  std::size_t depth() const { return depth_; }
  /// Index of the item that a generator gives next. Only a template's own values have it, in one thread.
  std::size_t& position() const { return position_; }

 private:
  std::vector<value> items_;
  kind_type kind_;
  std::size_t depth_ = 1;
  mutable std::size_t position_ = 0;
};

namespace detail {
// A text that is equal for keys that are equal in Python (1, 1.0 and True); nothing if the value cannot be a key.
inline std::optional<std::string> key_of(const value& v);
}  // namespace detail

/// A dict. It keeps the order of its keys.
class dict {
 public:
  /// One key and what it maps to.
  struct entry {
    value key;      ///< text, number, None, or a tuple of these
    value content;  ///< any value
  };
  /// Adds an entry or replaces its content; the first key stays.
  /// @throws error if the key is a list or a dict, or if it is nested more than deepest_value deep
  void set(value key, value content) {
    auto name = detail::key_of(key);
    if (!name) throw detail::refusal("a list or a dict cannot be a key of a dict");
    depth_ = std::max(depth_, detail::deeper(std::max(detail::depth_of(key), detail::depth_of(content))));
    const auto [found, is_new] = index_.try_emplace(std::move(*name), entries_.size());
    if (is_new)
      entries_.push_back({std::move(key), std::move(content)});
    else
      entries_[found->second].content = std::move(content);
  }
  /// Adds an entry whose key the template wrote.
  void set(std::string_view key, value content) { set(value(marked_text(key, {})), std::move(content)); }
  /// What a key maps to, or null.
  const value* find(const value& key) const {
    const auto name = detail::key_of(key);
    return name ? find_name(*name) : nullptr;
  }
  /// What a text maps to, or null.
  const value* find(std::string_view key) const { return find_name("s" + std::string(key)); }
  /// The entries, in the order of their keys.
  const std::vector<entry>& entries() const { return entries_; }
  /// Its nesting.
  std::size_t depth() const { return depth_; }

 private:
  const value* find_name(const std::string& name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &entries_[found->second].content;
  }
  std::vector<entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;
  std::size_t depth_ = 1;
};

inline value::value(list l) : storage_(std::make_shared<const list>(std::move(l))) {}
inline value::value(dict d) : storage_(std::make_shared<const dict>(std::move(d))) {}

namespace detail {

inline std::size_t depth_of(const value& v) {
  if (const list* l = v.as_list()) return l->depth();
  if (const dict* d = v.as_dict()) return d->depth();
  if (const object* o = v.as_object()) return o->depth();
  return 0;
}

// Numbers: an integral float is the int that it equals.
inline std::string key_of_number(double d) {
  constexpr double bound = 9223372036854775808.0;  // 2^63
  if (d >= -bound && d < bound && static_cast<double>(static_cast<std::int64_t>(d)) == d)
    return "i" + std::to_string(static_cast<std::int64_t>(d));
  return "f" + std::string(reinterpret_cast<const char*>(&d), sizeof d);
}

inline std::optional<std::string> key_of(const value& v) {
  if (const marked_text* t = v.as_text()) return "s" + t->bytes();
  if (const auto* i = v.as<std::int64_t>()) return "i" + std::to_string(*i);
  if (const bool* b = v.as<bool>()) return *b ? "i1" : "i0";
  if (const double* d = v.as<double>()) return key_of_number(*d);
  if (v.is<none>()) return "n";
  if (v.is<undefined>()) return "u";
  if (const object* o = v.as_object()) return "o" + std::string(reinterpret_cast<const char*>(&o), sizeof o);
  const list* l = v.as_list();
  if (!l || !l->is_tuple()) return std::nullopt;
  std::string all = "t";
  for (const value& item : l->items()) {
    const auto name = key_of(item);
    if (!name) return std::nullopt;
    all += std::to_string(name->size()) + ":" + *name;
  }
  return all;
}

// A text of the template's.
inline value literal(std::string_view bytes) { return value(marked_text(bytes, {})); }

}  // namespace detail
}  // namespace iapt::jinja
