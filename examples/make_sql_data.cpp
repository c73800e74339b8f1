// SPDX-License-Identifier: Apache-2.0
// Writes questions about tables, and the SQL that answers them: train.jsonl, dev.jsonl and test.jsonl.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "sql/data_set.hpp"

/// Writes one split and prints the share of each tag.
void write(const std::filesystem::path& path, const std::vector<sql::example>& examples) {
  sql::write_lines(path, examples);
  std::map<std::string, std::size_t> tags;
  for (const sql::example& e : examples)
    for (const std::string& tag : e.tags) ++tags[tag];
  std::cout << path.string() << ": " << examples.size() << " questions";
  for (const auto& [tag, count] : tags) std::cout << ", " << tag << ' ' << 100 * count / examples.size() << " %";
  std::cout << '\n';
}

int main(int argc, char** argv) try {
  CLI::App app{"Writes text-to-SQL data; the tables of dev and test are never seen in training"};
  std::filesystem::path out;
  std::size_t train = 2000, dev = 200, test = 400;
  std::uint64_t seed = 0;
  app.add_option("--out", out, "folder for the three files")->required();
  app.add_option("--train", train, "lines for training")->capture_default_str();
  app.add_option("--dev", dev, "lines for the loss during training")->capture_default_str();
  app.add_option("--test", test, "lines for the final test")->capture_default_str();
  app.add_option("--seed", seed, "the same seed, the same lines, on every machine")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const sql::data_set data = sql::make_data(train, dev, test, seed);
  std::filesystem::create_directories(out);
  write(out / "train.jsonl", data.train);
  write(out / "dev.jsonl", data.dev);
  write(out / "test.jsonl", data.test);
} catch (const std::exception& error) {
  std::cerr << "iapt: " << error.what() << '\n';
  return 1;
}
