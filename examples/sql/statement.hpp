// SPDX-License-Identifier: Apache-2.0
// Conditions of a statement, each as SQL and as the words of a question.
#pragma once
#include <cctype>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/core/random.hpp"
#include "phrasings.hpp"
#include "schema.hpp"

namespace sql {

/// One of the items, all with the same probability.
template <class Items>
const auto& pick(const Items& items, iapt::random_stream& random) {
  return items[random.below(items.size())];
}
/// True with a probability of `percent`.
inline bool chance(int percent, iapt::random_stream& random) { return random.below(100) < std::uint64_t(percent); }

/// Puts items in a random order. @par Source Fisher and Yates; Durstenfeld 1964
template <class T>
void shuffle(std::vector<T>& items, iapt::random_stream& random) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.below(i)]);
}

/// The items as a list, such as "a" or "b and c".
inline std::string join(const std::vector<std::string>& items, std::string_view between, std::string_view last) {
  std::string joined;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) joined += i + 1 == items.size() ? last : between;
    joined += items[i];
  }
  return joined;
}

/// The plural of a regular noun.
inline std::string plural(const std::string& noun) {
  const char last = noun.back(), before = noun.size() > 1 ? noun[noun.size() - 2] : ' ';
  if (last == 'y' && std::string_view("aeiou").find(before) == std::string_view::npos)
    return noun.substr(0, noun.size() - 1) + "ies";
  const bool hisses = last == 's' || last == 'x' || last == 'z' || (last == 'h' && (before == 'c' || before == 's'));
  return noun + (hisses ? "es" : "s");
}

/// The noun with "a" or "an".
inline std::string with_article(const std::string& noun) {
  return (std::string_view("aeiou").find(noun[0]) == std::string_view::npos ? "a " : "an ") + noun;
}

/// Fills the {slots} of a sentence, removes the spaces that empty slots leave, and capitalises the first letter.
/// @throws std::out_of_range for a slot without words
inline std::string fill(std::string_view sentence, const std::map<std::string, std::string>& words) {
  std::string filled;
  for (std::size_t i = 0; i < sentence.size(); ++i) {
    if (sentence[i] != '{') {
      filled += sentence[i];
      continue;
    }
    const std::size_t end = sentence.find('}', i);
    filled += words.at(std::string(sentence.substr(i + 1, end - i - 1)));
    i = end;
  }
  for (const char mark : std::string_view(" ?.,:"))
    for (std::size_t at; (at = filled.find(std::string(" ") + mark)) != std::string::npos;) filled.erase(at, 1);
  filled[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(filled[0])));
  return filled;
}

/// A number, year or day in the column's range; large numbers are round.
inline std::string draw_value(const column& c, iapt::random_stream& random) {
  int number = c.low + int(random.below(std::uint64_t(c.high - c.low) + 1));
  const auto two_digits = [](int n) { return std::string(n < 10 ? "0" : "") + std::to_string(n); };
  if (c.type == column_type::real) return std::to_string(number / 10) + "." + std::to_string(number % 10);
  if (c.type == column_type::date) {
    const int month = 1 + int(random.below(12)), day = 1 + int(random.below(28));
    return std::to_string(number) + "-" + two_digits(month) + "-" + two_digits(day);
  }
  if (c.type == column_type::integer && c.high >= 300) number = (number + 9) / 10 * 10;
  return std::to_string(number);
}

/// Words and days are in quotes, numbers are not. (In a question, only words are.)
inline std::string quoted(const column& c, const std::string& value) {
  return c.type == column_type::text || c.type == column_type::date ? "'" + value + "'" : value;
}

/// Whether a column is ordered by time.
inline bool is_time(const column& c) { return c.type == column_type::year || c.type == column_type::date; }

/// A condition on a row, written in three ways.
struct condition {
  std::string sql;        ///< "price > 20"
  std::string clause;     ///< "price is above 20"
  std::string attribute;  ///< "a price above 20"
};

/// Draws a condition on one column.
inline condition draw_condition(const column& c, iapt::random_stream& random) {
  const std::string name = spoken(c.name);
  if (c.type == column_type::text) {
    const std::string value = quoted(c, pick(c.values, random));
    if (chance(20, random))
      return {c.name + " != " + value, name + " is not " + value, with_article(name) + " other than " + value};
    return {c.name + " = " + value, name + " is " + value, name + " " + value};
  }
  const std::string value = draw_value(c, random);
  if (c.type == column_type::integer && chance(15, random)) {
    const std::string high = std::to_string(std::stoi(value) + (c.high >= 300 ? 10 : 1) * int(1 + random.below(20)));
    const std::string both = " between " + value + " and " + high;
    return {c.name + " BETWEEN " + value + " AND " + high, name + " is" + both, with_article(name) + both};
  }
  const comparison& how = pick(is_time(c) ? time_comparisons : number_comparisons, random);
  const auto say = [&](std::string_view words) { return " " + std::string(words) + " " + value; };
  return {c.name + " " + std::string(how.symbol) + " " + quoted(c, value), name + say(how.clause),
          with_article(name) + say(how.attribute)};
}

/// Draws the condition that a text column has one of two words.
inline condition draw_either(const column& c, iapt::random_stream& random) {
  const std::size_t first = random.below(c.values.size());
  const std::string a = quoted(c, c.values[first]), b = quoted(c, c.values[(first + 1) % c.values.size()]);
  const std::string either = a + " or " + b, name = spoken(c.name);
  return {c.name + " = " + a + " OR " + c.name + " = " + b, name + " is " + either, name + " " + either};
}

/// The words after a table's name: the conditions, joined by "and" or "or".
inline std::string say_conditions(const std::vector<condition>& conditions, const condition_style& style,
                                  std::string_view connective) {
  if (conditions.empty()) return "";
  std::vector<std::string> parts;
  for (const condition& c : conditions)
    parts.push_back(std::string(style.each) + (style.clause ? c.clause : c.attribute));
  return std::string(style.front) + join(parts, ", ", " " + std::string(connective) + " ");
}

}  // namespace sql
