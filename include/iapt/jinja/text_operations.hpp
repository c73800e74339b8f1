// SPDX-License-Identifier: Apache-2.0
// What methods and filters do with texts: case, strip, split, search, replace.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/compare.hpp"

namespace iapt::jinja::detail {

// ---- case ----
using case_function = void (*)(std::string&, char32_t);

// Whether a capital sigma at `at` ends a word: a cased letter stands before it and none after it.
inline bool is_final_sigma(runtime& rt, std::string_view t, std::size_t at, std::size_t size) {
  bool before = false, after = false;
  for (std::size_t end = at; end > 0;) {
    rt.work();
    end = utf8::last_begin(t.substr(0, end));
    const char32_t c = utf8::next(t.substr(end)).code_point;
    if (is_case_ignorable(c)) continue;
    before = is_cased(c);
    break;
  }
  for_each_character(t.substr(at + size), [&](char32_t c, std::size_t, std::size_t) {
    rt.work();
    if (is_case_ignorable(c)) return true;
    after = is_cased(c);
    return false;
  });
  return before && !after;
}
// Each character by `first` if it begins a word, else by `other`. `begins` says so, of a character and the one before.
template <class Begins>
value map_case(runtime& rt, const marked_text& t, case_function first, case_function other, Begins begins) {
  text_builder out(rt);
  std::string cased;
  char32_t previous = 0;
  for_each_character(t.bytes(), [&](char32_t c, std::size_t begin, std::size_t size) {
    cased.clear();
    const auto change = begins(begin == 0, previous) ? first : other;
    if (c == 0x3A3 && change == append_lower && is_final_sigma(rt, t.bytes(), begin, size))
      cased = "\xCF\x82";
    else
      change(cased, c);
    out.append(cased, t.marks()[begin]);
    previous = c;
    return true;
  });
  return out.finish();
}
inline value upper(runtime& rt, const marked_text& t) {
  return map_case(rt, t, append_upper, append_upper, [](bool, char32_t) { return true; });
}
inline value lower(runtime& rt, const marked_text& t) {
  return map_case(rt, t, append_lower, append_lower, [](bool, char32_t) { return true; });
}
inline value capitalize(runtime& rt, const marked_text& t) {
  return map_case(rt, t, append_title, append_lower, [](bool is_first, char32_t) { return is_first; });
}
// The method title(): words are runs of letters.
inline value title(runtime& rt, const marked_text& t) {
  return map_case(rt, t, append_title, append_lower,
                  [](bool is_first, char32_t c) { return is_first || !is_cased(c); });
}
// The filter title: words begin after white space, hyphens and opening brackets.
inline value title_of_words(runtime& rt, const marked_text& t) {
  return map_case(rt, t, append_upper, append_lower, [](bool is_first, char32_t c) {
    return is_first || is_space(c) ||
           (c < 0x80 && std::string_view("-({[<").find(static_cast<char>(c)) != std::string_view::npos);
  });
}

// ---- pieces ----
struct piece {
  std::size_t begin, size;
};
inline value pieces_of(runtime& rt, const marked_text& t, const std::vector<piece>& pieces) {
  std::vector<value> items;
  for (const piece& p : pieces) items.push_back(part_of(rt, t, p.begin, p.size));
  return make_list(rt, std::move(items));
}

// Removes white space, or the characters of `chars` if it is not null, from the ends.
inline value strip(runtime& rt, const marked_text& t, const marked_text* chars, bool left, bool right) {
  std::u32string set;
  if (chars)
    for_each_character(chars->bytes(), [&](char32_t c, std::size_t, std::size_t) { return set.push_back(c), true; });
  const auto removed = [&](char32_t c) {
    rt.work(1 + set.size() / 16);
    return chars ? set.find(c) != set.npos : is_space(c);
  };
  std::size_t begin = 0, end = t.size();
  if (left)
    for_each_character(t.bytes(), [&](char32_t c, std::size_t at, std::size_t size) {
      return removed(c) && (begin = at + size, true);
    });
  while (right && end > begin) {
    const std::size_t last = utf8::last_begin(std::string_view(t.bytes()).substr(0, end));
    if (!removed(utf8::next(std::string_view(t.bytes()).substr(last)).code_point)) break;
    end = last;
  }
  return part_of(rt, t, begin, end - begin);
}

// split() at white space: at most `most` times, from the left.
inline std::vector<piece> split_at_space(std::string_view t, std::size_t most) {
  std::vector<piece> out;
  std::size_t word = t.npos;
  for_each_character(t, [&](char32_t c, std::size_t at, std::size_t) {
    if (is_space(c) && word != t.npos) {
      out.push_back({word, at - word});
      word = t.npos;
    } else if (!is_space(c) && word == t.npos) {
      word = at;
      if (out.size() == most) return false;
    }
    return true;
  });
  if (word != t.npos) out.push_back({word, t.size() - word});  // also the rest, if there were `most` pieces
  return out;
}
// rsplit() at white space. The pieces are in their order.
inline std::vector<piece> split_at_space_from_right(std::string_view t, std::size_t most) {
  std::vector<piece> words = split_at_space(t, t.npos), out;
  if (words.size() <= most) return words;
  const std::size_t joined = words.size() - most;  // this many words stay one piece
  out.push_back({0, words[joined - 1].begin + words[joined - 1].size});
  out.insert(out.end(), words.begin() + static_cast<std::ptrdiff_t>(joined), words.end());
  return out;
}
// Where `part` stands, at most `most` times, the last ones; in their order.
inline std::vector<std::size_t> find_all_from_right(runtime& rt, std::string_view t, std::string_view part,
                                                    std::size_t most) {
  const std::string reversed(t.rbegin(), t.rend()), reversed_part(part.rbegin(), part.rend());
  std::vector<std::size_t> places = find_all(rt, reversed, reversed_part, most);
  for (std::size_t& at : places) at = t.size() - at - part.size();
  std::reverse(places.begin(), places.end());
  return places;
}
// split(separator) and rsplit(separator).
inline std::vector<piece> split_at(runtime& rt, std::string_view t, std::string_view separator, std::size_t most,
                                   bool from_right) {
  if (separator.empty()) throw refusal("split(): the separator is empty");
  std::vector<piece> out;
  std::size_t begin = 0;
  for (const std::size_t at : (from_right ? find_all_from_right : find_all)(rt, t, separator, most))
    out.push_back({begin, at - begin}), begin = at + separator.size();
  out.push_back({begin, t.size() - begin});
  return out;
}
// splitlines(): all ends of lines that Python knows.
inline std::vector<piece> split_lines(std::string_view t, bool keep_ends = false) {
  std::vector<piece> out;
  std::size_t begin = 0;
  for_each_character(t, [&](char32_t c, std::size_t at, std::size_t size) {
    const bool ends = (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends || at < begin) return true;
    std::size_t next = at + size;
    if (c == '\r' && t.substr(next).starts_with('\n')) ++next;
    out.push_back({begin, (keep_ends ? next : at) - begin});
    begin = next;
    return true;
  });
  if (begin < t.size()) out.push_back({begin, t.size() - begin});
  return out;
}

// ---- search ----
// replace(from, to): at most `most` times.
inline value replace(runtime& rt, const marked_text& t, const marked_text& from, const marked_text& to,
                     std::int64_t most) {
  text_builder out(rt);
  std::uint64_t left = most < 0 ? UINT64_MAX : static_cast<std::uint64_t>(most);
  std::size_t at = 0;
  rt.read(t.size());
  if (from.empty()) {  // before each character and at the end
    for_each_character(t.bytes(), [&](char32_t, std::size_t begin, std::size_t size) {
      if (left) out.append(to), --left, rt.work();
      out.append(t, begin, size);
      return true;
    });
    if (left) out.append(to);
    return out.finish();
  }
  for (const std::size_t found : find_all(rt, t.bytes(), from.bytes(), left)) {
    out.append(t, at, found - at);
    out.append(to);
    at = found + from.size();
  }
  out.append(t, at, t.size() - at);
  return out.finish();
}
// separator.join(items)
template <class Items>
value join(runtime& rt, const marked_text& separator, const Items& items, bool only_texts) {
  text_builder out(rt);
  bool first = true;
  for (const value& v : items) {
    rt.work();
    if (!std::exchange(first, false)) out.append(separator);
    if (only_texts && !v.is<text>()) throw refusal("join(): an item is of type " + type_name(v) + ", not a text");
    append_str(rt, out, v);
  }
  return out.finish();
}

}  // namespace iapt::jinja::detail
