// SPDX-License-Identifier: Apache-2.0
// Parses a template: its statements and the text between them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "iapt/jinja/expression_parser.hpp"

namespace iapt::jinja::detail {

class parser : private expression_parser {
 public:
  // The statements of `source`, which is valid UTF-8.
  static scoped_block parse(std::string_view source) {
    parser p(lexer::split(source));
    try {
      return p.parse_template();
    } catch (const syntax_refusal&) { throw; } catch (const refusal& refused) {  // a number that is too large
      p.refuse(refused.what());
    }
  }

 private:
  using expression_parser::expression_parser;

  scoped_block parse_template() {
    scoped_block all{scopes_.open(), parse_block({})};
    scopes_.finish();
    require_known(0);
    return all;
  }

  // Statements up to a tag that begins with one of these names, which stays the current token.
  block parse_block(std::initializer_list<std::string_view> ends) {
    nesting level(*this);
    block out;
    while (current().kind != token_kind::end) {
      const token t = next();
      if (t.kind == token_kind::data) {
        out.push_back({t.line, data{marked_text(t.text, {})}});
      } else if (t.kind == token_kind::print_begin) {
        print p;
        p.values.push_back(parse_tuple());
        if (current().kind != token_kind::print_end) refuse("expected '}}', not " + shown(current()));
        next();
        out.push_back({t.line, std::move(p)});
      } else {
        for (const std::string_view end : ends)
          if (at_name(end)) return out;
        parse_tag(out);
        end_tag();
      }
    }
    if (ends.size()) refuse("the template ends where {% " + std::string(*(ends.end() - 1)) + " %} is expected");
    return out;
  }
  void end_tag() {
    if (current().kind != token_kind::block_end) refuse("expected '%}', not " + shown(current()));
    next();
  }
  // The rest of the opening tag, the statements, and the name of the tag after them, which is read.
  block parse_body(std::initializer_list<std::string_view> ends) {
    skip_symbol(":");
    end_tag();
    return parse_block(ends);
  }
  // The rest of a scope that is open, up to one end. Filters and tests in it must exist, whatever stands around it.
  block parse_scope(std::string_view end) {
    const std::size_t unknown_before = unknown_.size();
    block body = parse_body({end});
    next();
    require_known(unknown_before);
    scopes_.close();
    return body;
  }
  void require_known(std::size_t before) const {
    if (unknown_.size() > before) throw syntax_refusal(unknown_[before].line, unknown_[before].text);
  }

  void parse_tag(block& out) {
    using parse_function = void (parser::*)(block&, std::size_t);
    static const std::unordered_map<std::string_view, parse_function> tags = {
        {"if", &parser::parse_if},
        {"for", &parser::parse_for},
        {"set", &parser::parse_set},
        {"macro", &parser::parse_macro},
        {"call", &parser::parse_call},
        {"filter", &parser::parse_filter_block},
        {"with", &parser::parse_with},
        {"generation", &parser::parse_generation},
        {"print", &parser::parse_print},
        {"break", &parser::parse_loop_control<break_statement>},
        {"continue", &parser::parse_loop_control<continue_statement>}};
    const std::size_t line = current().line;
    const std::string name = expect_name();
    for (const char* other : {"import", "from", "include", "extends", "block", "autoescape"})
      if (name == other) throw syntax_refusal(line, "{% " + name + " %} is not supported");
    const auto found = tags.find(name);
    if (found == tags.end()) throw syntax_refusal(line, "there is no tag {% " + name + " %} here");
    (this->*found->second)(out, line);
  }

  void parse_if(block& out, std::size_t line) {
    const std::size_t unknown_before = unknown_.size();
    if_statement s;
    scopes_.begin_condition();
    while (true) {
      expression_ptr test = parse_tuple(false);
      s.branches.emplace_back(std::move(test), parse_body({"elif", "else", "endif"}));
      const std::string end = next().text;
      if (end == "elif") continue;
      if (end == "else") s.otherwise = parse_body({"endif"}), next();
      break;
    }
    scopes_.end_condition();
    unknown_.resize(unknown_before);
    out.push_back({line, std::move(s)});
  }
  void parse_for(block& out, std::size_t line) {
    for_statement s{parse_target("in", false), nullptr, nullptr, nullptr, false, {}, {}};
    if (names(s.item, "loop")) throw syntax_refusal(line, "'loop' cannot be the variable of a loop");
    if (!skip_name("in")) refuse("expected 'in', not " + shown(current()));
    s.iterable = parse_tuple(false, "recursive");
    if (skip_name("if")) {
      s.condition_own = scopes_.open();
      scopes_.store(s.item);
      s.condition = parse_expression();
      scopes_.close();
    }
    s.recursive = skip_name("recursive");
    const std::size_t unknown_before = unknown_.size();
    s.body.own = scopes_.open();
    scopes_.store("loop");
    scopes_.store(s.item);
    ++loops_;
    s.body.statements = parse_body({"else", "endfor"});
    --loops_;
    scopes_.close();
    s.otherwise.own = scopes_.open();
    if (next().text == "else") s.otherwise.statements = parse_body({"endfor"}), next();
    scopes_.close();
    require_known(unknown_before);
    out.push_back({line, std::move(s)});
  }
  template <class Control>
  void parse_loop_control(block& out, std::size_t line) {
    if (loops_ == 0) throw syntax_refusal(line, "{% break %} and {% continue %} must stand in a loop");
    out.push_back({line, Control{}});
  }

  // A name, an attribute of a namespace if `in_set`, or several of them.
  target parse_target(std::string_view end_name, bool in_set) {
    nesting level(*this);
    target all{.is_tuple = true};
    bool comma = false;
    while (!at_tuple_end(end_name) && !at_symbol("=")) {
      all.items.push_back(parse_one_target(in_set));
      if (!skip_symbol(",")) break;
      comma = true;
    }
    if (all.items.empty()) refuse("expected a name to assign to, not " + shown(current()));
    return comma ? all : std::move(all.items.front());
  }
  static bool names(const target& t, std::string_view name) {
    return t.name == name ||
           std::any_of(t.items.begin(), t.items.end(), [&](const target& i) { return names(i, name); });
  }
  target parse_one_target(bool in_set) {
    nesting level(*this);
    if (skip_symbol("(")) {
      target t = parse_target({}, in_set);
      expect_symbol(")");
      return t;
    }
    target t{.name = expect_name()};
    for (const char* constant : {"true", "false", "none", "True", "False", "None"})
      if (t.name == constant) refuse("'" + t.name + "' cannot be assigned to");
    if (in_set && skip_symbol(".")) t.attribute = expect_name();
    return t;
  }

  void parse_set(block& out, std::size_t line) {
    target to = parse_target({}, true);
    if (skip_symbol("=")) {
      expression_ptr content = parse_tuple();
      scopes_.store(to);
      out.push_back({line, set_statement{std::move(to), std::move(content)}});
      return;
    }
    scopes_.store(to);
    set_block s{std::move(to), nullptr, {scopes_.open(), {}}};
    scopes_.store(s.to);
    nesting level(*this);
    if (at_symbol("|")) s.filter = parse_filters_and_tests(make(line, block_text{}), level);
    s.body.statements = parse_scope("endset");
    out.push_back({line, std::move(s)});
  }
  void parse_filter_block(block& out, std::size_t line) {
    filter_block s{nullptr, {scopes_.open(), {}}};
    nesting level(*this);
    s.filter = parse_filters_and_tests(parse_filter(make(line, block_text{})), level);
    s.body.statements = parse_scope("endfilter");
    out.push_back({line, std::move(s)});
  }
  void parse_with(block& out, std::size_t line) {
    with_statement s;
    while (current().kind != token_kind::block_end) {
      if (!s.assignments.empty()) expect_symbol(",");
      target to = parse_target({}, false);
      expect_symbol("=");
      s.assignments.emplace_back(std::move(to), parse_expression());
    }
    s.body.own = scopes_.open();
    for (const auto& assignment : s.assignments) scopes_.store(assignment.first);
    s.body.statements = parse_scope("endwith");
    out.push_back({line, std::move(s)});
  }
  void parse_generation(block& out, std::size_t line) {
    const std::size_t outer = std::exchange(loops_, 0);  // it is a function in Jinja2: no loop control leaves it
    generation_block s{{scopes_.open(), {}}};
    s.body.statements = parse_scope("endgeneration");
    out.push_back({line, std::move(s)});
    loops_ = outer;
  }
  void parse_print(block& out, std::size_t line) {
    print p;
    while (current().kind != token_kind::block_end) {
      if (!p.values.empty()) expect_symbol(",");
      p.values.push_back(parse_expression());
    }
    out.push_back({line, std::move(p)});
  }

  // Opens the scope of a macro, or of the body of {% call %}.
  void parse_parameters(macro_definition& macro) {
    macro.body.own = scopes_.open();
    if (!skip_symbol("(")) {
      if (macro.name == "caller") return;
      refuse("expected '(', not " + shown(current()));
    }
    while (!at_symbol(")")) {
      if (!macro.parameters.empty()) expect_symbol(",");
      std::string name = expect_name();
      scopes_.store(name);
      expression_ptr otherwise = skip_symbol("=") ? parse_expression() : nullptr;
      if (!otherwise && !macro.parameters.empty() && macro.parameters.back().second)
        refuse("a parameter without a default follows one with a default");
      if (!otherwise && name == "caller") refuse("a parameter 'caller' needs a default");
      macro.parameters.emplace_back(std::move(name), std::move(otherwise));
    }
    expect_symbol(")");
  }
  void parse_macro_body(macro_definition& macro, std::string_view end) {
    const std::size_t outer = std::exchange(loops_, 0);
    macros_.push_back(&macro);
    macro.body.statements = parse_scope(end);
    macros_.pop_back();
    loops_ = outer;
    for (const auto& parameter : macro.parameters) {  // an ordinary parameter of that name
      macro.takes_caller &= parameter.first != "caller";
      macro.takes_varargs &= parameter.first != "varargs";
      macro.takes_kwargs &= parameter.first != "kwargs";
    }
  }
  void parse_macro(block& out, std::size_t line) {
    macro_statement s;
    s.macro.name = expect_name();
    scopes_.store(s.macro.name);
    parse_parameters(s.macro);
    parse_macro_body(s.macro, "endmacro");
    out.push_back({line, std::move(s)});
  }
  void parse_call(block& out, std::size_t line) {
    call_block s;
    s.caller.name = "caller";
    parse_parameters(s.caller);
    s.callee_call = parse_expression();
    if (!std::holds_alternative<call>(s.callee_call->node))
      throw syntax_refusal(line, "{% call %} needs a call of a macro");
    parse_macro_body(s.caller, "endcall");
    out.push_back({line, std::move(s)});
  }

  std::size_t loops_ = 0;  // that stand around the current statement, within its macro
};

}  // namespace iapt::jinja::detail
