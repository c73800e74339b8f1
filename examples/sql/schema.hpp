// SPDX-License-Identifier: Apache-2.0
// The tables of the questions, parsed from the short notation of train_domains.hpp and the files beside it.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/core/error.hpp"

namespace sql {

/// What a column contains: a name that no condition uses, one of a few words, a number, a year or a day.
enum class column_type { identity, text, integer, real, year, date };

/// One column of a table.
struct column {
  std::string name;                 ///< as in the schema, with underscores between words
  column_type type;                 ///< what it contains
  bool additive = false;            ///< whether its sum means something
  std::vector<std::string> values;  ///< values of a text column
  int low = 0, high = 0;            ///< range of other columns: whole numbers, tenths (real) or years (year, date)
};

/// One table: its name in the singular and in the plural, and its columns.
struct domain {
  std::string table, plural;    ///< "bank_account", "bank accounts"
  std::vector<column> columns;  ///< the identity comes first
};

/// The parts of a text between separators, without white space around them.
inline std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    std::string_view part = text.substr(begin, end - begin);
    part.remove_prefix(std::min(part.find_first_not_of(" \n"), part.size()));
    part = part.substr(0, part.find_last_not_of(" \n") + 1);
    parts.emplace_back(part);
    begin = end + 1;
  }
  return parts;
}

/// A schema's name as people write it: "page count" for "page_count".
inline std::string spoken(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

/// Reads one column: `name`, `name: word, word`, `name: 1..9`, `name: 0.5..2.5`, `name: year 1990..2020`,
/// `name: date 2019..2024`. A plus before a range marks an additive column.
/// @throws iapt::error for an empty range
inline column parse_column(const std::string& text) {
  const auto colon = text.find(':');
  column result{text.substr(0, colon), column_type::identity, false, {}, 0, 0};
  if (colon == std::string::npos) return result;

  std::string range = split(text.substr(colon + 1), ';').front();
  if (range.find("..") == std::string::npos) {
    result.type = column_type::text;
    result.values = split(range, ',');
    return result;
  }
  const auto drop_prefix = [&](std::string_view prefix) {
    const bool found = range.rfind(prefix, 0) == 0;
    if (found) range.erase(0, prefix.size());
    return found;
  };
  result.type = drop_prefix("year ")   ? column_type::year
                : drop_prefix("date ") ? column_type::date
                                       : column_type::integer;
  result.additive = drop_prefix("+");
  const auto dots = range.find("..");
  std::string low = range.substr(0, dots), high = range.substr(dots + 2);
  if (low.find('.') != std::string::npos) {
    result.type = column_type::real;
    std::erase(low, '.'), std::erase(high, '.');
  }
  result.low = std::atoi(low.c_str()), result.high = std::atoi(high.c_str());
  if (result.low >= result.high) throw iapt::error("sql: \"" + text + "\": the range is empty");
  return result;
}

/// Reads tables of the form `table/plural | column | column ...;`.
inline std::vector<domain> parse_domains(std::string_view text) {
  std::vector<domain> domains;
  for (const std::string& record : split(text, ';')) {
    if (record.empty()) continue;
    const auto fields = split(record, '|');
    const auto names = split(fields.front(), '/');
    domain& added = domains.emplace_back(domain{names.at(0), names.at(1), {}});
    for (std::size_t i = 1; i < fields.size(); ++i) added.columns.push_back(parse_column(fields[i]));
  }
  return domains;
}

/// Every word of a table's or a column's name, without the s of a plural.
inline std::set<std::string> name_words(const std::vector<domain>& domains) {
  std::set<std::string> words;
  const auto add = [&](const std::string& name) {
    for (std::string word : split(name, '_')) {
      if (word.size() > 3 && word.back() == 's') word.pop_back();
      words.insert(word);
    }
  };
  for (const domain& d : domains) {
    add(d.table);
    for (const column& c : d.columns) add(c.name);
  }
  return words;
}

/// Checks that two groups of tables have no word of a name in common.
/// @throws iapt::error with the common word
inline void require_disjoint_names(const std::vector<domain>& a, const std::vector<domain>& b) {
  const auto first = name_words(a);
  for (const std::string& word : name_words(b))
    if (first.count(word))
      throw iapt::error("sql: the word \"" + word + "\" names something in two splits; rename one");
}

}  // namespace sql
