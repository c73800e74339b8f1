// SPDX-License-Identifier: Apache-2.0
// Reads questions with several answers, for evaluation.
#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "iapt/data/jsonl.hpp"

namespace iapt {

/// The questions of a file, and the report of reading it.
struct choice_set {
  std::vector<choice_example> examples;  ///< questions, in the order of their lines
  jsonl_report report;                   ///< lines that were left out or cut
};

/// Reads one question: `prompt`, `choices` (at least two) and `answer`, an index from 0.
/// @throws io_error with what is wrong in the line
inline choice_example read_choices(const example_reader& reader, const nlohmann::ordered_json& line) {
  choice_example e{.instruction = reader.prompt(json_field::text(line, "prompt")), .choices = {}};
  for (const std::string& choice : json_field::texts(line, "choices"))
    e.choices.push_back(reader.completion(choice, "choices", e.instruction));
  if (e.choices.size() < 2)
    throw io_error("\"choices\" has " + std::to_string(e.choices.size()) + " entries, expected at least 2");
  const auto answer = line.find("answer");
  if (answer == line.end() || !answer->is_number_unsigned())
    throw io_error("expected \"answer\" (number from 0), " +
                   json_field::found(answer == line.end() ? nullptr : &*answer));
  e.answer = answer->get<std::size_t>();
  if (e.answer >= e.choices.size())
    throw io_error("\"answer\" is " + std::to_string(e.answer) + ", but the " + std::to_string(e.choices.size()) +
                   " choices count from 0");
  e.tags = json_field::tags(line);
  return e;
}

/// Reads a file of questions, completely or not at all. The length limit applies to the longest choice.
/// @param path file of one JSON object a line, optionally with `tags` (array of strings)
/// @param words the model's tokenizer
/// @param options length limit
/// @throws io_error with every bad line (up to twenty), its number and what is wrong, or if no example is left
inline choice_set load_choices(const std::filesystem::path& path, const tokenizer& words,
                               const jsonl_options& options = {.consequence = "nothing was evaluated"}) {
  choice_set data;
  bad_lines bad(path.string(), options.consequence);
  const example_reader reader(words);
  for_each_json_line(path, bad, [&](const nlohmann::ordered_json& line, std::size_t number) {
    choice_example e = read_choices(reader, line);
    e.line = number;
    require_length(e.instruction, options);
    const auto longest = std::max_element(e.choices.begin(), e.choices.end(),
                                          [](const auto& a, const auto& b) { return a.size() < b.size(); });
    example whole{.instruction = std::move(e.instruction), .response = *longest, .line = number};
    if (!limit_length(whole, options, data.report)) return;
    e.instruction = std::move(whole.instruction);
    data.examples.push_back(std::move(e));
  });
  if (data.examples.empty())
    throw io_error(path.string() + ": no question is left: " +
                   (data.report.lines ? over_limit_text(data.report) + "; raise the limit" : "the file has no lines") +
                   "\n      " + options.consequence);
  return data;
}

}  // namespace iapt
