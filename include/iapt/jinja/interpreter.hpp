// SPDX-License-Identifier: Apache-2.0
// Executes statements: text, conditions, loops, assignments, macros.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "iapt/jinja/evaluator.hpp"
#include "iapt/jinja/loop.hpp"

namespace iapt::jinja::detail {

class interpreter : private evaluator {
 public:
  using evaluator::evaluator;
  // The text that a template prints.
  marked_text run(const scoped_block& all) {
    text_builder out(rt_, rt_.limit.output_bytes, "output_bytes");
    out_ = &out;
    in_scope(nullptr, all);
    return out.take();
  }

 private:
  // How a block ended: at its end, or at a break or a continue of the loop around it.
  enum class flow { end, break_loop, continue_loop };

  // A macro, or the body of {% call %}. It sees the names of the frame where it stands.
  class macro_object final : public object {
   public:
    macro_object(interpreter& runs, const macro_definition& definition, const std::shared_ptr<frame>& around)
        : runs_(runs), definition_(definition), around_(around) {}
    std::string type_name() const override { return "Macro"; }
    std::optional<value> attribute(runtime& rt, std::string_view name) override {
      if (name == "name") return literal(definition_.name);
      if (name == "caller") return value(definition_.takes_caller);
      if (name == "catch_varargs") return value(definition_.takes_varargs);
      if (name == "catch_kwargs") return value(definition_.takes_kwargs);
      if (name != "arguments") return std::nullopt;
      std::vector<value> names;
      for (const auto& parameter : definition_.parameters) names.push_back(literal(parameter.first));
      return make_list(rt, std::move(names), list::kind_type::tuple);
    }
    value call(runtime&, const arguments& a) override {
      // The frame is not owned: it holds this macro.
      const std::shared_ptr<frame> around = around_.lock();
      if (!around) throw refusal("the macro " + definition_.name + " is called after the block that it stands in");
      return runs_.call_macro(definition_, around, a);
    }

   private:
    interpreter& runs_;
    const macro_definition& definition_;
    std::weak_ptr<frame> around_;
  };
  value make_macro(const macro_definition& m) {
    return value(std::shared_ptr<object>(std::make_shared<macro_object>(*this, m, frame_)));
  }

  // Calls f in a new frame inside of `around`, whose own names are undefined at first.
  template <class F>
  auto in_frame(const std::shared_ptr<frame>& around, const local_names& own, F f) {
    struct restore {
      std::shared_ptr<frame>& current;
      std::shared_ptr<frame> before;
      ~restore() { current = std::move(before); }
    } guard{frame_, frame_};
    frame_ = std::make_shared<frame>(around);
    rt_.work(own->size());
    for (const std::string& name : *own)
      frame_->names.emplace_back(name, make_undefined("'" + name + "' is undefined"));
    return f();
  }
  flow in_scope(const std::shared_ptr<frame>& around, const scoped_block& b) {
    return in_frame(around, b.own, [&] { return execute(b.statements); });
  }
  // What f prints, as a text.
  template <class F>
  value capture(F f) {
    text_builder out(rt_);
    text_builder* const before = std::exchange(out_, &out);
    f();
    out_ = before;
    return out.finish();
  }

  flow execute(const block& statements) {
    const runtime::level level(rt_);
    for (const statement& s : statements) {
      rt_.work();
      rt_.line = s.line;
      const flow f = std::visit([&](const auto& node) { return execute(node); }, s.node);
      if (f != flow::end) return f;
    }
    return flow::end;
  }
  flow execute(const data& d) { return out_->append(d.content), flow::end; }
  flow execute(const print& p) {
    for (const auto& e : p.values) append_str(rt_, *out_, evaluate(e));
    return flow::end;
  }
  flow execute(const if_statement& s) {
    for (const auto& [test, body] : s.branches)
      if (truth(evaluate(test))) return execute(body);
    return execute(s.otherwise);
  }
  flow execute(const break_statement&) { return flow::break_loop; }
  flow execute(const continue_statement&) { return flow::continue_loop; }

  flow execute(const for_statement& s) { return run_loop(s, evaluate(s.iterable), frame_, 0); }
  flow run_loop(const for_statement& s, const value& iterable, const std::shared_ptr<frame>& around,
                std::size_t depth0) {
    const runtime::level level(rt_);
    loop_object::condition wanted;
    if (s.condition)
      wanted = [&](const value& item) {
        return in_frame(around, s.condition_own, [&] { return assign(s.item, item), truth(evaluate(s.condition)); });
      };
    loop_object::recursion again;
    if (s.recursive)
      again = [&](const value& items, std::size_t depth) {
        return capture([&] { run_loop(s, items, around, depth); });
      };
    const auto loop =
        std::make_shared<loop_object>(items_of(rt_, iterable), std::move(wanted), std::move(again), depth0);
    struct finish {
      loop_object& of;
      ~finish() { of.finish(); }
    } guard{*loop};

    bool any = false;
    while (loop->advance()) {
      any = true;
      rt_.work();
      const flow f = in_frame(around, s.body.own, [&] {
        frame_->set("loop", value(std::shared_ptr<object>(loop)));
        assign(s.item, loop->current());
        return execute(s.body.statements);
      });
      if (f == flow::break_loop) break;
    }
    if (any) return flow::end;
    return in_scope(around, s.otherwise);
  }

  void assign(const target& to, const value& v) {
    if (!to.attribute.empty()) {
      const value owner = look_up(to.name);
      auto* space = dynamic_cast<namespace_object*>(owner.as_object());
      if (!space) throw refusal("attributes can be set on a namespace only, not on " + to.name);
      space->set(to.attribute, v);
    } else if (!to.is_tuple) {
      frame_->set(to.name, v);
    } else {
      const std::vector<value> parts = read_all(rt_, v);
      if (parts.size() != to.items.size())
        throw refusal("a value of " + std::to_string(parts.size()) + " items cannot be unpacked into " +
                      std::to_string(to.items.size()) + " names");
      for (std::size_t i = 0; i < parts.size(); ++i) assign(to.items[i], parts[i]);
    }
  }
  flow execute(const set_statement& s) {
    assign(s.to, evaluate(s.content));
    return flow::end;
  }
  // The result of a filter for a block's text.
  value filtered(const expression_ptr& filter, value printed) {
    if (!filter) return printed;
    value before = std::exchange(block_text_, std::move(printed));
    value result = evaluate(filter);
    block_text_ = std::move(before);
    return result;
  }
  // Executes a block and calls use(what it printed, after its filter) in its scope, unless a loop is left.
  template <class Use>
  flow print_and_filter(const scoped_block& body, const expression_ptr& filter, Use use) {
    return in_frame(frame_, body.own, [&] {
      flow f = flow::end;
      value printed = capture([&] { f = execute(body.statements); });
      if (f == flow::end) use(filtered(filter, std::move(printed)));
      return f;
    });
  }
  flow execute(const set_block& s) {
    value content;
    const flow f = print_and_filter(s.body, s.filter, [&](value v) { content = std::move(v); });
    if (f == flow::end) assign(s.to, content);
    return f;
  }
  flow execute(const filter_block& s) {
    return print_and_filter(s.body, s.filter, [&](const value& v) { append_str(rt_, *out_, v); });
  }
  flow execute(const with_statement& s) {
    std::vector<value> values;  // they do not see each other's names
    for (const auto& assignment : s.assignments) values.push_back(evaluate(assignment.second));
    return in_frame(frame_, s.body.own, [&] {
      for (std::size_t i = 0; i < values.size(); ++i) assign(s.assignments[i].first, values[i]);
      return execute(s.body.statements);
    });
  }
  flow execute(const generation_block& g) {
    marked_text printed = *capture([&] { in_scope(frame_, g.body); }).as_text();
    printed.set_generated();
    out_->append(printed);
    return flow::end;
  }

  flow execute(const macro_statement& s) {
    frame_->set(s.macro.name, make_macro(s.macro));
    return flow::end;
  }
  flow execute(const call_block& s) {
    const call& c = std::get<call>(s.callee_call->node);
    const value callee = evaluate(c.callee);
    arguments given = evaluate_arguments(c.arguments);
    given.keywords.emplace_back(marked_text("caller", {}), make_macro(s.caller));
    append_str(rt_, *out_, call_value(rt_, callee, given));
    return flow::end;
  }
  value call_macro(const macro_definition& m, const std::shared_ptr<frame>& around, const arguments& given) {
    const runtime::level level(rt_);
    const std::size_t line = rt_.line;
    value result = capture([&] {
      in_frame(around, m.body.own, [&] {
        bind_parameters(m, given);
        return execute(m.body.statements);
      });
    });
    rt_.line = line;
    return result;
  }
  // Sets a macro's parameters, then the defaults of those that are not given, and the names that its body asks for.
  void bind_parameters(const macro_definition& m, const arguments& given) {
    std::vector<bool> is_used(given.keywords.size());
    const auto take_keyword = [&](std::string_view name) -> const value* {
      for (std::size_t i = 0; i < given.keywords.size(); ++i)
        if (!is_used[i] && given.keywords[i].first.bytes() == name) return is_used[i] = true, &given.keywords[i].second;
      return nullptr;
    };
    std::vector<const expression*> missing;
    for (std::size_t i = 0; i < m.parameters.size(); ++i) {
      const auto& [name, otherwise] = m.parameters[i];
      const value* v = i < given.positional.size() ? &given.positional[i] : take_keyword(name);
      missing.push_back(v ? nullptr : otherwise.get());
      frame_->set(name, v ? *v : make_undefined("parameter '" + name + "' was not provided"));
    }
    for (std::size_t i = 0; i < m.parameters.size(); ++i)
      if (missing[i]) frame_->set(m.parameters[i].first, evaluate(*missing[i]));
    if (m.takes_caller) {
      const value* caller = take_keyword("caller");
      frame_->set("caller", caller ? *caller : make_undefined("No caller defined"));
    }
    dict others;
    for (std::size_t i = 0; i < given.keywords.size(); ++i)
      if (!is_used[i]) others.set(value(given.keywords[i].first), given.keywords[i].second);
    if (!m.takes_kwargs && !others.entries().empty())
      throw refusal("the macro " + m.name + " has no parameter " + others.entries()[0].key.as_text()->bytes());
    if (m.takes_kwargs) frame_->set("kwargs", value(std::move(others)));
    const std::size_t named = std::min(m.parameters.size(), given.positional.size());
    if (!m.takes_varargs && given.positional.size() > named)
      throw refusal("the macro " + m.name + " takes at most " + std::to_string(named) + " arguments");
    std::vector<value> rest(given.positional.begin() + static_cast<std::ptrdiff_t>(named), given.positional.end());
    if (m.takes_varargs) frame_->set("varargs", make_list(rt_, std::move(rest), list::kind_type::tuple));
  }

  text_builder* out_ = nullptr;
};

}  // namespace iapt::jinja::detail
