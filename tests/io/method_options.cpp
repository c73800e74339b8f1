// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/method_options.hpp"

#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/io_errors.hpp"

namespace iapt::test::io_method_options {

enum class place { front, middle, late };

/// One option of each kind.
struct options {
  index_t rank = 8;
  double dropout = 0.25;
  place where = place::front;
  bool biased = false;
  std::vector<std::string> targets = {};
  numbers_by_name<index_t> ranks = {};
  std::string unwritten = "as it was";

  template <class Self, class F>
  static void visit(Self& self, F f) {
    f(option{"r", "rank", "rank", 1, 512}, self.rank);
    f(option{"dropout", "dropout", "rate", 0, 1}, self.dropout);
    f(option{"where", "where", "place"}, self.where);
    f(option{"bias", "bias", "whether"}, self.biased);
    f(option{"target_modules", "", "which"}, self.targets);
    f(option{"rank_pattern", "", "of some", 1, 512}, self.ranks);
    f(option{"", "start", "matters at the start alone"}, self.unwritten);
  }
};

}  // namespace iapt::test::io_method_options

namespace iapt {
template <>
inline constexpr std::array<std::string_view, 3> names_of<test::io_method_options::place>{"front", "middle", "late"};
}  // namespace iapt

namespace iapt::test::io_method_options {
namespace {

using nlohmann::json;
options read(const json& values) { return read_options<options>(config_json::parse(values.dump(), "a.json")); }
json fewest() { return {{"r", 4}, {"dropout", 0.5}, {"where", "late"}}; }
json with(const char* key, const json& value) {
  json values = fewest();
  values[key] = value;
  return values;
}

}  // namespace

TEST_CASE("options of each kind are read; switches and lists may be missing", "[io]") {
  const options few = read(fewest());
  CHECK(few.rank == 4);
  CHECK(few.dropout == 0.5);
  CHECK(few.where == place::late);
  CHECK_FALSE(few.biased);
  CHECK(few.targets.empty());
  CHECK(few.ranks.empty());
  CHECK(few.unwritten == "as it was");
  CHECK(read(with("bias", true)).biased);
  CHECK(read(with("target_modules", "q_proj|v_proj")).targets == std::vector<std::string>{"q_proj|v_proj"});
  CHECK(read(with("target_modules", {"q", "v"})).targets == std::vector<std::string>{"q", "v"});
  CHECK(read(with("rank_pattern", {{"q", 2}})).ranks == numbers_by_name<index_t>{{"q", 2}});
}

TEST_CASE("numbers by name keep the file's order; of equal names the last counts", "[io]") {
  const std::string text = R"({"r": 4, "dropout": 0.5, "where": "late",
                               "rank_pattern": {"a": 9}, "rank_pattern": {"z": 1, "a": 2, "z": 3}})";
  const options found = read_options<options>(config_json::parse(text, "a.json"));
  CHECK(found.ranks == numbers_by_name<index_t>{{"z", 3}, {"a", 2}});
  CHECK(to_json(found.ranks).dump() == R"({"z":3,"a":2})");
  CHECK(to_json(numbers_by_name<double>{}).dump() == "{}");
}

TEST_CASE("options that are missing, of other kinds, or out of bounds", "[io]") {
  json values = fewest();
  values.erase("r");
  CHECK_THAT(io_message([&] { read(values); }), has_text("a.json: there is no \"r\""));
  CHECK(io_message([] { read(with("r", 4.5)); }) == "a.json: \"r\" is not a whole number: 4.5");
  CHECK_THAT(io_message([] { read(with("bias", "yes")); }), has_text("a.json: \"bias\" has an unexpected type"));
  CHECK_THAT(io_message([] { read(with("target_modules", 3)); }),
             has_text("\"target_modules\" has an unexpected type"));
  CHECK(message_of<error>([] { read(with("where", "back")); }) ==
        "a.json: \"where\" is \"back\"; expected front, middle or late");
  CHECK(message_of<shape_error>([] { read(with("r", 0)); }) == "r must be from 1 to 512, found 0");
  CHECK(message_of<shape_error>([] { read(with("dropout", 1.5)); }) == "dropout must be from 0 to 1, found 1.5");
  CHECK(message_of<shape_error>([] {
          read(with("rank_pattern", {{"q", 0}}));
        }) == "rank_pattern of \"q\" must be from 1 to 512, found 0");
  CHECK(io_message([] {
          read(with("rank_pattern", {{"q", 1.5}}));
        }) == "a.json: \"rank_pattern\": \"q\" is not a whole number: 1.5");
}

TEST_CASE("options as JSON: numbers that are whole as such, enumerations by name", "[io]") {
  CHECK(to_json(place::middle).dump() == "\"middle\"");
  CHECK(to_json(16.0).dump() == "16");
  CHECK(to_json(0.5).dump() == "0.5");
  CHECK(to_json(index_t(3)).dump() == "3");
  CHECK(to_json(true).dump() == "true");
  CHECK(to_json(std::vector<std::string>{"q"}).dump() == "[\"q\"]");
}

}  // namespace iapt::test::io_method_options
