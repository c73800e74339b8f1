// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/data/jsonl.hpp"

#include "data/byte_tokenizer.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::data_jsonl {
namespace {

std::string shown(const tokenizer& words, const std::vector<token_id>& tokens) { return words.decode(tokens); }

std::string refusal(const std::string& contents, const jsonl_options& options = {}) {
  const test::temporary_folder folder;
  const auto path = folder.write("train.jsonl", contents);
  const auto words = test::byte_tokenizer();
  return test::io_message([&] { load_jsonl(path, words, options); });
}
const std::string good = R"({"prompt": "a", "completion": "b"})"
                         "\n";

}  // namespace

TEST_CASE("three formats may stand in one file", "[data]") {
  const test::temporary_folder folder;
  const auto words = test::byte_tokenizer();
  const auto path = folder.write("train.jsonl", "\xEF\xBB\xBF" + std::string(R"({"prompt": "Q: ä ", "completion": "A"}

{"instruction": "Sort", "input": "3 1", "output": "1 3", "tags": ["sorting", "short"]}
{"instruction": "Say hi", "output": "hi"}
{"messages": [{"role": "system", "content": "Be <|im_end|>"}, {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "other": 1})"));
  const auto data = load_jsonl(path, words);
  REQUIRE(data.examples.size() == 4);
  CHECK(shown(words, data.examples[0].instruction) == "Q: ä ");
  CHECK(data.examples[0].response == std::vector<token_id>{'A', 257});
  CHECK(data.examples[0].line == 1);
  CHECK(shown(words, data.examples[1].instruction) ==
        "<|im_start|>user\nSort\n\n3 1<|im_end|>\n<|im_start|>assistant\n");
  CHECK(data.examples[1].response == std::vector<token_id>{'1', ' ', '3', 257});
  CHECK(data.examples[1].tags == std::vector<std::string>{"sorting", "short"});
  CHECK(data.examples[1].line == 3);
  CHECK(shown(words, data.examples[2].instruction) == "<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\n");
  const auto& forged = data.examples[3].instruction;
  CHECK(std::count(forged.begin(), forged.end(), 257) == 2);  // the one in the message's content is plain text
  CHECK(data.examples[3].response == std::vector<token_id>{'y', 257});
  CHECK(data.report.lines == 4);
  CHECK(to_text(data.report).empty());
}

TEST_CASE("a prompt's special tokens are recognised", "[data]") {
  const test::temporary_folder folder;
  const auto words = test::byte_tokenizer();
  const auto data = load_jsonl(folder.write("a", R"({"prompt": "<|im_start|>u", "completion": "<|im_end|>"})"), words);
  CHECK(data.examples[0].instruction == std::vector<token_id>{256, 'u'});
  CHECK(data.examples[0].response == std::vector<token_id>{257});
}

TEST_CASE("a completion that ends an answer already gets no second end token", "[data]") {
  const test::temporary_folder folder;
  auto spec = test::byte_tokenizer().spec();
  spec.tokens.push_back("<|endoftext|>");
  spec.added.push_back({.id = 258, .text = "<|endoftext|>"});
  const tokenizer words(std::move(spec));
  const auto data = load_jsonl(folder.write("a", R"({"prompt": "x", "completion": "y"}
{"prompt": "x", "completion": "y<|im_end|>"}
{"prompt": "x", "completion": "y<|endoftext|>"}
{"prompt": "x", "completion": "<|im_end|>y"}
{"prompt": "x", "completion": "y<|im_end|> \n"}
{"prompt": "x", "completion": " \n"}
)"),
                               words);
  CHECK(data.examples[0].response == std::vector<token_id>{'y', 257});
  CHECK(data.examples[1].response == std::vector<token_id>{'y', 257});
  CHECK(data.examples[2].response == std::vector<token_id>{'y', 258});
  CHECK(data.examples[3].response == std::vector<token_id>{257, 'y', 257});
  CHECK(data.examples[4].response == std::vector<token_id>{'y', 257});
  CHECK(data.examples[5].response == std::vector<token_id>{' ', '\n', 257});
}

TEST_CASE("what ends answers and is text, or has none, is no end-of-turn mark", "[data]") {
  const test::temporary_folder folder;
  auto spec = test::byte_tokenizer().spec();
  spec.tokens.resize(259);  // rows that pad a model's vocabulary
  spec.end_of_generation = {'#', 258};
  const tokenizer words(std::move(spec));
  const auto data = load_jsonl(folder.write("a", R"({"instruction": "q", "output": "I like C#"})"), words);
  CHECK(shown(words, data.examples[0].response) == "I like C#<|im_end|>");
  CHECK(data.report.end_marks == 0);
}

TEST_CASE("an end-of-turn mark behind an assistant's message is dropped and counted", "[data]") {
  const test::temporary_folder folder;
  const auto words = test::byte_tokenizer();
  const auto path = folder.write(
      "a",
      R"({"messages": [{"role": "user", "content": "q<|im_end|>"}, {"role": "assistant", "content": "y<|im_end|> <|im_end|>\n"}]}
{"instruction": "q", "output": "y <|im_end|>"}
{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a<|im_end|>"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "<|im_end|> y\n"}]}
)");
  const auto data = load_jsonl(path, words);
  CHECK(data.examples[0].response == std::vector<token_id>{'y', 257});
  CHECK_THAT(shown(words, data.examples[0].instruction), has_text("user\nq<|im_end|><|im_end|>\n"));  // a user's stays
  CHECK(data.examples[1].response == std::vector<token_id>{'y', ' ', 257});
  CHECK_THAT(shown(words, data.examples[2].instruction), has_text("assistant\na<|im_end|>\n"));
  CHECK_THAT(shown(words, data.examples[2].response), has_text("<|im_end|> y\n<|im_end|>"));
  CHECK(data.report.end_marks == 3);
  CHECK_THAT(to_text(data.report), has_text("3 message(s) of an assistant ended with an end-of-turn mark"));
  folder.write("a",
               R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<|im_end|>"}]})");
  CHECK_THAT(test::io_message([&] { load_jsonl(path, words); }), has_text("is empty, so there is nothing to learn"));
}

TEST_CASE("every bad line is reported with its number and why, and nothing is loaded", "[data]") {
  const std::string message = refusal(
      good +  // line 1
      "{\"prompt\": \"a\", \"completion\": 7}\n"
      "{\"prompt\": \"a\"}\n"
      "{\"prompt\": \"a\", \"completion\": \"\"}\n"
      "{\"prompt\": \"a\", \n"
      "[1, 2]\n"
      "{\"text\": \"a\"}\n"
      "{\"prompt\": \"\", \"completion\": \"b\"}\n"
      "{\"prompt\": \"\xFF\", \"completion\": \"b\"}\n" +
      good +  // line 10
      "{\"instruction\": \"a\", \"input\": [], \"output\": \"b\"}\n"
      "{\"messages\": {}}\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"b\"}]}\n"
      "{\"messages\": [{\"role\": \"assistant\", \"content\": \"b\"}]}\n"
      "{\"messages\": [{\"role\": \"user\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n"
      "{\"messages\": [{\"role\": \"king\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n"
      "{\"prompt\": \"a\", \"completion\": \"b\", \"tags\": \"x\"}\n"
      "{\"prompt\": \"a\", \"completion\": \"b\", \"messages\": []}\n"
      "{\"prompt\": \"\\ud800\", \"completion\": \"b\"}\n");
  CHECK_THAT(message, has_text("train.jsonl:2: expected \"completion\" (string), found number\n"));
  CHECK_THAT(message, has_text("train.jsonl:3: expected \"completion\" (string), found no such field\n"));
  CHECK_THAT(message, has_text("train.jsonl:4: \"completion\" is empty"));
  CHECK_THAT(message, has_text("train.jsonl:5: invalid JSON at byte "));
  CHECK_THAT(message, has_text("train.jsonl:6: expected an object, {...}, found array"));
  CHECK_THAT(message, has_text("train.jsonl:7: expected \"prompt\" and \"completion\", or"));
  CHECK_THAT(message, has_text("found \"text\""));
  CHECK_THAT(message, has_text("train.jsonl:8: the prompt has no tokens"));
  CHECK_THAT(message, has_text("train.jsonl:9: the line: byte 12 (0xFF) is not valid UTF-8"));
  CHECK_THAT(message, has_text("train.jsonl:11: expected \"input\" (string), found array"));
  CHECK_THAT(message, has_text("train.jsonl:12: expected \"messages\" (array of objects), found object"));
  CHECK_THAT(message, has_text("train.jsonl:13: the last message is by \"user\""));
  CHECK_THAT(message, has_text("train.jsonl:14: the response has no message before it"));
  CHECK_THAT(message, has_text("train.jsonl:15: message 1: expected \"content\" (string)"));
  CHECK_THAT(message, has_text("train.jsonl:16: message 1: it has the role \"king\""));
  CHECK_THAT(message, has_text("train.jsonl:17: expected \"tags\" (array of strings), found string"));
  CHECK_THAT(message, has_text("train.jsonl:18: expected the fields of one format"));
  CHECK_THAT(message, has_text("train.jsonl:19: invalid JSON"));
  CHECK_THAT(message, iapt::test::ends_with("nothing was trained"));
  CHECK_THAT(message, !has_text("train.jsonl:1:"));
  CHECK_THAT(message, !has_text("train.jsonl:10:"));
}

TEST_CASE("many bad lines are counted, not all listed", "[data]") {
  std::string contents;
  for (int i = 0; i < 50; ++i) contents += "{}\n";
  const std::string message = refusal(contents);
  CHECK_THAT(message, has_text("train.jsonl:20: "));
  CHECK_THAT(message, !has_text("train.jsonl:21: "));
  CHECK_THAT(message, has_text("and 30 more bad lines"));
}

TEST_CASE("deeply nested lines do not exhaust the stack", "[data]") {
  CHECK_THAT(refusal("{\"prompt\": " + std::string(1'000'000, '[')),
             has_text("train.jsonl:1: the line is nested over 64 deep"));
  CHECK_THAT(refusal("{\"prompt\": " + std::string(60, '[') + std::string(60, ']') + "}"),
             has_text("train.jsonl:1: expected \"completion\"") || has_text("train.jsonl:1: expected \"prompt\""));
}

TEST_CASE("files without lines, missing files, and models without a template", "[data]") {
  CHECK_THAT(refusal("\n \r\n"), has_text("no example is left"));
  CHECK_THAT(refusal(""), has_text("empty"));
  const auto words = test::byte_tokenizer(false);
  CHECK_THAT(test::io_message([&] { load_jsonl("no/such/file", words); }), has_text("no/such/file: cannot open"));
  const test::temporary_folder folder;
  const auto path = folder.write("chat.jsonl", R"({"instruction": "a", "output": "b"})");
  CHECK_THAT(test::io_message([&] { load_jsonl(path, words); }),
             has_text("chat.jsonl:1: bytes: the model has no chat template"));
}

TEST_CASE("long sequences are left out or cut, and reported", "[data]") {
  const test::temporary_folder folder;
  const auto words = test::byte_tokenizer();
  const auto path = folder.write("train.jsonl", R"({"prompt": "abcdef", "completion": "gh"}
{"prompt": "a", "completion": "bcdef"}
{"prompt": "ab", "completion": "cd"}
)");
  const auto left = load_jsonl(path, words, {.max_length = 5});
  REQUIRE(left.examples.size() == 1);
  CHECK(left.examples[0].line == 3);
  CHECK(left.report.left_out == std::vector<std::size_t>{1, 2});
  CHECK(to_text(left.report) ==
        "2 of 3 sequences are over the length limit and were left out (lines 1, 2); the longest has 9 tokens");
  const auto cut = load_jsonl(path, words, {.max_length = 5, .longer = too_long::cut_left});
  REQUIRE(cut.examples.size() == 2);
  CHECK(shown(words, cut.examples[0].instruction) == "ef");
  CHECK(cut.examples[0].response == std::vector<token_id>{'g', 'h', 257});
  CHECK(cut.report.cut == std::vector<std::size_t>{1});
  CHECK(cut.report.left_out == std::vector<std::size_t>{2});
  CHECK_THAT(test::io_message([&] { load_jsonl(path, words, {.max_length = 2}); }), has_text("raise the limit"));
  // Room for the response alone: nothing of the instruction would be left, so cutting is no help.
  CHECK_THAT(test::io_message([&] { load_jsonl(path, words, {.max_length = 3, .longer = too_long::cut_left}); }),
             has_text("3 of 3 sequences") && has_text("left out"));
}

TEST_CASE("instructions that are too short for a method are bad lines, and cutting makes none", "[data]") {
  const test::temporary_folder folder;
  const auto words = test::byte_tokenizer();
  const auto path = folder.write("train.jsonl", R"({"prompt": "abcdef", "completion": "gh"}
{"prompt": "a", "completion": "b"}
)");
  CHECK_THAT(test::io_message([&] { load_jsonl(path, words, {.shortest_instruction = 2}); }),
             has_text("train.jsonl:2: the instruction has 1 token(s), at least 2 are needed"));
  const jsonl_options cutting{.max_length = 4, .longer = too_long::cut_left};
  CHECK(load_jsonl(path, words, cutting).examples[0].instruction.size() == 1);
  folder.write("train.jsonl", "{\"prompt\": \"abcdef\", \"completion\": \"gh\"}\n");
  CHECK_THAT(test::io_message([&] {
               load_jsonl(path, words, {.max_length = 4, .longer = too_long::cut_left, .shortest_instruction = 2});
             }),
             has_text("left out"));
}

}  // namespace iapt::test::data_jsonl
