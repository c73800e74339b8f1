// SPDX-License-Identifier: Apache-2.0
// The three splits of the text-to-SQL data, and their JSON lines.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dev_domains.hpp"
#include "iapt/io/atomic_file.hpp"
#include "questions.hpp"
#include "test_domains.hpp"
#include "train_domains.hpp"

namespace sql {

/// Examples for training, for the loss during training, and for the final test.
struct data_set {
  std::vector<example> train;  ///< seen phrasings
  std::vector<example> dev;    ///< seen phrasings, its own tables
  std::vector<example> test;   ///< half of it in reserved phrasings, its own tables
};

/// Draws the three splits. Their tables have no word of a name in common; half of the test has its own phrasings.
/// @throws iapt::error if two splits share a word
inline data_set make_data(std::size_t train, std::size_t dev, std::size_t test, std::uint64_t seed) {
  const auto for_train = parse_domains(train_domains), for_dev = parse_domains(dev_domains),
             for_test = parse_domains(test_domains);
  require_disjoint_names(for_train, for_dev);
  require_disjoint_names(for_train, for_test);
  require_disjoint_names(for_dev, for_test);
  return {make_examples(for_train, train, false, iapt::random_stream(seed, 0)),
          make_examples(for_dev, dev, false, iapt::random_stream(seed, 1)),
          make_examples(for_test, test, true, iapt::random_stream(seed, 2))};
}

/// An example as one JSON line. Readers of prompt and completion may ignore the other fields.
inline std::string json_line(const example& e) {
  return nlohmann::ordered_json{
      {"prompt", e.prompt}, {"completion", e.completion}, {"tags", e.tags}, {"phrasing", e.phrasing}}
      .dump();
}

/// Writes examples, one per line: all of them, or no file.
/// @throws iapt::io_error if the file cannot be written
inline void write_lines(const std::filesystem::path& path, const std::vector<example>& examples) {
  std::string lines;
  for (const example& e : examples) lines += json_line(e) + "\n";
  iapt::write_text_file(path, lines);
}

}  // namespace sql
