// SPDX-License-Identifier: Apache-2.0
// v.name and v[key], with the rules of Jinja2's sandbox.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/methods.hpp"

namespace iapt::jinja::detail {

inline value make_unsafe(const value& v, std::string_view name) {
  return make_undefined("access to attribute '" + std::string(name) + "' of '" + type_name(v) + "' object is unsafe");
}

// What Python's getattr finds: methods and attributes, no keys.
inline std::optional<value> own_attribute(runtime& rt, const value& v, std::string_view name) {
  if (name.starts_with("__") && name.ends_with("__"))
    throw refusal("access to attribute '" + std::string(name) + "' of '" + type_name(v) + "' object is unsafe");
  if (object* o = v.as_object()) return o->attribute(rt, name);
  if (methods::is_unsupported(v, name))
    throw refusal("'" + std::string(name) + "' of '" + type_name(v) + "' is not supported");
  const list* l = v.as_list();
  method_function f = nullptr;
  if (v.is<text>()) {
    f = find_in(methods::of_texts(), name);
  } else if (v.as_dict()) {
    if (methods::mutates_dict(name)) return make_unsafe(v, name);
    f = find_in(methods::of_dicts(), name);
  } else if (l && l->kind() == list::kind_type::list) {
    if (methods::mutates_list(name)) return make_unsafe(v, name);
    f = find_in(methods::of_lists(), name);
  } else if (l && l->is_sequence()) {
    if (l->kind() == list::kind_type::group && (name == "grouper" || name == "list")) return l->items()[name == "list"];
    if (name != "copy") f = find_in(methods::of_lists(), name);
  }
  if (!f) return std::nullopt;
  return value(std::make_shared<bound_method>(v, std::string(name), f));
}

inline std::string shown_object(const value& v) { return v.is<none>() ? "None" : type_name(v) + " object"; }

// v.name: the attribute, else the key.
inline value get_attribute(runtime& rt, const value& v, std::string_view name) {
  rt.work();
  if (v.is<undefined>()) refuse_undefined(v);
  if (auto found = own_attribute(rt, v, name)) return *found;
  if (const dict* d = v.as_dict())
    if (const value* found = d->find(name)) return *found;
  return make_undefined("'" + shown_object(v) + "' has no attribute '" + std::string(name) + "'");
}
// v[key]: the item, else the attribute.
inline value get_item(runtime& rt, const value& v, const value& key) {
  rt.work();
  if (v.is<undefined>()) refuse_undefined(v);
  if (auto found = subscript_of(rt, v, key)) return *found;
  if (const marked_text* name = key.as_text()) {
    if (auto found = own_attribute(rt, v, name->bytes())) return *found;
    return make_undefined("'" + shown_object(v) + "' has no attribute '" + name->bytes() + "'");
  }
  return make_undefined(shown_object(v) + " has no such element");
}

inline value call_value(runtime& rt, const value& callee, const arguments& a) {
  if (callee.is<undefined>()) refuse_undefined(callee);
  object* o = callee.as_object();
  if (!o) throw refusal("a value of type " + type_name(callee) + " cannot be called");
  const std::shared_ptr<object> keep = *callee.as<std::shared_ptr<object>>();  // while it runs
  return o->call(rt, a);
}

// What the filters' argument `attribute` names: keys and indices with dots between them.
class attribute_path {
 public:
  // `attribute` may be null or None: then the value itself.
  explicit attribute_path(const value* attribute) {
    if (!attribute || attribute->is<none>()) return;
    const marked_text* t = attribute->as_text();
    if (!t) parts_.push_back(*attribute);
    if (!t) return;
    for (std::size_t at = 0; at <= t->size();) {
      const std::size_t dot = std::min(t->bytes().find('.', at), t->size());
      const std::string part = t->bytes().substr(at, dot - at);
      const bool is_index = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
      parts_.push_back(is_index ? value(parse_int(part, 10).value_or(0)) : value(t->substr(at, dot - at)));
      at = dot + 1;
    }
  }
  // The value at the path. `otherwise`, if it is not null, replaces what is undefined on the way.
  value get(runtime& rt, value v, const value* otherwise = nullptr) const {
    for (const value& part : parts_) {
      v = get_item(rt, v, part);
      if (otherwise && !otherwise->is<none>() && v.is<undefined>()) v = *otherwise;
    }
    return v;
  }

 private:
  std::vector<value> parts_;
};

}  // namespace iapt::jinja::detail
