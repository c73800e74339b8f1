// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/data/choices.hpp"

#include "data/byte_tokenizer.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::data_choices {

TEST_CASE("questions with choices are read", "[data]") {
  const test::temporary_folder folder;
  const auto words = test::byte_tokenizer();
  const auto path = folder.write("q.jsonl", R"({"prompt": "2+2=", "choices": ["4", "five"], "answer": 0}
{"prompt": "long long", "choices": ["a", "bcdefgh"], "answer": 1, "tags": ["t"]}
)");
  const auto data = load_choices(path, words);
  REQUIRE(data.examples.size() == 2);
  CHECK(data.examples[0].instruction == std::vector<token_id>{'2', '+', '2', '='});
  CHECK(data.examples[0].choices[0] == std::vector<token_id>{'4', 257});
  CHECK(data.examples[0].choices[1].size() == 5);
  CHECK(data.examples[1].answer == 1);
  CHECK(data.examples[1].tags == std::vector<std::string>{"t"});
  CHECK(data.examples[1].line == 2);
  const auto limited = load_choices(path, words, {.max_length = 12});
  CHECK(limited.examples.size() == 1);
  CHECK(limited.report.left_out == std::vector<std::size_t>{2});
  const auto cut = load_choices(path, words, {.max_length = 12, .longer = too_long::cut_left});
  CHECK(words.decode(cut.examples[1].instruction) == "long");
}

TEST_CASE("bad questions are reported", "[data]") {
  const test::temporary_folder folder;
  const auto words = test::byte_tokenizer();
  const auto path = folder.write("q.jsonl", R"({"prompt": "a", "choices": ["b", "c"], "answer": 2}
{"prompt": "a", "choices": ["b", "c"], "answer": -1}
{"prompt": "a", "choices": ["b"], "answer": 0}
{"prompt": "a", "choices": ["b", 3], "answer": 0}
{"prompt": "a", "choices": "bc", "answer": 0}
{"prompt": "a", "choices": ["b", ""], "answer": 0}
{"prompt": "", "choices": ["b", "c"], "answer": 0}
{"prompt": "a", "choices": ["b", "c"]}
)");
  const std::string message = test::io_message([&] { load_choices(path, words); });
  CHECK_THAT(message, has_text("q.jsonl:1: \"answer\" is 2, but the 2 choices count from 0"));
  CHECK_THAT(message, has_text("q.jsonl:2: expected \"answer\" (number from 0), found number"));
  CHECK_THAT(message, has_text("q.jsonl:3: \"choices\" has 1 entries, expected at least 2"));
  CHECK_THAT(message, has_text("q.jsonl:4: expected \"choices\" (array of strings), found number in it"));
  CHECK_THAT(message, has_text("q.jsonl:5: expected \"choices\" (array of strings), found string"));
  CHECK_THAT(message, has_text("q.jsonl:6: \"choices\" is empty"));
  CHECK_THAT(message, has_text("q.jsonl:7: the prompt has no tokens"));
  CHECK_THAT(message, has_text("q.jsonl:8: expected \"answer\" (number from 0), found no such field"));
  CHECK_THAT(message, iapt::test::ends_with("nothing was evaluated"));
}

TEST_CASE("questions whose prompt is too short for a method are bad lines", "[data]") {
  const test::temporary_folder folder;
  const auto words = test::byte_tokenizer();
  const auto path = folder.write("q.jsonl", R"({"prompt": "a", "choices": ["b", "c"], "answer": 0})");
  CHECK_THAT(test::io_message([&] { load_choices(path, words, {.shortest_instruction = 2}); }),
             has_text("q.jsonl:1: the instruction has 1 token(s)"));
}

}  // namespace iapt::test::data_choices
