// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/data/json_lines.hpp"

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::data_json_lines {
namespace {

using nlohmann::json;

/// Lines that were used, as number and object, of a file of these bytes.
std::vector<std::pair<std::size_t, json>> used(const std::string& bytes) {
  const temporary_folder folder;
  bad_lines bad("f.jsonl", "nothing was done");
  std::vector<std::pair<std::size_t, json>> lines;
  for_each_json_line(folder.write("f.jsonl", bytes), bad,
                     [&](const json& object, std::size_t line) { lines.emplace_back(line, object); });
  return lines;
}
std::string message(const std::string& bytes) {
  return io_message([&] { used(bytes); });
}

}  // namespace

TEST_CASE("lines are counted as editors count them, and blank ones are passed over", "[data]") {
  const auto lines = used("\xEF\xBB\xBF{\"a\": 1}\r\n\n \t\r\n{\"a\": 2}");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == std::pair<std::size_t, json>(1, {{"a", 1}}));
  CHECK(lines[1] == std::pair<std::size_t, json>(4, {{"a", 2}}));
  CHECK_THAT(message(""), has_text("the file is empty"));
  CHECK(used("\n\n").empty());
}

TEST_CASE("all bad lines are told at once, each with its reason", "[data]") {
  const std::string said = message("{\"a\": }\n{}\n[1]\n{\"a\": \"\xFF\"}\n{} {}\n");
  CHECK_THAT(said, has_text("f.jsonl:1: invalid JSON at byte 7 of the line\n"));
  CHECK_THAT(said, !has_text("f.jsonl:2:"));
  CHECK_THAT(said, has_text("f.jsonl:3: expected an object, {...}, found array\n"));
  CHECK_THAT(said, has_text("f.jsonl:4: the line"));
  CHECK_THAT(said, has_text("f.jsonl:5: invalid JSON at byte 4 of the line\n"));
  CHECK_THAT(said, has_text("nothing was done"));
  CHECK_THAT(message("{\"a\": " + std::string(1 << 20, '[')), has_text("f.jsonl:1: the line is nested over 64 deep"));
  CHECK_THAT(message(std::string((16 << 20) + 1, ' ') + "1"), has_text("f.jsonl:1: the line has over 16 MiB"));
}

TEST_CASE("of many bad lines the first twenty are told, and how many more there are", "[data]") {
  std::string bytes;
  for (int i = 0; i < 23; ++i) bytes += "x\n";
  const std::string said = message(bytes);
  CHECK_THAT(said, has_text("f.jsonl:20: "));
  CHECK_THAT(said, !has_text("f.jsonl:21: "));
  CHECK_THAT(said, has_text("and 3 more bad lines"));
}

TEST_CASE("fields say what was expected and what was found", "[data]") {
  const json line{{"text", "a"}, {"number", 3}, {"texts", {"a", "b"}}, {"mixed", {"a", 1}}};
  CHECK(json_field::text(line, "text") == "a");
  CHECK(json_field::optional_text(line, "text") == "a");
  CHECK(json_field::optional_text(line, "none").empty());
  CHECK(json_field::texts(line, "texts") == std::vector<std::string>{"a", "b"});
  CHECK(json_field::tags(line).empty());
  CHECK(json_field::tags({{"tags", {"x"}}}) == std::vector<std::string>{"x"});
  const auto said = [](const auto& f) { return io_message(f); };
  CHECK(said([&] { json_field::text(line, "none"); }) == "expected \"none\" (string), found no such field");
  CHECK(said([&] { json_field::text(line, "number"); }) == "expected \"number\" (string), found number");
  CHECK(said([&] { json_field::optional_text(line, "number"); }) == "expected \"number\" (string), found number");
  CHECK(said([&] { json_field::texts(line, "text"); }) == "expected \"text\" (array of strings), found string");
  CHECK(said([&] { json_field::texts(line, "mixed"); }) == "expected \"mixed\" (array of strings), found number in it");
  CHECK(said([&] { json_field::tags({{"tags", "x"}}); }) == "expected \"tags\" (array of strings), found string");
}

}  // namespace iapt::test::data_json_lines
