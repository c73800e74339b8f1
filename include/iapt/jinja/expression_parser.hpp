// SPDX-License-Identifier: Apache-2.0
// Parses expressions: names, literals, operators, calls, filters, tests.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/ast.hpp"
#include "iapt/jinja/scopes.hpp"
#include "iapt/jinja/tables.hpp"
#include "iapt/jinja/token_reader.hpp"

namespace iapt::jinja::detail {

class expression_parser : protected token_reader {
 protected:
  using token_reader::token_reader;

  template <class Node>
  static expression_ptr make(std::size_t line, Node node) {
    return std::make_unique<expression>(expression{line, std::move(node)});
  }

  // ---- tuples and conditionals ----
  bool at_tuple_end(std::string_view end_name) const {
    return current().kind == token_kind::print_end || current().kind == token_kind::block_end || at_symbol(")") ||
           (!end_name.empty() && at_name(end_name));
  }
  // Expressions with commas between them are a tuple. `empty` says whether none at all is the empty tuple.
  expression_ptr parse_tuple(bool with_conditional = true, std::string_view end_name = {}, bool empty = false) {
    const std::size_t line = current().line;
    std::vector<expression_ptr> items;
    bool is_tuple = false;
    while (!at_tuple_end(end_name)) {
      items.push_back(with_conditional ? parse_expression() : parse_or());
      if (!skip_symbol(",")) break;
      is_tuple = true;
    }
    if (!is_tuple && items.size() == 1) return std::move(items.front());
    if (items.empty() && !empty) refuse("expected an expression, not " + shown(current()));
    return make(line, sequence_literal{std::move(items), true});
  }

  expression_ptr parse_expression() {
    nesting level(*this);
    const std::size_t line = current().line, unknown_before = unknown_.size();
    expression_ptr e = parse_or();
    while (skip_name("if")) {
      level.deeper();
      expression_ptr test = parse_or(), otherwise;
      if (skip_name("else")) otherwise = parse_expression();
      e = make(line, conditional{std::move(test), std::move(e), std::move(otherwise)});
      unknown_.resize(unknown_before);  // what a condition may leave out is refused when it is used
    }
    return e;
  }

  // ---- operators, the loosest first ----
  expression_ptr parse_logical(bool is_and) {
    const std::size_t line = current().line;
    const auto parse_operand = [&] { return is_and ? parse_not() : parse_logical(true); };
    std::vector<expression_ptr> operands;
    operands.push_back(parse_operand());
    while (skip_name(is_and ? "and" : "or")) operands.push_back(parse_operand());
    if (operands.size() == 1) return std::move(operands.front());
    return make(line, logical_chain{is_and, std::move(operands)});
  }
  expression_ptr parse_or() { return parse_logical(false); }
  expression_ptr parse_not() {
    const std::size_t line = current().line;
    if (!skip_name("not")) return parse_comparison();
    nesting level(*this);
    return make(line, unary{unary_operator::logical_not, parse_not()});
  }
  expression_ptr parse_comparison() {
    static const operator_table<comparison> operators = {{"==", comparison::equal},  {"!=", comparison::not_equal},
                                                         {"<", comparison::less},    {"<=", comparison::less_equal},
                                                         {">", comparison::greater}, {">=", comparison::greater_equal}};
    const std::size_t line = current().line;
    comparison_chain chain{parse_arithmetic(0), {}};
    while (true) {
      auto op = skip_operator(operators);
      if (!op && at_name("not") && is(following(), token_kind::name, "in"))
        op = comparison::not_in, next(), next();
      else if (!op && skip_name("in"))
        op = comparison::in;
      if (!op) break;
      chain.rest.emplace_back(*op, parse_arithmetic(0));
    }
    return chain.rest.empty() ? std::move(chain.first) : make(line, std::move(chain));
  }
  // Level 0 has + and -, level 1 the products, level 2 powers; ~ stands between the first two.
  expression_ptr parse_arithmetic(std::size_t level) {
    static const operator_table<binary_operator> operators[] = {
        {{"+", binary_operator::add}, {"-", binary_operator::subtract}},
        {{"*", binary_operator::multiply},
         {"/", binary_operator::divide},
         {"%", binary_operator::modulo},
         {"//", binary_operator::floor_divide}},
        {{"**", binary_operator::power}}};
    const auto parse_operand = [&] {
      return level == 0 ? parse_concatenation() : level == 1 ? parse_arithmetic(2) : parse_unary(true);
    };
    const std::size_t line = current().line;
    arithmetic_chain chain{parse_operand(), {}};
    while (const auto op = skip_operator(operators[level])) chain.rest.emplace_back(*op, parse_operand());
    return chain.rest.empty() ? std::move(chain.first) : make(line, std::move(chain));
  }
  expression_ptr parse_concatenation() {
    const std::size_t line = current().line;
    concatenation all;
    all.parts.push_back(parse_arithmetic(1));
    while (skip_symbol("~")) all.parts.push_back(parse_arithmetic(1));
    return all.parts.size() == 1 ? std::move(all.parts.front()) : make(line, std::move(all));
  }
  expression_ptr parse_unary(bool with_filters) {
    nesting level(*this);
    const std::size_t line = current().line;
    expression_ptr e;
    if (skip_symbol("-"))
      e = make(line, unary{unary_operator::minus, parse_unary(false)});
    else if (skip_symbol("+"))
      e = make(line, unary{unary_operator::plus, parse_unary(false)});
    else
      e = parse_primary();
    e = parse_postfix(std::move(e), level);
    return with_filters ? parse_filters_and_tests(std::move(e), level) : std::move(e);
  }

  // ---- operands ----
  expression_ptr parse_primary() {
    nesting level(*this);
    const token t = next();
    if (t.kind == token_kind::name) return parse_name(t);
    if (t.kind == token_kind::integer) return make(t.line, constant{value(parse_int(t.text, 0).value())});
    if (t.kind == token_kind::floating) return make(t.line, constant{value(parse_float(t.text).value())});
    if (t.kind == token_kind::string) {
      std::string content = t.text;
      while (current().kind == token_kind::string) content += next().text;
      return make(t.line, constant{literal(content)});
    }
    if (is(t, token_kind::symbol, "(")) {
      expression_ptr e = parse_tuple(true, {}, true);
      expect_symbol(")");
      return e;
    }
    if (is(t, token_kind::symbol, "[")) return make(t.line, sequence_literal{parse_items("]"), false});
    if (is(t, token_kind::symbol, "{")) return parse_dict(t.line);
    throw syntax_refusal(t.line, "unexpected " + shown(t));
  }
  expression_ptr parse_name(const token& t) {
    if (t.text == "true" || t.text == "True") return make(t.line, constant{value(true)});
    if (t.text == "false" || t.text == "False") return make(t.line, constant{value(false)});
    if (t.text == "none" || t.text == "None") return make(t.line, constant{value(none{})});
    for (macro_definition* macro : macros_) {
      macro->takes_caller |= t.text == "caller";
      macro->takes_varargs |= t.text == "varargs";
      macro->takes_kwargs |= t.text == "kwargs";
    }
    scopes_.load(t.text);
    return make(t.line, name_load{t.text});
  }
  std::vector<expression_ptr> parse_items(std::string_view end) {
    std::vector<expression_ptr> items;
    while (!at_symbol(end)) {
      items.push_back(parse_expression());
      if (!skip_symbol(",")) break;
    }
    expect_symbol(end);
    return items;
  }
  expression_ptr parse_dict(std::size_t line) {
    dict_literal d;
    while (!at_symbol("}")) {
      expression_ptr key = parse_expression();
      expect_symbol(":");
      d.entries.emplace_back(std::move(key), parse_expression());
      if (!skip_symbol(",")) break;
    }
    expect_symbol("}");
    return make(line, std::move(d));
  }

  // ---- what follows an operand ----
  expression_ptr parse_postfix(expression_ptr e, nesting& level) {
    for (;; level.deeper()) {
      const std::size_t line = current().line;
      if (at_symbol(".") || at_symbol("["))
        e = parse_subscript(std::move(e));
      else if (at_symbol("("))
        e = make(line, call{std::move(e), parse_arguments()});
      else
        return e;
    }
  }
  expression_ptr parse_subscript(expression_ptr object) {
    const std::size_t line = current().line;
    if (skip_symbol(".")) {
      if (current().kind == token_kind::integer)
        return make(line, subscript{std::move(object), make(line, constant{value(*parse_int(next().text, 0))})});
      return make(line, attribute_load{std::move(object), expect_name()});
    }
    expect_symbol("[");
    const auto at_bound_end = [&] { return at_symbol(":") || at_symbol("]"); };
    const auto parse_bound = [&] { return at_bound_end() ? nullptr : parse_expression(); };
    expression_ptr start = parse_bound(), stop, step;
    const bool is_slice = skip_symbol(":");
    if (is_slice) {
      stop = parse_bound();
      if (skip_symbol(":")) step = parse_bound();
    }
    if (at_symbol(",")) refuse("a subscript of several parts is not supported");
    if (!is_slice && !start) refuse("expected a subscript, not ']'");
    expect_symbol("]");
    if (is_slice) return make(line, slice{std::move(object), std::move(start), std::move(stop), std::move(step)});
    return make(line, subscript{std::move(object), std::move(start)});
  }
  call_arguments parse_arguments() {
    call_arguments a;
    expect_symbol("(");
    while (!at_symbol(")")) {
      if (skip_symbol("*")) {
        if (a.star || a.double_star) refuse("invalid arguments of a call");
        a.star = parse_expression();
      } else if (skip_symbol("**")) {
        if (a.double_star) refuse("invalid arguments of a call");
        a.double_star = parse_expression();
      } else if (current().kind == token_kind::name && is(following(), token_kind::symbol, "=")) {
        if (a.double_star) refuse("invalid arguments of a call");
        std::string name = next().text;
        for (const auto& other : a.keywords)
          if (other.first == name) refuse("the argument " + name + " is given twice");
        next();
        a.keywords.emplace_back(std::move(name), parse_expression());
      } else {
        if (a.star || a.double_star || !a.keywords.empty()) refuse("invalid arguments of a call");
        a.positional.push_back(parse_expression());
      }
      if (!skip_symbol(",")) break;
    }
    expect_symbol(")");
    return a;
  }
  expression_ptr parse_filters_and_tests(expression_ptr e, nesting& level) {
    for (;; level.deeper()) {
      const std::size_t line = current().line;
      if (skip_symbol("|"))
        e = parse_filter(std::move(e));
      else if (skip_name("is"))
        e = parse_test(std::move(e), line);
      else if (at_symbol("("))
        e = make(line, call{std::move(e), parse_arguments()});
      else
        return e;
    }
  }
  expression_ptr parse_filter(expression_ptr input) {
    const std::size_t line = current().line;
    std::string name = expect_name();
    const auto function = find_filter(name);
    if (!function) unknown_.push_back({token_kind::name, "there is no filter " + name, line});
    call_arguments a;
    if (at_symbol("(")) a = parse_arguments();
    return make(line, filter_call{std::move(input), std::move(name), function, std::move(a)});
  }
  expression_ptr parse_test(expression_ptr input, std::size_t line) {
    const bool negated = skip_name("not");
    std::string name = expect_name();
    const auto function = find_test(name);
    if (!function) unknown_.push_back({token_kind::name, "there is no test " + name, line});
    call_arguments a;
    const token_kind k = current().kind;
    const bool is_operand = k == token_kind::string || k == token_kind::integer || k == token_kind::floating ||
                            at_symbol("[") || at_symbol("{") || k == token_kind::name;
    if (at_symbol("(")) {
      a = parse_arguments();
    } else if (is_operand && !at_name("else") && !at_name("or") && !at_name("and")) {
      if (at_name("is")) refuse("tests cannot follow each other; write (a is b) is c");
      nesting level(*this);
      expression_ptr operand = parse_primary();
      a.positional.push_back(parse_postfix(std::move(operand), level));
    }
    expression_ptr e = make(line, test_call{std::move(input), std::move(name), function, std::move(a)});
    return negated ? make(line, unary{unary_operator::logical_not, std::move(e)}) : std::move(e);
  }

  // Filters and tests that do not exist, outside of conditions. Jinja2 refuses a template that has any.
  std::vector<token> unknown_ = {};
  scopes scopes_ = {};
  std::vector<macro_definition*> macros_ = {};  // those that are parsed, the outermost first
};

}  // namespace iapt::jinja::detail
