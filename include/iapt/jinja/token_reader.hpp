// SPDX-License-Identifier: Apache-2.0
// Reads the tokens of a template, one after the other, and counts how deep its nodes are nested.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "iapt/jinja/lexer.hpp"

namespace iapt::jinja::detail {

class token_reader {
 protected:
  explicit token_reader(std::vector<token> tokens) : tokens_(std::move(tokens)) {}

  // ---- tokens ----
  const token& current() const { return tokens_[at_]; }
  const token& following() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  token next() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  [[noreturn]] void refuse(const std::string& what) const { throw syntax_refusal(current().line, what); }
  static bool is(const token& t, token_kind kind, std::string_view text) { return t.kind == kind && t.text == text; }
  bool at_symbol(std::string_view text) const { return is(current(), token_kind::symbol, text); }
  bool at_name(std::string_view text) const { return is(current(), token_kind::name, text); }
  bool skip_symbol(std::string_view text) { return at_symbol(text) && (next(), true); }
  bool skip_name(std::string_view text) { return at_name(text) && (next(), true); }
  template <class Operator>
  using operator_table = std::unordered_map<std::string_view, Operator>;
  // The operator that the current token is, which is read; nothing if it is none of the table.
  template <class Operator>
  std::optional<Operator> skip_operator(const operator_table<Operator>& all) {
    const auto found = current().kind == token_kind::symbol ? all.find(current().text) : all.end();
    if (found == all.end()) return std::nullopt;
    next();
    return found->second;
  }
  void expect_symbol(std::string_view text) {
    if (!skip_symbol(text)) refuse("expected '" + std::string(text) + "', not " + shown(current()));
  }
  std::string expect_name() {
    if (current().kind != token_kind::name) refuse("expected a name, not " + shown(current()));
    return next().text;
  }
  static std::string shown(const token& t) {
    if (t.kind == token_kind::end) return "the end of the template";
    if (t.kind == token_kind::print_end) return "'}}'";
    if (t.kind == token_kind::block_end) return "'%}'";
    return "'" + t.text + "'";
  }

  // Counts nested nodes. One that grows to the left, such as a.b.c, is deeper by one for each step.
  class nesting {
   public:
    explicit nesting(token_reader& r) : reader_(r) { deeper(); }
    ~nesting() { reader_.depth_ -= added_; }
    nesting(const nesting&) = delete;
    nesting& operator=(const nesting&) = delete;
    void deeper() {
      if (reader_.depth_ >= deepest_source)
        reader_.refuse("the template nests more than " + std::to_string(deepest_source) +
                       " deep (limit deepest_source)");
      ++reader_.depth_, ++added_;
    }

   private:
    token_reader& reader_;
    std::size_t added_ = 0;
  };

 private:
  std::vector<token> tokens_;
  std::size_t at_ = 0, depth_ = 0;
};

}  // namespace iapt::jinja::detail
