// SPDX-License-Identifier: Apache-2.0
// The tree of a parsed template. It does not change, so any number of threads render it.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "iapt/jinja/functions.hpp"
#include "iapt/jinja/value.hpp"

namespace iapt::jinja::detail {

struct expression;
using expression_ptr = std::unique_ptr<expression>;

// ---- expressions ----
struct constant {
  value content;
};
struct name_load {
  std::string name;
};
struct sequence_literal {
  std::vector<expression_ptr> items;
  bool is_tuple;
};
struct dict_literal {
  std::vector<std::pair<expression_ptr, expression_ptr>> entries;
};
struct attribute_load {
  expression_ptr object;
  std::string name;
};
struct subscript {
  expression_ptr object, index;
};
struct slice {
  expression_ptr object, start, stop, step;  // a bound that is not written is null
};
struct call_arguments {
  std::vector<expression_ptr> positional = {};
  std::vector<std::pair<std::string, expression_ptr>> keywords = {};
  expression_ptr star = nullptr, double_star = nullptr;  // *args, **kwargs
};
struct call {
  expression_ptr callee;
  call_arguments arguments;
};
// The text of the block that a filter is applied to, in {% filter %} and {% set x | f %}.
struct block_text {};
struct filter_call {
  expression_ptr input;
  std::string name;
  filter_function function;  // null if there is no such filter
  call_arguments arguments;
};
struct test_call {
  expression_ptr input;
  std::string name;
  test_function function;  // null if there is no such test
  call_arguments arguments;
};
enum class unary_operator { minus, plus, logical_not };
struct unary {
  unary_operator op;
  expression_ptr operand;
};
enum class binary_operator { add, subtract, multiply, divide, floor_divide, modulo, power };
// first op a op b ..., from the left. It is one node, so that a long sum is not deep.
struct arithmetic_chain {
  expression_ptr first;
  std::vector<std::pair<binary_operator, expression_ptr>> rest;
};
enum class comparison { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };
struct comparison_chain {
  expression_ptr first;
  std::vector<std::pair<comparison, expression_ptr>> rest;
};
// a ~ b ~ ...
struct concatenation {
  std::vector<expression_ptr> parts;
};
// a and b and ..., or a or b or ...
struct logical_chain {
  bool is_and;
  std::vector<expression_ptr> operands;
};
struct conditional {
  expression_ptr test, then, otherwise;  // `otherwise` may be null
};

struct expression {
  std::size_t line;
  std::variant<constant, name_load, sequence_literal, dict_literal, attribute_load, subscript, slice, call, block_text,
               filter_call, test_call, unary, arithmetic_chain, comparison_chain, concatenation, logical_chain,
               conditional>
      node;
};

// ---- statements ----
struct statement;
using block = std::vector<statement>;
// The names that are a scope's own; see scopes.hpp.
using local_names = std::shared_ptr<const std::vector<std::string>>;
// A block that is a scope: what it assigns is not seen outside.
struct scoped_block {
  local_names own = nullptr;
  block statements;
};

// What is assigned to: a name, an attribute of a namespace, or several targets that a value is unpacked into.
struct target {
  std::string name = {};
  std::string attribute = {};
  std::vector<target> items = {};
  bool is_tuple = false;
};
struct data {
  marked_text content;
};
struct print {
  std::vector<expression_ptr> values;
};
struct if_statement {
  std::vector<std::pair<expression_ptr, block>> branches;
  block otherwise;
};
struct for_statement {
  target item;
  expression_ptr iterable, condition;  // `condition` may be null
  local_names condition_own;
  bool recursive;
  scoped_block body, otherwise;
};
struct set_statement {
  target to;
  expression_ptr content;
};
struct set_block {
  target to;
  expression_ptr filter;  // of block_text, in the scope of the body; may be null
  scoped_block body;
};
struct macro_definition {
  std::string name = {};
  std::vector<std::pair<std::string, expression_ptr>> parameters = {};  // with defaults, which may be null
  scoped_block body;
  bool takes_caller = false, takes_varargs = false, takes_kwargs = false;  // because the body names them
};
struct macro_statement {
  macro_definition macro;
};
struct call_block {
  macro_definition caller;
  expression_ptr callee_call;  // a `call`
};
struct filter_block {
  expression_ptr filter;  // of block_text, in the scope of the body
  scoped_block body;
};
struct with_statement {
  std::vector<std::pair<target, expression_ptr>> assignments;
  scoped_block body;
};
struct generation_block {
  scoped_block body;
};
struct break_statement {};
struct continue_statement {};

struct statement {
  std::size_t line;
  std::variant<data, print, if_statement, for_statement, set_statement, set_block, macro_statement, call_block,
               filter_block, with_statement, generation_block, break_statement, continue_statement>
      node;
};

}  // namespace iapt::jinja::detail
