// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The text-to-SQL data: shares, names and phrasings that training never sees, statements that are SQL.
#include "../../examples/sql/data_set.hpp"

#include <cstdlib>
#include <regex>

#include "support/catch.hpp"

namespace iapt::test::examples_make_sql_data {
namespace {

/// What the quickstart writes.
const sql::data_set& data() {
  static const sql::data_set made = sql::make_data(2000, 200, 400, 0);
  return made;
}

double share(const std::vector<sql::example>& examples, const std::string& tag) {
  const auto has = [&](const sql::example& e) { return std::count(e.tags.begin(), e.tags.end(), tag) > 0; };
  return double(std::count_if(examples.begin(), examples.end(), has)) / double(examples.size());
}

/// FNV-1a, 64 bits.
std::uint64_t hash(const sql::data_set& splits) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const auto* examples : {&splits.train, &splits.dev, &splits.test})
    for (const sql::example& e : *examples)
      for (const char c : sql::json_line(e) + "\n") h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

std::set<std::string> words(const std::string& text) {
  static const std::regex word("[a-z_]+");
  std::set<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), word), end; i != end; ++i) found.insert(i->str());
  return found;
}

/// Whether a completion has the one canonical form, and names only the table and columns of its schema.
bool well_formed(const std::string& schema, const std::string& completion) {
  const std::string value = R"((?:\d+(?:\.\d)?|'[A-Za-z0-9 -]+'))";
  const std::string test = "[a-z_]+ (?:(?:=|!=|<|>|<=|>=) " + value + R"(|BETWEEN \d+ AND \d+))";
  const std::string item = R"((?:[a-z_]+|(?:AVG|SUM|MIN|MAX)\([a-z_]+\)|COUNT\(\*\)|COUNT\(DISTINCT [a-z_]+\)))";
  static const std::regex statement(" SELECT (?:DISTINCT )?" + item + "(?:, " + item + ")? FROM [a-z_]+(?: WHERE " +
                                    test + "(?: (?:AND|OR) " + test + ")*)?" +
                                    R"((?: GROUP BY [a-z_]+| ORDER BY [a-z_]+ (?:ASC|DESC) LIMIT \d+)?)");
  static const std::regex literal("'[^']*'");
  const auto known = words(schema), used = words(std::regex_replace(completion, literal, ""));
  return std::regex_match(completion, statement) && std::includes(known.begin(), known.end(), used.begin(), used.end());
}

}  // namespace

TEST_CASE("sql data: the shares of each kind of clause", "[examples]") {
  for (const auto* examples : {&data().train, &data().dev, &data().test}) {
    CHECK(share(*examples, "conditions") == Approx(0.50));
    CHECK(share(*examples, "aggregate") == Approx(0.38));
    CHECK(share(*examples, "order") == Approx(0.18));
    CHECK(share(*examples, "group") == Approx(0.14));
    CHECK(share(*examples, "select") == Approx(0.44));
  }
  CHECK(share(data().test, "unseen_phrasing") == Approx(0.5));
  CHECK(share(data().train, "unseen_phrasing") == 0);

  const auto odd = sql::make_data(10, 10, 137, 3);  // also where the hundreds are not full
  CHECK(share(odd.test, "conditions") >= 0.4);
  CHECK(share(odd.test, "aggregate") >= 0.3);
}

TEST_CASE("sql data: tags say what the statement has", "[examples]") {
  for (const sql::example& e : data().test) {
    const auto has = [&](const char* text) { return e.completion.find(text) != std::string::npos; };
    const auto tagged = [&](const char* tag) { return std::count(e.tags.begin(), e.tags.end(), tag) == 1; };
    static const std::regex two(R"(WHERE .*(?: OR |[^N] \d+ AND |\d\.\d AND |' AND |BETWEEN \d+ AND \d+ AND ).*)");
    CAPTURE(e.completion);
    CHECK(tagged("order") == has(" LIMIT "));
    CHECK(tagged("group") == has(" GROUP BY "));
    CHECK(tagged("aggregate") == has("("));
    CHECK(tagged("conditions") == std::regex_search(e.completion, two));
    CHECK(tagged("select") == !(has(" LIMIT ") || has("(")));
  }
}

TEST_CASE("sql data: the test's names are nowhere in training", "[examples]") {
  std::set<std::string> trained;
  for (const sql::example& e : data().train) trained.merge(words(e.prompt + e.completion));
  for (const sql::example& e : data().test)
    for (const std::string& name : words(e.prompt.substr(6, e.prompt.find('\n') - 6))) {
      CAPTURE(name);
      CHECK(trained.count(name) == 0);
    }
  CHECK(sql::parse_domains(sql::train_domains).size() >= 60);
  CHECK(sql::parse_domains(sql::test_domains).size() >= 20);

  const auto wine = sql::parse_domains("wine/wines | name | shelf_life: 1..9;");
  const auto food = sql::parse_domains("food/foods | label | shelf: 1..9;");
  CHECK_THROWS_AS(sql::require_disjoint_names(wine, food), iapt::error);
}

TEST_CASE("sql data: the reserved phrasings are nowhere in training", "[examples]") {
  std::set<std::string> trained;
  for (const auto* examples : {&data().train, &data().dev})
    for (const sql::example& e : *examples) trained.insert(e.phrasing);
  std::set<std::string> reserved;
  for (const sql::example& e : data().test) {
    const bool unseen = e.tags.back() == "unseen_phrasing";
    CHECK(trained.count(e.phrasing) == (unseen ? 0 : 1));
    if (unseen) reserved.insert(e.phrasing);
  }
  CHECK(reserved.size() >= 20);
}

TEST_CASE("sql data: a seed gives the same lines on every machine", "[examples]") {
  CHECK(hash(data()) == 0x65c3de553d0d5727u);
  CHECK(hash(sql::make_data(20, 20, 20, 1)) == hash(sql::make_data(20, 20, 20, 1)));
  CHECK(hash(sql::make_data(20, 20, 20, 1)) != hash(sql::make_data(20, 20, 20, 2)));
}

TEST_CASE("sql data: every question is new, whole, and answered by canonical SQL", "[examples]") {
  std::set<std::string> prompts;
  for (const auto* examples : {&data().train, &data().dev, &data().test})
    for (const sql::example& e : *examples) {
      CAPTURE(e.prompt, e.completion);
      CHECK(prompts.insert(e.prompt).second);
      CHECK(e.prompt.find_first_of("{}\"\\") == std::string::npos);
      CHECK(e.prompt.find("  ") == std::string::npos);
      CHECK(well_formed(e.prompt.substr(0, e.prompt.find('\n')), e.completion));
    }
  CHECK_FALSE(well_formed("wine(name, year)", " SELECT price FROM wine"));
  CHECK_FALSE(well_formed("wine(name, year)", " SELECT name FROM wine WHERE year > 'x' LIMIT 3"));
}

TEST_CASE("sql data: sqlite runs every statement", "[examples]") {
  const auto folder = std::filesystem::temp_directory_path() / "iapt_sql_data";
  std::filesystem::create_directories(folder);
  sql::write_lines(folder / "train.jsonl", data().train);
  sql::write_lines(folder / "dev.jsonl", data().dev);
  sql::write_lines(folder / "test.jsonl", data().test);
  const std::string script = IAPT_TEST_DATA "/../reference/check_sql_data.py";
  CHECK(std::system(("python3 \"" + script + "\" \"" + folder.string() + "\"").c_str()) == 0);
  std::filesystem::remove_all(folder);

  CHECK_THROWS_AS(sql::write_lines(folder / "missing" / "a.jsonl", data().dev), iapt::io_error);
}

TEST_CASE("sql data: words", "[examples]") {
  CHECK(sql::plural("city") == "cities");
  CHECK(sql::plural("survey") == "surveys");
  CHECK(sql::plural("branch") == "branches");
  CHECK(sql::plural("page count") == "page counts");
  CHECK(sql::with_article("age") == "an age");
  CHECK(sql::with_article("price") == "a price");
  CHECK(sql::fill("{tables} {where}: how many?", {{"tables", "wines"}, {"where", ""}}) == "Wines: how many?");
  CHECK_THROWS_AS(sql::parse_column("price: 9..1"), iapt::error);
  CHECK_THROWS_AS(
      sql::make_examples(sql::parse_domains("wine/wines | name | year: 1..2;"), 9, false, iapt::random_stream(0)),
      iapt::error);
}

}  // namespace iapt::test::examples_make_sql_data
