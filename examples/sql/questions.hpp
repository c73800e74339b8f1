// SPDX-License-Identifier: Apache-2.0
// Draws questions about tables, each with the SQL statement that answers it.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "statement.hpp"

namespace sql {

/// One line of a data set.
struct example {
  std::string prompt;             ///< the schema, the question, and "SQL:"
  std::string completion;         ///< a space and the statement
  std::vector<std::string> tags;  ///< kinds of clauses, and "unseen_phrasing"
  std::string phrasing;           ///< the sentence with its slots
};

/// What a statement computes.
enum class result { rows, distinct, count, count_distinct, aggregate, group_count, group_aggregate, first_rows };

/// A kind of statement, and how many of a hundred statements are of this kind.
struct shape {
  result what;     ///< what is computed
  int conditions;  ///< number of conditions in WHERE
  int weight;      ///< number of statements in 100
};
/// Of a hundred, 50 have two or more conditions, 38 an aggregate, 18 an ordering with a limit, 14 a grouping.
inline const std::vector<shape> shapes{
    {result::rows, 1, 12},           {result::rows, 2, 22},           {result::rows, 3, 5},
    {result::distinct, 1, 2},        {result::distinct, 2, 3},        {result::count, 1, 3},
    {result::count, 2, 6},           {result::count_distinct, 0, 1},  {result::count_distinct, 1, 2},
    {result::aggregate, 0, 2},       {result::aggregate, 1, 4},       {result::aggregate, 2, 6},
    {result::group_count, 0, 4},     {result::group_count, 1, 3},     {result::group_count, 2, 1},
    {result::group_aggregate, 0, 3}, {result::group_aggregate, 1, 2}, {result::group_aggregate, 2, 1},
    {result::first_rows, 0, 6},      {result::first_rows, 1, 6},      {result::first_rows, 2, 6}};

/// The sentences for a kind of statement.
inline const phrasing_set& phrasings_of(result what) {
  switch (what) {
    case result::rows:
      return select_phrasings;
    case result::distinct:
      return distinct_phrasings;
    case result::count:
      return count_phrasings;
    case result::count_distinct:
      return count_distinct_phrasings;
    case result::aggregate:
      return aggregate_phrasings;
    case result::group_count:
      return group_count_phrasings;
    case result::group_aggregate:
      return group_aggregate_phrasings;
    case result::first_rows:
      break;
  }
  return order_phrasings;
}

/// The tags for which accuracy is counted.
inline std::vector<std::string> tags_of(const shape& s, bool reserved) {
  std::vector<std::string> tags;
  const bool group = s.what == result::group_count || s.what == result::group_aggregate;
  const bool count = s.what == result::count || s.what == result::count_distinct;
  if (s.what == result::rows || s.what == result::distinct) tags.push_back("select");
  if (s.conditions >= 2) tags.push_back("conditions");
  if (group || count || s.what == result::aggregate) tags.push_back("aggregate");
  if (s.what == result::first_rows) tags.push_back("order");
  if (group) tags.push_back("group");
  if (reserved) tags.push_back("unseen_phrasing");
  return tags;
}

/// Draws one question about one table. Each part of the statement takes its own column, so no column has two roles.
class question_writer {
 public:
  /// Shuffles the columns that the parts then take.
  question_writer(const domain& table, const shape& form, bool reserved, iapt::random_stream& random)
      : table_(table), form_(form), reserved_(reserved), random_(random) {
    for (const column& c : table.columns) (c.type == column_type::identity ? used_ : free_).push_back(&c);
    shuffle(free_, random_);
  }

  /// Writes the example.
  example write() {
    words_ = {{"tables", table_.plural}, {"table", spoken(table_.table)}};
    const std::string_view phrasing =
        pick(reserved_ ? phrasings_of(form_.what).reserved : phrasings_of(form_.what).seen, random_);
    const std::string head = draw_result(), where = draw_where();
    if (asks_for_columns()) draw_columns();
    const std::string statement = "SELECT " + head + fill_columns() + " FROM " + table_.table + where + tail_;
    return {schema() + "\n" + fill(phrasing, words_) + "\nSQL:", " " + statement, tags_of(form_, reserved_),
            std::string(phrasing)};
  }

 private:
  bool asks_for_columns() const { return form_.what == result::rows || form_.what == result::first_rows; }

  /// Takes the next free column that matches; every table has at least two text columns and two number columns.
  template <class Predicate>
  const column& take(Predicate fits) {
    const auto found = std::find_if(free_.begin(), free_.end(), [&](const column* c) { return fits(*c); });
    if (found == free_.end()) throw iapt::error("sql: table \"" + table_.table + "\" has too few columns");
    const column* taken = *found;
    free_.erase(found);
    used_.push_back(taken);
    return *taken;
  }
  const column& take_text() {
    return take([](const column& c) { return c.type == column_type::text; });
  }
  const column& take_measure() {
    return take([](const column& c) { return c.type != column_type::text; });
  }

  /// Returns "AVG(price)" and adds "average price" to the words.
  std::string draw_aggregate() {
    const column& c = take_measure();
    if (form_.what == result::aggregate && !is_time(c) && chance(15, random_)) {
      words_["aggregate"] = "lowest and highest " + spoken(c.name);
      return "MIN(" + c.name + "), MAX(" + c.name + ")";
    }
    const auto& choices = is_time(c) ? time_aggregates : number_aggregates;
    const aggregate_function* chosen = &pick(choices, random_);
    while (chosen->name == "SUM" && !c.additive) chosen = &pick(choices, random_);
    words_["aggregate"] = std::string(pick(chosen->words, random_)) + " " + spoken(c.name);
    return std::string(chosen->name) + "(" + c.name + ")";
  }

  /// Draws ORDER BY and LIMIT.
  void draw_order() {
    const column& c = take_measure();
    const bool descending = chance(60, random_);
    const std::size_t limit = chance(35, random_) ? 1 : 2 + random_.below(8);
    static const std::vector<std::string_view> most{"highest", "largest"}, least{"lowest", "smallest"};
    const std::string_view best =
        is_time(c) ? (descending ? "latest" : "earliest") : pick(descending ? most : least, random_);
    const std::string high = is_time(c) ? "latest" : "highest", low = is_time(c) ? "earliest" : "lowest";
    words_["sort"] = spoken(c.name);
    words_["best"] = std::string(best) + " " + spoken(c.name);
    words_["direction"] = descending ? "from " + high + " to " + low : "from " + low + " to " + high;
    words_["n"] = limit == 1 ? "one" : std::to_string(limit);
    words_["few"] = limit == 1 ? spoken(table_.table) : words_["n"] + " " + table_.plural;
    tail_ = " ORDER BY " + c.name + (descending ? " DESC" : " ASC") + " LIMIT " + std::to_string(limit);
  }

  /// The part after SELECT, except for plain columns; fills tail_.
  std::string draw_result() {
    switch (form_.what) {
      case result::rows:
        return "";
      case result::first_rows:
        return draw_order(), "";
      case result::count:
        return "COUNT(*)";
      case result::aggregate:
        return draw_aggregate();
      case result::distinct:
      case result::count_distinct: {
        const std::string name = take_text().name;
        words_["columns"] = spoken(name), words_["columns+"] = plural(spoken(name));
        return form_.what == result::distinct ? "DISTINCT " + name : "COUNT(DISTINCT " + name + ")";
      }
      case result::group_count:
      case result::group_aggregate:
        break;
    }
    const std::string key = take_text().name;
    words_["key"] = spoken(key);
    tail_ = " GROUP BY " + key;
    return key + ", " + (form_.what == result::group_count ? "COUNT(*)" : draw_aggregate());
  }

  /// Draws WHERE, and the same in words.
  std::string draw_where() {
    const bool either = form_.conditions == 2 && chance(20, random_);
    std::vector<condition> conditions;
    if (either && chance(50, random_)) {
      conditions.push_back(draw_either(take_text(), random_));
    } else {
      for (int i = 0; i < form_.conditions; ++i)
        conditions.push_back(draw_condition(take([](const column&) { return true; }), random_));
    }
    const bool rare = reserved_ && chance(50, random_);
    const condition_style& style = rare ? reserved_style : pick(condition_styles, random_);
    words_["where"] = say_conditions(conditions, style, either ? "or" : "and");
    words_["among"] = conditions.empty() ? "" : " among those " + words_["where"];

    std::vector<std::string> parts;
    for (const condition& c : conditions) parts.push_back(c.sql);
    const std::string_view connective = either ? " OR " : " AND ";
    return parts.empty() ? "" : " WHERE " + join(parts, connective, connective);
  }

  /// Draws the columns that are shown: often the identity, sometimes another column or both.
  void draw_columns() {
    const bool identity = free_.empty() || chance(65, random_);
    if (identity) shown_.push_back(used_.front()->name);
    if (!free_.empty() && (!identity || chance(40, random_)))
      shown_.push_back(take([](const column&) { return true; }).name);
    std::vector<std::string> singular, several;
    for (const std::string& name : shown_) {
      singular.push_back(spoken(name));
      several.push_back(plural(spoken(name)));
    }
    const bool one_row = words_["n"] == "one";
    words_["columns"] = join(singular, ", ", " and ");
    words_["columns+"] = join(several, ", ", " and ");
    words_["columns~"] = words_[one_row ? "columns" : "columns+"];
    words_["is"] = one_row && shown_.size() == 1 ? "is" : "are";
  }
  std::string fill_columns() const { return join(shown_, ", ", ", "); }

  /// "Table wine: name, price, region, year": the identity, then the used columns and one or two others, shuffled.
  std::string schema() {
    const std::size_t size = std::max<std::size_t>(used_.size(), 4 + random_.below(2));
    while (used_.size() < size && !free_.empty()) used_.push_back(free_.back()), free_.pop_back();
    std::vector<std::string> names;
    for (const column* c : used_) names.push_back(c->name);
    const std::string identity = names.front();
    names.erase(names.begin());
    shuffle(names, random_);
    names.insert(names.begin(), identity);
    return "Table " + table_.table + ": " + join(names, ", ", ", ");
  }

  const domain& table_;
  const shape& form_;
  bool reserved_;
  iapt::random_stream& random_;
  std::vector<const column*> used_, free_;    // the identity is the first of used_
  std::vector<std::string> shown_;            // plain columns after SELECT
  std::map<std::string, std::string> words_;  // for the slots of the sentence
  std::string tail_;                          // GROUP BY, or ORDER BY and LIMIT
};

/// Draws examples without repeating a prompt. Each hundred has exactly the distribution of `shapes`; with reserved
/// phrasings, each hundred shapes occur once with seen phrasings and once with reserved ones.
/// @throws iapt::error if the tables do not give so many different questions
inline std::vector<example> make_examples(const std::vector<domain>& domains, std::size_t count, bool reserve_half,
                                          iapt::random_stream random) {
  using card = std::pair<const shape*, bool>;
  std::vector<card> deck;
  std::vector<example> examples;
  std::set<std::string> prompts;
  while (examples.size() < count) {
    if (deck.empty()) {
      for (const shape& s : shapes)
        for (int i = 0; i < s.weight; ++i)
          for (int reserved = 0; reserved <= int(reserve_half); ++reserved) deck.emplace_back(&s, reserved == 1);
      shuffle(deck, random);
    }
    example drawn;
    int attempts = 0;
    do {
      if (++attempts > 1000)
        throw iapt::error("sql: no new question after " + std::to_string(examples.size()) + "; ask for fewer");
      drawn = question_writer(pick(domains, random), *deck.back().first, deck.back().second, random).write();
    } while (!prompts.insert(drawn.prompt).second);
    examples.push_back(std::move(drawn));
    deck.pop_back();
  }
  return examples;
}

}  // namespace sql
