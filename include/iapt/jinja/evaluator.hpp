// SPDX-License-Identifier: Apache-2.0
// Evaluates expressions: names in their frames, operators, calls.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "iapt/jinja/ast.hpp"
#include "iapt/jinja/globals.hpp"

namespace iapt::jinja::detail {

// The names that a scope assigns. What it does not assign is in the frames around it.
struct frame {
  explicit frame(std::shared_ptr<frame> around) : parent(std::move(around)) {}
  std::shared_ptr<frame> parent;
  std::vector<std::pair<std::string_view, value>> names = {};  // views into the tree

  value* find(std::string_view name) {
    for (auto& [other, content] : names)
      if (other == name) return &content;
    return nullptr;
  }
  void set(std::string_view name, value content) {
    if (value* found = find(name))
      *found = std::move(content);
    else
      names.emplace_back(name, std::move(content));
  }
};

class evaluator {
 public:
  evaluator(runtime& rt, const dict& variables) : rt_(rt), variables_(variables) {}

 protected:
  value evaluate(const expression& e) {
    const runtime::level level(rt_);
    rt_.work();
    rt_.line = e.line;
    return std::visit([&](const auto& node) { return evaluate(node, e.line); }, e.node);
  }
  value evaluate(const expression_ptr& e) { return evaluate(*e); }

  arguments evaluate_arguments(const call_arguments& a) {
    arguments given;
    for (const auto& e : a.positional) given.positional.push_back(evaluate(e));
    if (a.star)
      for (value& v : read_all(rt_, evaluate(a.star))) given.positional.push_back(std::move(v));
    for (const auto& [name, e] : a.keywords) given.keywords.emplace_back(marked_text(name, {}), evaluate(e));
    if (a.double_star) {
      const value more = evaluate(a.double_star);
      if (!more.as_dict()) throw refusal("what follows ** in a call must be a dict");
      rt_.work(more.as_dict()->entries().size());
      for (const auto& [key, content] : more.as_dict()->entries()) {
        if (!key.is<text>()) throw refusal("the names of arguments must be texts");
        for (const auto& keyword : a.keywords)
          if (keyword.first == key.as_text()->bytes()) throw refusal("an argument is given twice");
        given.keywords.emplace_back(*key.as_text(), content);
      }
    }
    return given;
  }
  value look_up(std::string_view name) {
    for (frame* f = frame_.get(); f; f = f->parent.get()) {
      rt_.work(1 + f->names.size() / 16);
      if (const value* found = f->find(name)) return *found;
    }
    if (const value* found = variables_.find(name)) return *found;
    if (const value* found = globals::find(name)) return *found;
    if (name == "self") throw refusal("the variable self, of templates with blocks, is not supported");
    return make_undefined("'" + std::string(name) + "' is undefined");
  }

  runtime& rt_;
  std::shared_ptr<frame> frame_ = nullptr;  // the innermost one
  value block_text_ = {};                   // of the block that a filter is applied to

 private:
  value evaluate(const constant& c, std::size_t) { return c.content; }
  value evaluate(const name_load& n, std::size_t) { return look_up(n.name); }
  value evaluate(const block_text&, std::size_t) { return block_text_; }
  value evaluate(const sequence_literal& s, std::size_t) {
    std::vector<value> items;
    for (const auto& e : s.items) items.push_back(evaluate(e));
    return make_list(rt_, std::move(items), s.is_tuple ? list::kind_type::tuple : list::kind_type::list);
  }
  value evaluate(const dict_literal& l, std::size_t) {
    dict d;
    for (const auto& [key, content] : l.entries) {
      rt_.make();
      value k = evaluate(key);
      d.set(std::move(k), evaluate(content));
    }
    return value(std::move(d));
  }
  value evaluate(const attribute_load& a, std::size_t line) {
    const value object = evaluate(a.object);
    rt_.line = line;
    return get_attribute(rt_, object, a.name);
  }
  value evaluate(const subscript& s, std::size_t line) {
    const value object = evaluate(s.object), index = evaluate(s.index);
    rt_.line = line;
    return get_item(rt_, object, index);
  }
  value evaluate(const slice& s, std::size_t line) {
    const auto bound = [&](const expression_ptr& e) { return e ? evaluate(e) : value(none{}); };
    const value object = evaluate(s.object), start = bound(s.start), stop = bound(s.stop), step = bound(s.step);
    rt_.line = line;
    return slice_of(rt_, object, start, stop, step);
  }
  value evaluate(const call& c, std::size_t line) {
    const value callee = evaluate(c.callee);
    const arguments given = evaluate_arguments(c.arguments);
    rt_.line = line;
    return call_value(rt_, callee, given);
  }
  value evaluate(const filter_call& f, std::size_t line) { return apply(f, "filter", line); }
  value evaluate(const test_call& t, std::size_t line) { return apply(t, "test", line); }
  template <class Call>
  value apply(const Call& c, const char* kind, std::size_t line) {
    if (!c.function) throw refusal("there is no " + std::string(kind) + " " + c.name);
    const value input = evaluate(c.input);
    const arguments given = evaluate_arguments(c.arguments);
    rt_.line = line;
    return c.function(rt_, input, given);
  }
  value evaluate(const unary& u, std::size_t) { return compute(u.op, evaluate(u.operand)); }
  value evaluate(const arithmetic_chain& c, std::size_t) {
    value result = evaluate(c.first);
    for (const auto& [op, operand] : c.rest) result = compute(rt_, op, result, evaluate(operand));
    return result;
  }
  value evaluate(const comparison_chain& c, std::size_t) {
    value left = evaluate(c.first);
    for (const auto& [op, operand] : c.rest) {
      value right = evaluate(operand);
      if (!compare(op, left, right)) return false;
      left = std::move(right);
    }
    return true;
  }
  bool compare(comparison op, const value& a, const value& b) {
    switch (op) {
      case comparison::equal:
        return equal(rt_, a, b);
      case comparison::not_equal:
        return !equal(rt_, a, b);
      case comparison::in:
        return contains(rt_, b, a);
      case comparison::not_in:
        return !contains(rt_, b, a);
      case comparison::less:
        return order(rt_, a, b) < 0;
      case comparison::less_equal:
        return order(rt_, a, b) <= 0;
      case comparison::greater:
        return order(rt_, a, b) > 0;
      case comparison::greater_equal:
        break;
    }
    return order(rt_, a, b) >= 0;
  }
  value evaluate(const concatenation& c, std::size_t) {
    text_builder out(rt_);
    for (const auto& part : c.parts) append_str(rt_, out, evaluate(part));
    return out.finish();
  }
  value evaluate(const logical_chain& c, std::size_t) {
    for (std::size_t i = 0; i + 1 < c.operands.size(); ++i) {
      value v = evaluate(c.operands[i]);
      if (truth(v) != c.is_and) return v;
    }
    return evaluate(c.operands.back());
  }
  value evaluate(const conditional& c, std::size_t line) {
    if (truth(evaluate(c.test))) return evaluate(c.then);
    if (c.otherwise) return evaluate(c.otherwise);
    return make_undefined("the conditional expression in line " + std::to_string(line) + " is false and has no else");
  }

  const dict& variables_;
};

}  // namespace iapt::jinja::detail
