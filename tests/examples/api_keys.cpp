// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "examples/support/api_keys.hpp"

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::examples_api_keys {
namespace {

using program::api_keys;

// Of "sesame", as `printf %s sesame | sha256sum` tells.
const std::string sesame = "sha256:d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272";

}  // namespace

TEST_CASE("API keys: who may use which models", "[examples]") {
  const temporary_folder folder;
  const api_keys keys(
      folder.write("keys.json", R"({"plain": ["a", "b"], ")" + sesame + R"(": "*", "none": []})").string());
  CHECK(keys.size() == 3);
  const auto* plain = keys.find("Bearer plain");
  const auto* hashed = keys.find("Bearer sesame");
  REQUIRE(plain);
  REQUIRE(hashed);
  CHECK(plain->id != hashed->id);
  CHECK(api_keys::allows(*plain, "a"));
  CHECK_FALSE(api_keys::allows(*plain, "c"));
  CHECK(api_keys::allows(*hashed, "c"));
  CHECK_FALSE(api_keys::allows(*keys.find("Bearer none"), "a"));
  for (const char* scheme : {"bearer sesame", "BEARER sesame", "bEaReR   sesame"}) CHECK(keys.find(scheme) == hashed);
  for (const std::string& wrong :
       {std::string(), std::string("sesame"), std::string("Bearer"), std::string("Bearer "), std::string("Bearer  "),
        std::string("Basic sesame"), std::string("Bearersesame"), std::string("Bearer sesam"),
        std::string("Bearer sesame "), std::string("Bearer sesame\0", 14), "Bearer " + sesame})
    CHECK_FALSE(keys.find(wrong));
  const api_keys open("");
  CHECK(open.find("") == open.find("Bearer anything"));
  CHECK(api_keys::allows(*open.find(""), "a"));
}

TEST_CASE("API keys: what is wrong with the file is named, and no key is", "[examples]") {
  const temporary_folder folder;
  const auto refused = [&](const std::string& text) {
    const auto path = folder.write("keys.json", text);
    const std::string why = io_message([&] { api_keys keys(path.string()); });
    CHECK(why.find(path.string()) == 0);
    CHECK(why.find("secret") == std::string::npos);
    return why;
  };
  CHECK_THAT(refused("{"), has_text("byte 2: the list of API keys is not valid JSON"));
  CHECK_THAT(refused("[]"), has_text("must be a JSON object"));
  CHECK_THAT(refused(R"({"a": [], "secret": 3})"), has_text("key 2 must have an array of models"));
  CHECK_THAT(refused(R"({"secret": [3]})"), has_text("key 1 has a model that is not a string"));
  CHECK_THAT(refused(R"({"": []})"), has_text("key 1 is empty"));
  CHECK_THAT(refused(R"({"sha256:12": []})"), has_text("key 1 must have 64 hexadecimal digits"));
  CHECK_THAT(refused(R"({"sha256:)" + std::string(64, 'g') + R"(": []})"), has_text("64 hexadecimal digits"));
  CHECK_THAT(refused(R"({"sesame": [], ")" + sesame + R"(": "*"})"), has_text("is there twice"));
  CHECK_THROWS_AS(api_keys((folder.path() / "nowhere.json").string()), io_error);
}

}  // namespace iapt::test::examples_api_keys
