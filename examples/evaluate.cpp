// SPDX-License-Identifier: Apache-2.0
// Measures a model on JSONL, with or without an adapter: the flags. evaluate.hpp has the program.
#include "evaluate.hpp"

#include "support/main.hpp"

namespace program {

void evaluate_program::add(CLI::App& app) {
  adapted_flags::add(app);
  app.add_option("--data", data, "JSONL to measure on")->required()->check(not_empty());
  app.add_option("--metric", metric)->check(CLI::IsMember({"exact", "loss", "choice"}))->capture_default_str();
  app.add_option("--limit", limit, "maximum number of examples; 0: all")->check(between<std::size_t>(0));
  app.add_option("--max-new", max_new, "maximum number of tokens of an answer")
      ->check(between<index_t>(1, 1000000))
      ->capture_default_str();
  app.add_option("--beams", beams, "with exact: beams of the search")
      ->check(between<index_t>(1, generation_options::most_beams))
      ->capture_default_str();
  app.add_option("--write", write, "with exact: a JSONL file for the generated answers")->check(not_empty());
}

void evaluate_program::check_flags() {
  if (!write.empty() && metric != "exact") throw error("--write needs --metric exact: only it generates answers");
  if (beams > 1 && metric != "exact") throw error("--beams needs --metric exact: only it generates answers");
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::evaluate_program>(argc, argv); }
