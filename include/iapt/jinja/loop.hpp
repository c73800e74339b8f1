// SPDX-License-Identifier: Apache-2.0
// The variable `loop` of {% for %}.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "iapt/jinja/lookup.hpp"

namespace iapt::jinja::detail {

// Reads the items of a loop, one ahead at most unless its length is asked for: a condition may see what the body does.
class loop_object final : public object, public std::enable_shared_from_this<loop_object> {
 public:
  using condition = std::function<bool(const value&)>;                // null: all items
  using recursion = std::function<value(const value&, std::size_t)>;  // renders the loop again; null: not recursive

  loop_object(std::shared_ptr<const list> items, condition wanted, recursion again, std::size_t depth0)
      : source_(items),
        items_(std::move(items)),
        wanted_(std::move(wanted)),
        again_(std::move(again)),
        depth0_(depth0) {}
  std::string type_name() const override { return "LoopContext"; }
  std::size_t depth() const override { return deeper(source_->depth()); }

  // Goes to the next item; false after the last one.
  bool advance() {
    auto next = peek();
    if (!next) return false;
    ahead_.reset();
    ++index_;
    before_ = std::exchange(current_, std::move(*next));
    return true;
  }
  const value& current() const { return current_; }
  // Ends the loop: what stands for the template's frames is gone then.
  void finish() {
    wanted_ = nullptr;
    again_ = nullptr;
    changed_.reset();
    is_over_ = true;
  }

  std::optional<value> attribute(runtime&, std::string_view name) override {
    using reader = value (*)(loop_object&);
    static const std::unordered_map<std::string_view, reader> table = {
        {"index", [](loop_object& l) { return value(l.index_ + 1); }},
        {"index0", [](loop_object& l) { return value(l.index_); }},
        {"revindex", [](loop_object& l) { return value(l.length() - l.index_); }},
        {"revindex0", [](loop_object& l) { return value(l.length() - l.index_ - 1); }},
        {"first", [](loop_object& l) { return value(l.index_ == 0); }},
        {"last", [](loop_object& l) { return value(!l.peek()); }},
        {"length", [](loop_object& l) { return value(l.length()); }},
        {"depth", [](loop_object& l) { return value(l.depth0_ + 1); }},
        {"depth0", [](loop_object& l) { return value(l.depth0_); }},
        {"previtem", [](loop_object& l) { return l.index_ ? l.before_ : make_undefined("there is no previous item"); }},
        {"nextitem", [](loop_object& l) { return l.peek().value_or(make_undefined("there is no next item")); }}};
    if (name == "cycle") return method_value(&loop_object::cycle);  // nvcc refuses a member's address in a lambda
    if (name == "changed") return method_value(&loop_object::changed);
    const auto found = table.find(name);
    return found == table.end() ? std::nullopt : std::optional(found->second(*this));
  }
  value call(runtime&, const arguments& a) override {
    const auto [items] = bind<1>("loop", a, {"iterable"}, 1);
    if (!again_) throw refusal("the loop must be marked `recursive` to be called, and it must not be over");
    return again_(*items, depth0_ + 1);
  }

 private:
  using method_pointer = value (loop_object::*)(runtime&, const arguments&);
  class method final : public object {
   public:
    method(std::shared_ptr<loop_object> loop, method_pointer function) : loop_(std::move(loop)), function_(function) {}
    std::string type_name() const override { return "method"; }
    std::size_t depth() const override { return deeper(loop_->depth()); }
    value call(runtime& rt, const arguments& a) override {
      rt.work();
      return (*loop_.*function_)(rt, a);
    }

   private:
    std::shared_ptr<loop_object> loop_;
    method_pointer function_;
  };
  value method_value(method_pointer f) {
    return value(std::shared_ptr<object>(std::make_shared<method>(shared_from_this(), f)));
  }

  const std::optional<value>& peek() {
    while (!ahead_) {
      const value* next = items_.next();
      if (!next) break;
      if (!wanted_ || wanted_(*next)) ahead_ = *next;
    }
    return ahead_;
  }
  std::int64_t length() {
    if (length_) return *length_;
    if (!wanted_ && source_->is_sized()) {
      length_ = static_cast<std::int64_t>(source_->items().size());
    } else {
      // The rest is read now.
      std::vector<value> rest;
      while (peek()) rest.push_back(*std::exchange(ahead_, std::nullopt));
      length_ = index_ + 1 + static_cast<std::int64_t>(rest.size());
      items_ = list_reader(std::make_shared<const list>(std::move(rest)));
      wanted_ = nullptr;
    }
    return *length_;
  }
  value cycle(runtime&, const arguments& a) {
    if (a.positional.empty() || !a.keywords.empty()) throw refusal("loop.cycle(): it takes items to choose from");
    return a.positional[static_cast<std::size_t>(index_) % a.positional.size()];
  }
  // Whether it is called with other values than before.
  value changed(runtime& rt, const arguments& a) {
    if (is_over_ || !a.keywords.empty()) throw refusal("loop.changed() takes values, in its loop");
    value now = make_list(rt, a.positional, list::kind_type::tuple);
    if (changed_ && equal(rt, *changed_, now)) return false;
    changed_ = std::move(now);
    return true;
  }

  std::shared_ptr<const list> source_;
  list_reader items_;
  condition wanted_;
  recursion again_;
  std::size_t depth0_;
  std::int64_t index_ = -1;
  value before_, current_;
  std::optional<value> ahead_, changed_;
  std::optional<std::int64_t> length_;
  bool is_over_ = false;
};

}  // namespace iapt::jinja::detail
