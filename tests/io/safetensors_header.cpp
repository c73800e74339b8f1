// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/safetensors_header.hpp"

#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/io_errors.hpp"

namespace iapt::test::io_safetensors_header {
namespace {
std::string message(std::string_view json) {
  return io_message([&] { safetensors_events::read(json, "f", 8); });
}
}  // namespace

TEST_CASE("a safetensors header", "[io]") {
  const auto header = safetensors_events::read(
      R"({"a\u00e9":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"__metadata__":{"k":"v","":"w"},)"
      R"("b":{"data_offsets":[24,24],"shape":[],"dtype":"ODD"}}   )",
      "f", 8);
  REQUIRE(header.tensors.size() == 2);
  CHECK(header.tensors[0].name == "a\u00e9");
  CHECK(header.tensors[0].type == "F32");
  CHECK(header.tensors[0].shape == std::vector<std::uint64_t>{2, 3});
  CHECK(header.tensors[0].data_offsets == std::vector<std::uint64_t>{0, 24});
  CHECK(header.tensors[1].shape.empty());
  CHECK(header.metadata == std::map<std::string, std::string>{{"k", "v"}, {"", "w"}});
  CHECK(safetensors_events::read("{}", "f", 8).tensors.empty());
}

TEST_CASE("headers that are not of the format", "[io]") {
  const std::string good = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
  CHECK(message("{\"a\":{" + good + "}}") == "nothing thrown");
  CHECK_THAT(message(""), has_text("f: byte 8: the header is not valid JSON"));
  CHECK_THAT(message("{"), has_text("f: byte 9: the header is not valid JSON"));
  CHECK_THAT(message("{} x"), has_text("byte 12: the header is not valid JSON"));
  CHECK_THAT(message(std::string_view("{}\0,,,", 6)), has_text("byte 11: the header's text ends here"));
  CHECK_THAT(message("[]"), has_text("byte 9: unexpected array"));
  CHECK_THAT(message("3"), has_text("unexpected number"));
  CHECK_THAT(message("null"), has_text("unexpected null"));
  CHECK_THAT(message("\"a\""), has_text("unexpected string"));
  CHECK_THAT(message(R"({"a":3})"), has_text("unexpected number"));
  CHECK_THAT(message(R"({"a":"x"})"), has_text("unexpected string \"x\""));
  CHECK_THAT(message(R"({"a":[]})"), has_text("unexpected array"));
  CHECK_THAT(message(R"({"a":{}})"), has_text("tensor \"a\" lacks"));
  CHECK_THAT(message(R"({"a":{"dtype":"F32","shape":[1]}})"), has_text("lacks"));
  CHECK_THAT(message(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[1]}})"), has_text("lacks"));
  CHECK_THAT(message(R"({"a":{"data_offsets":[1,2,3]}})"), has_text("more than two"));
  CHECK_THAT(message(R"({"a":{"dtype":3}})"), has_text("byte 24: unexpected number"));
  CHECK_THAT(message(R"({"a":{"dtype":true}})"), has_text("unexpected true or false"));
  CHECK_THAT(message(R"({"a":{"dtype":["F32"]}})"), has_text("unexpected array"));
  CHECK_THAT(message(R"({"a":{"dtype":{}}})"), has_text("unexpected object"));
  CHECK_THAT(message(R"({"a":{"shape":"x"}})"), has_text("unexpected string"));
  CHECK_THAT(message(R"({"a":{"shape":["x"]}})"), has_text("unexpected string"));
  CHECK_THAT(message(R"({"a":{"shape":[-1]}})"), has_text("unexpected negative number"));
  CHECK_THAT(message(R"({"a":{"shape":[1.0]}})"), has_text("unexpected number, expected a whole one"));
  CHECK_THAT(message(R"({"a":{"shape":[18446744073709551616]}})"), has_text("below 2^64"));
  CHECK_THAT(message(R"({"a":{"shape":[[1]]}})"), has_text("unexpected array"));
  CHECK_THAT(message(R"({"a":{"shape":[{}]}})"), has_text("unexpected object"));
  CHECK_THAT(message(R"({"a":{"stride":[1]}})"), has_text("byte 22: unknown key \"stride\" of tensor \"a\""));
  CHECK_THAT(message(R"({"a":{"shape":[1],"shape":[1]}})"), has_text("the key \"shape\" comes twice"));
  CHECK_THAT(message("{\"a\":{" + good + "},\"a\":{" + good + "}}"), has_text("the name \"a\" comes twice"));
  CHECK_THAT(message(R"({"__metadata__":{},"__metadata__":{}})"), has_text("comes twice"));
  CHECK_THAT(message(R"({"__metadata__":{"a":"1","a":"2"}})"), has_text("the key \"a\" comes twice"));
  CHECK_THAT(message(R"({"__metadata__":{"a":1}})"), has_text("unexpected number"));
  CHECK_THAT(message(R"({"__metadata__":{"a":[]}})"), has_text("unexpected array"));
  CHECK_THAT(message(R"({"__metadata__":{"a":{}}})"), has_text("unexpected object"));
  CHECK_THAT(message(R"({"__metadata__":"x"})"), has_text("unexpected string"));
  CHECK_THAT(message("{\"\xff\":{}}"), has_text("not valid JSON"));
  CHECK_THAT(message("{\"a\":" + std::string(100000, '[')), has_text("byte 14: unexpected array"));
}

}  // namespace iapt::test::io_safetensors_header
