// SPDX-License-Identifier: Apache-2.0
// Splits the source of a template into tokens, with trim_blocks and lstrip_blocks as Hugging Face sets them.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/string_literal.hpp"
#include "iapt/jinja/unicode_case.hpp"
#include "iapt/jinja/value.hpp"

namespace iapt::jinja::detail {

enum class token_kind {
  data,
  print_begin,
  print_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  floating,
  symbol,
  end,
};
struct token {
  token_kind kind;
  std::string text;  // of a string: its value
  std::size_t line;
};

// An error that knows its line, on its way to `program`.
struct syntax_refusal : refusal {
  syntax_refusal(std::size_t at, const std::string& what) : refusal(what), line(at) {}
  std::size_t line;
};

class lexer {
 public:
  // Splits `source`, which is valid UTF-8.
  static std::vector<token> split(std::string_view source) {
    lexer l(normalized(source));
    l.read_all();
    return std::move(l.tokens_);
  }

 private:
  explicit lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

  // Line ends as \n, without the last one.
  static std::string normalized(std::string_view source) {
    std::string out;
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (source[i] == '\r') {
        out += '\n';
        i += source.substr(i + 1).starts_with('\n');
      } else {
        out += source[i];
      }
    }
    if (out.ends_with('\n')) out.pop_back();
    return out;
  }
  [[noreturn]] void refuse(const std::string& what) const { throw syntax_refusal(line_, what); }

  void skip(std::size_t size) {
    for (const char c : rest_.substr(0, size)) line_ += c == '\n';
    rest_.remove_prefix(size);
  }
  static std::size_t leading_space(std::string_view t) {
    std::size_t size = 0;
    while (size < t.size()) {
      const auto s = utf8::next(t.substr(size));
      if (!is_space(s.code_point)) break;
      size += s.size;
    }
    return size;
  }
  static std::string_view without_trailing_space(std::string_view t) {
    while (!t.empty()) {
      const std::size_t last = utf8::last_begin(t);
      if (!is_space(utf8::next(t.substr(last)).code_point)) break;
      t = t.substr(0, last);
    }
    return t;
  }
  void skip_space() { skip(leading_space(rest_)); }

  // Adds the text before a tag that begins with `sign` after its two characters.
  void add_data(std::string_view t, char sign, bool is_print) {
    if (sign == '-') {
      t = without_trailing_space(t);
    } else if (sign != '+' && !is_print) {
      const std::size_t line = t.rfind('\n') + 1;  // npos + 1 is 0
      if ((line > 0 || line_starts_) && leading_space(t.substr(line)) == t.size() - line) t = t.substr(0, line);
    }
    if (!t.empty()) tokens_.push_back({token_kind::data, std::string(t), line_});
  }

  void read_all() {
    while (!rest_.empty()) {
      std::size_t tag = rest_.find('{');
      while (tag != rest_.npos &&
             (tag + 1 == rest_.size() || std::string_view("{%#").find(rest_[tag + 1]) == std::string_view::npos))
        tag = rest_.find('{', tag + 1);
      if (tag == rest_.npos) {
        add_data(rest_, '+', false);
        break;
      }
      const char kind = rest_[tag + 1], sign = tag + 2 < rest_.size() ? rest_[tag + 2] : ' ';
      add_data(rest_.substr(0, tag), sign, kind == '{');
      skip(tag + (sign == '-' || sign == '+' ? 3 : 2));
      if (kind == '#')
        read_comment();
      else if (kind != '%' || !read_raw())
        read_tag(kind == '{');
    }
    tokens_.push_back({token_kind::end, "", line_});
  }

  // Ends a tag whose end has `size` bytes here: white space after a minus, or one line end after a block, is dropped.
  void end_tag(std::size_t size, bool trims_line) {
    const bool minus = rest_.front() == '-', plus = rest_.front() == '+';
    skip(size);
    const std::size_t space = minus ? leading_space(rest_) : trims_line && !plus && rest_.starts_with('\n');
    line_starts_ = space > 0 && rest_[space - 1] == '\n';
    skip(space);
  }
  void read_comment() {
    if (rest_.empty()) return;  // {# as the last two characters of a template is nothing, as in Jinja2
    const std::size_t end = rest_.find("#}");
    if (end == rest_.npos) refuse("a comment {# has no end #}");
    const bool sign = end > 0 && (rest_[end - 1] == '-' || rest_[end - 1] == '+');
    skip(end - sign);
    end_tag(2 + sign, true);
  }

  // Size of "NAME %}" with white space and signs, if `t` begins with it; 0 otherwise. `sign` is that of the end.
  static std::size_t match_word_tag(std::string_view t, std::string_view name, std::string_view signs,
                                    std::size_t& end) {
    std::size_t at = leading_space(t);
    if (!t.substr(at).starts_with(name)) return 0;
    at += name.size();
    at += leading_space(t.substr(at));
    end = at;
    if (at < t.size() && signs.find(t[at]) != signs.npos) ++at;
    return t.substr(at).starts_with("%}") ? at + 2 : 0;
  }
  // Reads {% raw %} ... {% endraw %}, if the tag is that.
  bool read_raw() {
    std::size_t end = 0;
    if (const std::size_t size = match_word_tag(rest_, "raw", "-", end)) {
      skip(end);
      end_tag(size - end, false);
    } else {
      return false;
    }
    for (std::size_t tag = rest_.find("{%"); tag != rest_.npos; tag = rest_.find("{%", tag + 1)) {
      const std::string_view after = rest_.substr(tag + 2);
      const char sign = after.empty() ? ' ' : after.front();
      const std::size_t signs = sign == '-' || sign == '+';
      const std::size_t size = match_word_tag(after.substr(signs), "endraw", "-+", end);
      if (!size) continue;
      add_data(rest_.substr(0, tag), sign, false);
      skip(tag + 2 + signs + end);
      end_tag(size - end, true);
      return true;
    }
    refuse("{% raw %} has no end {% endraw %}");
  }

  // Reads the inside of {{ }} or {% %}.
  void read_tag(bool is_print) {
    tokens_.push_back({is_print ? token_kind::print_begin : token_kind::block_begin, "", line_});
    std::string closing;  // of the brackets that are open
    const std::string_view end = is_print ? "}}" : "%}";
    for (skip_space(); !rest_.empty(); skip_space()) {
      const bool sign = rest_.front() == '-' || (rest_.front() == '+' && !is_print);
      if (closing.empty() && rest_.substr(sign).starts_with(end)) {
        tokens_.push_back({is_print ? token_kind::print_end : token_kind::block_end, "", line_});
        return end_tag(2 + sign, !is_print);
      }
      read_token(closing);
    }
    refuse(is_print ? "{{ has no end }}" : "{% has no end %}");
  }
  void add(token_kind kind, std::size_t size) {
    tokens_.push_back({kind, std::string(rest_.substr(0, size)), line_});
    skip(size);
  }
  static bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

  void read_token(std::string& closing) {
    const char c = rest_.front();
    if (c == '\'' || c == '"') return read_string(c);
    if (is_ascii_digit(c)) return read_number();
    if (const std::size_t size = name_size()) return add(token_kind::name, size);
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="})
      if (rest_.starts_with(two)) return add(token_kind::symbol, 2);
    constexpr std::string_view symbols = "+-/*%~[](){}><=.:|,;", open = "([{", close = ")]}";
    if (symbols.find(c) == symbols.npos)
      refuse("unexpected character " + std::string(rest_.substr(0, utf8::next(rest_).size)));
    if (const auto at = open.find(c); at != open.npos) closing += close[at];
    if (close.find(c) != close.npos) {
      if (closing.empty() || closing.back() != c) refuse(std::string("unexpected '") + c + "'");
      closing.pop_back();
    }
    add(token_kind::symbol, 1);
  }
  std::size_t name_size() const {
    std::size_t size = 0;
    for (std::size_t at = 0; at < rest_.size(); size = at) {
      const auto s = utf8::next(rest_.substr(at));
      const char32_t c = s.code_point;
      const auto k = category(c);
      const bool starts = c == '_' || is_alpha(c) || k == UTF8PROC_CATEGORY_NL;
      const bool continues = starts || is_decimal(c) || k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC ||
                             k == UTF8PROC_CATEGORY_PC;
      if (!(at ? continues : starts)) break;
      at += s.size;
    }
    return size;
  }

  // Digits, also with single underscores between them; their size.
  std::size_t digits_size(std::size_t at, std::string_view allowed) const {
    const std::size_t begin = at;
    const auto is_one = [&](std::size_t i) { return i < rest_.size() && allowed.find(rest_[i]) != allowed.npos; };
    while (is_one(at) || (at > begin && rest_.substr(at).starts_with('_') && is_one(at + 1))) ++at;
    return at - begin;
  }
  void read_number() {
    constexpr std::string_view decimal = "0123456789";
    const bool after_dot = !tokens_.empty() && tokens_.back().kind == token_kind::symbol &&
                           tokens_.back().text == "." && rest_.data() > source_.data() && rest_.data()[-1] == '.';
    std::size_t size = digits_size(0, decimal);
    if (!after_dot) {
      std::size_t whole = size;
      if (rest_.substr(whole).starts_with('.'))
        if (const std::size_t digits = digits_size(whole + 1, decimal)) whole += 1 + digits;
      if (whole < rest_.size() && (rest_[whole] | 0x20) == 'e') {
        const bool sign = whole + 1 < rest_.size() && (rest_[whole + 1] == '+' || rest_[whole + 1] == '-');
        if (const std::size_t digits = digits_size(whole + 1 + sign, decimal)) whole += 1 + sign + digits;
      }
      if (whole > size) return add(token_kind::floating, whole);
    }
    if (rest_.front() == '0' && rest_.size() > 2) {
      const char letter = static_cast<char>(rest_[1] | 0x20);
      const std::string_view allowed = letter == 'x'   ? "0123456789abcdefABCDEF"
                                       : letter == 'o' ? "01234567"
                                       : letter == 'b' ? "01"
                                                       : "";
      const bool underscore = rest_[2] == '_';
      if (const std::size_t digits = allowed.empty() ? 0 : digits_size(2 + underscore, allowed))
        return add(token_kind::integer, 2 + underscore + digits);
      size = rest_.front() == '0' ? digits_size(0, "0") : size;  // 012 is the numbers 0 and 12, as in Jinja2
    }
    add(token_kind::integer, size);
  }

  void read_string(char quote) {
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) refuse("a string literal has no end");
    try {
      tokens_.push_back({token_kind::string, unescaped(rest_.substr(1, end - 1)), line_});
    } catch (const refusal& refused) { refuse(refused.what()); }
    skip(end + 1);
  }

  std::string source_;
  std::string_view rest_;
  std::vector<token> tokens_;
  std::size_t line_ = 1;
  bool line_starts_ = true;  // whether what was dropped before here ends a line
};

}  // namespace iapt::jinja::detail
