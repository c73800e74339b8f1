// SPDX-License-Identifier: Apache-2.0
// Writes questions about tables with the SQL that answers them: train.jsonl, dev.jsonl and test.jsonl.
#include <map>

#include "sql/data_set.hpp"
#include "support/command_line.hpp"

/// Writes one split and prints the percentage of each tag.
void write(const std::filesystem::path& path, const std::vector<sql::example>& examples) {
  sql::write_lines(path, examples);
  std::map<std::string, std::size_t> tags;
  for (const sql::example& e : examples)
    for (const std::string& tag : e.tags) ++tags[tag];
  std::cout << path.string() << ": " << examples.size() << " questions";
  for (const auto& [tag, count] : tags) std::cout << ", " << tag << ' ' << 100 * count / examples.size() << " %";
  std::cout << '\n';
}

int main(int argc, char** argv) {
  CLI::App app{"Writes text-to-SQL data; the tables of dev and test are never seen in training"};
  std::filesystem::path out;
  std::size_t train = 2000, dev = 200, test = 400;
  std::uint64_t seed = 0;
  const auto count = program::between<std::size_t>(0, 1000000);
  app.add_option("--out", out, "folder for the three files")->required()->check(program::not_empty());
  app.add_option("--train", train, "lines of train.jsonl")->check(count)->capture_default_str();
  app.add_option("--dev", dev, "lines of dev.jsonl, for the loss during training")->check(count)->capture_default_str();
  app.add_option("--test", test, "lines of test.jsonl")->check(count)->capture_default_str();
  app.add_option("--seed", seed, "the same seed gives the same lines on every machine")
      ->check(program::between<std::uint64_t>(0))
      ->capture_default_str();
  return program::run(app, argc, argv, [&] {
    const sql::data_set data = sql::make_data(train, dev, test, seed);
    std::error_code failure;
    std::filesystem::create_directories(out, failure);
    if (failure) throw iapt::io_error(out.string() + ": cannot create the folder: " + failure.message());
    write(out / "train.jsonl", data.train);
    write(out / "dev.jsonl", data.dev);
    write(out / "test.jsonl", data.test);
    return 0;
  });
}
