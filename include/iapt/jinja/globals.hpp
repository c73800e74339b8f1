// SPDX-License-Identifier: Apache-2.0
// What every template finds: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
#pragma once
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "iapt/jinja/lookup.hpp"

namespace iapt::jinja::detail {

// A function of the interpreter.
class native_function final : public object {
 public:
  using function = value (*)(runtime&, const arguments&);
  explicit native_function(function f) : function_(f) {}
  std::string type_name() const override { return "function"; }
  value call(runtime& rt, const arguments& a) override {
    rt.work();
    return function_(rt, a);
  }

 private:
  function function_;
};

// dict(): from a dict or from pairs, and keyword arguments.
inline dict make_dict(runtime& rt, const arguments& a) {
  if (a.positional.size() > 1) throw refusal("dict(): it takes at most one positional argument");
  dict d;
  const auto set = [&](const value& key, const value& content) {
    if (const marked_text* t = key.as_text()) rt.read(t->size());
    rt.make();
    d.set(key, content);
  };
  if (!a.positional.empty()) {
    const value& from = a.positional[0];
    if (const dict* other = from.as_dict()) {
      for (const auto& e : other->entries()) set(e.key, e.content);
    } else {
      for (const value& pair : read_all(rt, from)) {
        const auto both = read_all(rt, pair);
        if (both.size() != 2) throw refusal("dict(): its argument must be a dict or pairs");
        set(both[0], both[1]);
      }
    }
  }
  for (const auto& [name, content] : a.keywords) set(value(name), content);
  return d;
}

// The only object whose attributes a template may set.
class namespace_object final : public object {
 public:
  explicit namespace_object(dict attributes) : attributes_(std::move(attributes)) {
    for (const auto& e : attributes_.entries())
      if (const marked_text* name = e.key.as_text()) require_public(name->bytes());
  }
  std::string type_name() const override { return "Namespace"; }
  bool callable() const override { return false; }
  std::optional<value> attribute(runtime&, std::string_view name) override {
    const value* found = attributes_.find(name);
    return found ? std::optional(*found) : std::nullopt;
  }
  void set(std::string_view name, value content) {
    require_public(name);
    attributes_.set(name, std::move(content));
  }
  // It may hold itself, so its end is not left to reference counts.
  void clear() { attributes_ = dict(); }

 private:
  static void require_public(std::string_view name) {
    if (name.starts_with('_'))
      throw refusal("an attribute of a namespace must not begin with an underscore: " + std::string(name));
  }
  dict attributes_;
};

inline runtime::~runtime() {
  for (const auto& space : namespaces) space->clear();
}

// It gives its items in turn.
class cycler_object final : public object, public std::enable_shared_from_this<cycler_object> {
 public:
  explicit cycler_object(std::vector<value> items) : items_(std::move(items)) {
    if (items_.items().empty()) throw refusal("cycler(): it needs an item");
  }
  std::string type_name() const override { return "Cycler"; }
  bool callable() const override { return false; }
  std::size_t depth() const override { return deeper(items_.depth()); }
  std::optional<value> attribute(runtime&, std::string_view name) override {
    if (name == "current") return items_.items()[at_];
    if (name == "next" || name == "reset")
      return value(std::shared_ptr<object>(std::make_shared<method>(shared_from_this(), name == "reset")));
    return std::nullopt;
  }

 private:
  class method final : public object {
   public:
    method(std::shared_ptr<cycler_object> cycler, bool resets) : cycler_(std::move(cycler)), resets_(resets) {}
    std::string type_name() const override { return "method"; }
    std::size_t depth() const override { return deeper(cycler_->depth()); }
    value call(runtime& rt, const arguments& a) override {
      rt.work();
      bind_none("a method of a cycler", a);
      const std::size_t at = cycler_->at_, count = cycler_->items_.items().size();
      cycler_->at_ = resets_ ? 0 : (at + 1) % count;
      return resets_ ? value(none{}) : cycler_->items_.items()[at];
    }

   private:
    std::shared_ptr<cycler_object> cycler_;
    bool resets_;
  };
  list items_;
  std::size_t at_ = 0;
};

// It gives nothing at first and its separator from then on.
class joiner_object final : public object {
 public:
  explicit joiner_object(value separator) : separator_(std::move(separator)) {}
  std::string type_name() const override { return "Joiner"; }
  std::size_t depth() const override { return deeper(depth_of(separator_)); }
  value call(runtime&, const arguments& a) override {
    bind_none("joiner", a);
    return std::exchange(used_, true) ? separator_ : literal("");
  }

 private:
  value separator_;
  bool used_ = false;
};

namespace globals {

inline value range(runtime& rt, const arguments& a) {
  constexpr std::int64_t most = 100'000;  // as in Jinja2's sandbox
  const auto [first, second, third] = bind<3>("range", a, {"-", "-", "-"}, 1);
  const std::int64_t start = second ? int_of(first, 0) : 0, stop = int_of(second ? second : first, 0),
                     step = int_of(third, 1);
  if (step == 0) throw refusal("range(): the step is zero");
  std::vector<value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<std::int64_t>(items.size()) == most) throw refusal("range(): it has more than 100000 items");
    items.push_back(value(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return make_list(rt, std::move(items), list::kind_type::range);
}
inline value dict_function(runtime& rt, const arguments& a) { return make_dict(rt, a); }
inline value namespace_function(runtime& rt, const arguments& a) {
  rt.make();
  auto made = std::make_shared<namespace_object>(make_dict(rt, a));
  rt.namespaces.push_back(made);
  return value(std::shared_ptr<object>(std::move(made)));
}
inline value cycler(runtime& rt, const arguments& a) {
  if (!a.keywords.empty()) throw refusal("cycler(): it takes no keyword arguments");
  rt.work(a.positional.size());
  return value(std::shared_ptr<object>(std::make_shared<cycler_object>(a.positional)));
}
inline value joiner(runtime&, const arguments& a) {
  const auto [separator] = bind<1>("joiner", a, {"sep"});
  return value(std::shared_ptr<object>(std::make_shared<joiner_object>(separator ? *separator : literal(", "))));
}
inline value raise_exception(runtime& rt, const arguments& a) {
  const auto [message] = bind<1>("raise_exception", a, {"message"}, 1);
  throw raised_message(str(rt, *message).content->bytes());
}
// What stands between the fields of the format keeps its marks; the fields are the interpreter's.
inline value strftime_now(runtime& rt, const arguments& a) {
  const auto [given] = bind<1>("strftime_now", a, {"format"}, 1);
  const marked_text* format = text_of(given);
  if (!format) throw refusal("strftime_now(): the format must be a text");
  const std::tm now = rt.now();
  text_builder out(rt);
  const std::string& f = format->bytes();
  for (std::size_t at = 0; at < f.size(); ++at) {
    if (f[at] != '%') {
      out.append(*format, at, 1);
      continue;
    }
    const std::size_t size = at + 2 < f.size() && f[at + 1] == '-' ? 3 : 2;  // %-d: without a leading zero
    const std::string field = f.substr(at, size);
    if (field.size() < 2 ||
        std::string_view("aAbBcdHIjmMpSUwWxXyYZ%DeFTR").find(field.back()) == std::string_view::npos)
      throw refusal("strftime_now(): the field " + field + " is not supported");
    char buffer[200];
    out.literal({buffer, std::strftime(buffer, sizeof buffer, field.c_str(), &now)});
    at += size - 1;
  }
  return out.finish();
}

// The global of a name, or null.
inline const value* find(std::string_view name) {
  static const auto make = [](native_function::function f) {
    return value(std::shared_ptr<object>(std::make_shared<native_function>(f)));
  };
  static const std::unordered_map<std::string_view, value> table = {
      {"range", make(range)},
      {"dict", make(dict_function)},
      {"namespace", make(namespace_function)},
      {"cycler", make(cycler)},
      {"joiner", make(joiner)},
      {"raise_exception", make(raise_exception)},
      {"strftime_now", make(strftime_now)},
  };
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace globals
}  // namespace iapt::jinja::detail
