// SPDX-License-Identifier: Apache-2.0
// Reduces Jinja source to its shape, so that templates that differ only in spelling compare equal.
#pragma once
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace iapt {

/// A symbol of a template: plain text, a string literal (its value), or any other symbol of the language.
struct jinja_symbol {
  /// Plain text, a string literal, any other symbol.
  enum class kind_type { text, literal, code };
  kind_type kind = kind_type::code;                      ///< which of these it is
  std::string value;                                     ///< plain text, value of the literal, or the symbol itself
  bool operator==(const jinja_symbol&) const = default;  ///< whether kind and value are equal
};

/// Splits Jinja source into symbols. White space that Jinja ignores is dropped, with Hugging Face's settings
/// (`trim_blocks` and `lstrip_blocks`) and at `{%-` and `-%}`; `a.b` becomes `a['b']`; literals joined by `+` become
/// one. Nothing is evaluated. Source that is not Jinja gives symbols that equal no known template.
class jinja_shape {
 public:
  /// The symbols of `source`.
  static std::vector<jinja_symbol> of(std::string_view source) {
    jinja_shape shape(source);
    shape.run();
    return std::move(shape.out_);
  }

 private:
  using kind = jinja_symbol::kind_type;
  explicit jinja_shape(std::string_view source) : rest_(source) {
    if (rest_.ends_with('\n')) rest_.remove_suffix(1);
  }

  static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  static bool is_name(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; }

  void run() {
    bool line_start = true, trim_left = false, after_block = false;
    while (!rest_.empty()) {
      std::size_t tag = rest_.find('{');
      while (tag != std::string_view::npos && (tag + 1 >= rest_.size() || !is_opening(rest_[tag + 1])))
        tag = rest_.find('{', tag + 1);
      std::string_view text = rest_.substr(0, tag);
      rest_.remove_prefix(text.size());
      if (trim_left) {
        while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
      } else if (after_block && text.starts_with('\n')) {
        text.remove_prefix(1);
        line_start = true;
      }
      if (rest_.empty()) return add_text(text);
      const char opening = rest_[1];
      const bool minus = rest_.size() > 2 && rest_[2] == '-';
      if (minus) {
        while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
      } else if (opening != '{') {
        const std::size_t line = text.rfind('\n') + 1;  // npos + 1 is 0
        const bool blank = text.find_first_not_of(" \t", line) == std::string_view::npos;
        if (blank && (line > 0 || line_start)) text = text.substr(0, line);
      }
      add_text(text);
      rest_.remove_prefix(minus ? 3 : 2);
      const std::size_t before = rest_.size();
      if (opening == '#') {
        const std::size_t end = rest_.find("#}");
        trim_left = end != std::string_view::npos && end > 0 && rest_[end - 1] == '-';
        rest_.remove_prefix(end == std::string_view::npos ? before : end + 2);
      } else {
        trim_left = read_tag(opening);
      }
      after_block = opening != '{';
      line_start = false;
    }
  }
  static bool is_opening(char c) { return c == '{' || c == '%' || c == '#'; }

  // Reads up to the end of the tag. Returns whether it ends with a minus.
  bool read_tag(char opening) {
    const std::string close = opening == '{' ? "}}" : "%}";
    out_.push_back({kind::code, opening == '{' ? "{{" : "{%"});
    while (!rest_.empty()) {
      if (is_space(rest_.front())) {
        rest_.remove_prefix(1);
        continue;
      }
      const bool minus = rest_.starts_with("-" + close);
      if (minus || rest_.starts_with(close)) {
        rest_.remove_prefix(minus ? 3 : 2);
        out_.push_back({kind::code, close});
        return minus;
      }
      read_symbol();
    }
    return false;
  }

  void read_symbol() {
    const char c = rest_.front();
    if (c == '\'' || c == '"') {
      add_literal(read_literal(c));
    } else if (is_name(c)) {
      const std::string name = read_name();
      if (!out_.empty() && out_.back() == jinja_symbol{kind::code, "."}) {
        out_.back().value = "[";
        out_.push_back({kind::literal, name});
        out_.push_back({kind::code, "]"});
      } else {
        out_.push_back({kind::code, name});
      }
    } else {
      const bool comparison = rest_.size() > 1 && rest_[1] == '=' && (c == '=' || c == '!' || c == '<' || c == '>');
      out_.push_back({kind::code, std::string(rest_.substr(0, comparison ? 2 : 1))});
      rest_.remove_prefix(comparison ? 2 : 1);
    }
  }

  std::string read_name() {
    std::size_t size = 0;
    while (size < rest_.size() && is_name(rest_[size])) ++size;
    std::string name(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return name;
  }

  std::string read_literal(char quote) {
    std::string value;
    std::size_t at = 1;
    for (; at < rest_.size() && rest_[at] != quote; ++at) {
      if (rest_[at] != '\\' || at + 1 == rest_.size()) {
        value += rest_[at];
        continue;
      }
      const char escaped = rest_[++at];
      if (escaped == 'n') {
        value += '\n';
      } else if (escaped == 't') {
        value += '\t';
      } else {
        if (escaped != '\\' && escaped != '\'' && escaped != '"') value += '\\';  // as in Python
        value += escaped;
      }
    }
    rest_.remove_prefix(at < rest_.size() ? at + 1 : at);
    return value;
  }

  // 'a' + 'b' becomes 'ab', also at the end of x + 'a' + 'b'.
  void add_literal(std::string value) {
    const std::size_t n = out_.size();
    if (n >= 2 && out_[n - 1] == jinja_symbol{kind::code, "+"} && out_[n - 2].kind == kind::literal) {
      out_.pop_back();
      out_.back().value += value;
    } else {
      out_.push_back({kind::literal, std::move(value)});
    }
  }
  void add_text(std::string_view text) {
    if (!text.empty()) out_.push_back({kind::text, std::string(text)});
  }

  std::string_view rest_;
  std::vector<jinja_symbol> out_;
};

}  // namespace iapt
