// SPDX-License-Identifier: Apache-2.0
// The sentences of the questions. Those reserved for the test do not occur in training.
#pragma once
#include <string_view>
#include <vector>

namespace sql {

/// The sentences for one kind of statement.
///
/// Slots: {tables} and {table} are the table, plural and singular; {columns} the selected columns, {columns+} in the
/// plural; {where} the conditions; {aggregate} "average price"; {key} the grouping column; {few} "3 wines" or "wine",
/// {columns~} their columns in the matching number, {is} likewise; {best} "highest price"; {among} the conditions as
/// "among those ..."; {sort}, {direction} and {n} the parts of an ordering.
struct phrasing_set {
  std::vector<std::string_view> seen;      ///< for every split
  std::vector<std::string_view> reserved;  ///< for the unseen half of the test
};

/// Columns of the rows that match conditions.
inline const phrasing_set select_phrasings{
    {"What are the {columns+} of {tables} {where}?",
     "List the {columns+} of {tables} {where}.",
     "Show the {columns} of each {table} {where}.",
     "Give me the {columns} of every {table} {where}.",
     "Find the {columns+} of all {tables} {where}.",
     "For {tables} {where}, show the {columns}.",
     "I need the {columns} of any {table} {where}.",
     "Among {tables} {where}, what are the {columns+}?",
     "Return {columns+} for {tables} {where}.",
     "Which {tables} {where} are there? Show their {columns+}.",
     "Of all {tables} {where}, show the {columns+}.",
     "Select the {columns+} of {tables} {where}.",
     "Get the {columns} of all {tables} {where}.",
     "Looking at {tables} {where}, what are the {columns+}?",
     "Tell me the {columns} of each {table} {where}.",
     "What {columns+} do {tables} {where} have?",
     "I am looking for {tables} {where}. What are their {columns+}?",
     "Please list {columns+} for all {tables} {where}.",
     "Find all {tables} {where} and show their {columns+}.",
     "The {columns+} of every {table} {where}?"},
    {"Look up the {columns+} of {tables} {where}.", "Take all {tables} {where} and report their {columns+}.",
     "Considering only {tables} {where}, what are their {columns+}?", "{columns+} of {tables} {where}, please.",
     "Could you print the {columns} for each {table} {where}?",
     "We are interested in {tables} {where}: the {columns+}."}};

/// The distinct values of a column.
inline const phrasing_set distinct_phrasings{
    {"List the different {columns+} of {tables} {where}.", "What are the distinct {columns+} of {tables} {where}?",
     "Show every different {columns} of {tables} {where}.", "Which different {columns+} do {tables} {where} have?",
     "Name each distinct {columns} that {tables} {where} have.",
     "List the {columns+} of {tables} {where} without duplicates.",
     "Find all distinct {columns+} of {tables} {where}."},
    {"Without repeats, give the distinct {columns+} of {tables} {where}.",
     "What different {columns+} occur among {tables} {where}?", "Print each distinct {columns} of {tables} {where}."}};

/// The number of rows.
inline const phrasing_set count_phrasings{
    {"How many {tables} {where} are there?", "Count the {tables} {where}.", "What is the number of {tables} {where}?",
     "Find the number of {tables} {where}.", "Tell me how many {tables} {where} exist.",
     "Give me the count of {tables} {where}.", "What is the count of all {tables} {where}?",
     "Show how many {tables} {where} there are.", "Get the number of all {tables} {where}.",
     "I need to know how many {tables} {where} there are."},
    {"Work out how many {tables} {where} we have.", "I want a count of all {tables} {where}.",
     "{tables} {where}: how many?", "Please report the number of {tables} {where}."}};

/// The number of distinct values of a column.
inline const phrasing_set count_distinct_phrasings{
    {"How many different {columns+} do {tables} {where} have?", "Count the distinct {columns+} of {tables} {where}.",
     "What is the number of different {columns+} of {tables} {where}?",
     "Find the number of distinct {columns+} among {tables} {where}.",
     "Tell me how many different {columns+} {tables} {where} have."},
    {"Work out how many distinct {columns+} occur among {tables} {where}.",
     "I want a count of the different {columns+} of {tables} {where}."}};

/// One or two aggregates of a column.
inline const phrasing_set aggregate_phrasings{
    {"What is the {aggregate} of {tables} {where}?", "Find the {aggregate} of all {tables} {where}.",
     "Give the {aggregate} for {tables} {where}.", "Show the {aggregate} across {tables} {where}.",
     "For {tables} {where}, what is the {aggregate}?", "Compute the {aggregate} of {tables} {where}.",
     "Tell me the {aggregate} of {tables} {where}.", "Calculate the {aggregate} of all {tables} {where}.",
     "Among {tables} {where}, what is the {aggregate}?", "Looking at {tables} {where}, find the {aggregate}.",
     "I need the {aggregate} of {tables} {where}.", "What {aggregate} do {tables} {where} have?"},
    {"Work out the {aggregate} of {tables} {where}.", "Taking all {tables} {where}, what is their {aggregate}?",
     "I would like to know the {aggregate} of {tables} {where}.", "Report the {aggregate} over all {tables} {where}."}};

/// The number of rows of each group.
inline const phrasing_set group_count_phrasings{
    {"For each {key}, how many {tables} {where} are there?", "Show each {key} with the number of {tables} {where}.",
     "How many {tables} {where} are there for each {key}?", "Per {key}, count the {tables} {where}.",
     "List every {key} and the number of {tables} {where}.", "Give the number of {tables} {where} for every {key}.",
     "Count the {tables} {where} of each {key}.", "How many {tables} {where} does each {key} have?",
     "Split the {tables} {where} by {key}: how many are in each?", "Show the number of {tables} {where} by {key}.",
     "For every {key}, count the {tables} {where}.", "Divide the {tables} {where} by {key} and give each count."},
    {"Group the {tables} {where} by {key} and count them.", "Break down by {key} the number of {tables} {where}.",
     "By {key}, how many {tables} {where} do we have?"}};

/// An aggregate of each group.
inline const phrasing_set group_aggregate_phrasings{{"For each {key}, what is the {aggregate} of {tables} {where}?",
                                                     "Show each {key} with the {aggregate} of {tables} {where}.",
                                                     "What is the {aggregate} of {tables} {where} for each {key}?",
                                                     "Per {key}, find the {aggregate} of {tables} {where}.",
                                                     "List every {key} and the {aggregate} of {tables} {where}.",
                                                     "Give the {aggregate} of {tables} {where} for every {key}.",
                                                     "Split the {tables} {where} by {key} and find the {aggregate}.",
                                                     "Show the {aggregate} of {tables} {where} by {key}.",
                                                     "For every {key}, compute the {aggregate} of {tables} {where}.",
                                                     "Divide the {tables} {where} by {key} and show the {aggregate}."},
                                                    {"Group the {tables} {where} by {key} and report the {aggregate}.",
                                                     "Break down by {key} the {aggregate} of {tables} {where}.",
                                                     "By {key}, work out the {aggregate} of {tables} {where}."}};

/// The first rows of an order.
inline const phrasing_set order_phrasings{
    {"What {is} the {columns~} of the {few} with the {best}{among}?",
     "List the {columns~} of the {few} with the {best}{among}.",
     "Find the {few} with the {best}{among} and show the {columns~}.",
     "For the {few} with the {best}{among}, give the {columns~}.",
     "Sort {tables} {where} by {sort} {direction} and list the {columns~} of the first {n}.",
     "Among {tables} {where}, show the {columns~} of the {n} with the {best}.",
     "Give me the {columns~} of the {few} with the {best}{among}.",
     "I need the {columns~} of the {few} with the {best}{among}.",
     "Order {tables} {where} by {sort} {direction} and give the {columns~} of the first {n}.",
     "Arrange {tables} {where} by {sort} {direction} and show the {columns~} of the top {n}.",
     "Take the {few} with the {best}{among} and list the {columns~}.",
     "Out of {tables} {where}, find the {n} with the {best} and give the {columns~}.",
     "Name the {few} with the {best}{among}: just the {columns~}."},
    {"Look up the {columns~} of the {few} having the {best}{among}.",
     "Rank {tables} {where} by {sort} {direction} and print the {columns~} of the top {n}.",
     "Pick the {few} with the {best}{among} and report the {columns~}.",
     "From all {tables} {where}, take the {n} with the {best}: what {is} the {columns~}?"}};

/// How a list of conditions is written: the word in front, the word before each condition, and whether a condition is a
/// clause ("price is above 20").
struct condition_style {
  std::string_view front;  ///< once
  std::string_view each;   ///< before every condition
  bool clause;             ///< "price is above 20", else "a price above 20"
};
/// Styles for every split.
inline const std::vector<condition_style> condition_styles{
    {"", "whose ", true}, {"with ", "", false}, {"where ", "the ", true}, {"that have ", "", false}};
/// The style that only unseen phrasings use.
inline const condition_style reserved_style{"having ", "", false};

/// A comparison, with its words as a clause and as an attribute.
struct comparison {
  std::string_view symbol;     ///< in the statement
  std::string_view clause;     ///< "price {is above} 20"
  std::string_view attribute;  ///< "a price {above} 20"
};
/// Comparisons of numbers.
inline const std::vector<comparison> number_comparisons{{">", "is above", "above"},
                                                        {">", "is over", "over"},
                                                        {">", "is more than", "of more than"},
                                                        {">", "is greater than", "greater than"},
                                                        {"<", "is below", "below"},
                                                        {"<", "is under", "under"},
                                                        {"<", "is less than", "of less than"},
                                                        {"<", "is lower than", "lower than"},
                                                        {">=", "is at least", "of at least"},
                                                        {">=", "is no less than", "of no less than"},
                                                        {"<=", "is at most", "of at most"},
                                                        {"<=", "is no more than", "of no more than"},
                                                        {"=", "is", "of"},
                                                        {"=", "is exactly", "of exactly"}};
/// Comparisons of years and days.
inline const std::vector<comparison> time_comparisons{{">", "is after", "after"},
                                                      {">", "is later than", "later than"},
                                                      {"<", "is before", "before"},
                                                      {"<", "is earlier than", "earlier than"},
                                                      {">=", "is no earlier than", "no earlier than"},
                                                      {"<=", "is no later than", "no later than"},
                                                      {"=", "is", "of"}};

/// An aggregate function and the words for it.
struct aggregate_function {
  std::string_view name;                ///< in the statement
  std::vector<std::string_view> words;  ///< in the question
};
/// Functions of numbers; SUM is for additive columns only.
inline const std::vector<aggregate_function> number_aggregates{{"AVG", {"average", "mean"}},
                                                               {"SUM", {"total", "combined"}},
                                                               {"MIN", {"lowest", "smallest", "minimum"}},
                                                               {"MAX", {"highest", "largest", "maximum"}}};
/// Functions of years and days.
inline const std::vector<aggregate_function> time_aggregates{{"MIN", {"earliest"}}, {"MAX", {"latest", "most recent"}}};

}  // namespace sql
