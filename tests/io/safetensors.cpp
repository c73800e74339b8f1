// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/safetensors.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"

namespace iapt::test::io_safetensors {
namespace {
byte_string file(std::string_view header, std::size_t data) {
  byte_string bytes;
  bytes.text(header).append(data, '\0');
  return bytes;
}
std::string entry(const std::string& name, const std::string& type, const std::string& shape, const std::string& at) {
  return '"' + name + R"(":{"dtype":")" + type + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + at + "]}";
}
std::string message(const byte_string& bytes) {
  return io_message([&] { safetensors_file::parse(bytes_of(bytes), "f"); });
}
}  // namespace

TEST_CASE("a file of the reference writer", "[io]") {
  const auto file = safetensors_file::open(test_data("io/reference.safetensors"));
  CHECK(file.metadata().at("format") == "np");
  CHECK(file.metadata().at("note") == "gr\u00f6\u00dfer \" \\");
  CHECK(file.tensors().all().size() == 5);
  std::vector<float> numbers(6), halves(2);
  read_into(*file.tensors().find("float"), std::span(numbers));
  CHECK(numbers == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(file.tensors().find("float")->shape == std::vector<index_t>{2, 3});
  read_into(*file.tensors().find("half"), std::span(halves));
  CHECK(halves == std::vector<float>{0.5f, -2});
  std::int64_t integer = 0;
  copy_into(*file.tensors().find("integer"), std::span(&integer, 1));
  CHECK(integer == -7);
  CHECK(file.tensors().find("truth")->type == dtype::boolean);
  CHECK(file.tensors().find("empty")->shape == std::vector<index_t>{0, 4});
  CHECK_THAT(io_message([&] { read_into(*file.tensors().find("truth"), std::span(halves)); }), has_text("holds BOOL"));
}

TEST_CASE("damaged safetensors files", "[io]") {
  CHECK_THAT(message(""), has_text("f: byte 0: length of the header takes 8 bytes"));
  CHECK_THAT(message(byte_string().number(std::uint64_t(3))), has_text("f: byte 0: length of the header says 3"));
  CHECK_THAT(message(byte_string().number(~std::uint64_t(0)).raw("{}")), has_text("byte 0: length of the header"));
  CHECK_THAT(message(file("", 0)), has_text("byte 8: the header is not valid JSON"));
  CHECK_THAT(message(file("{}", 1)), has_text("byte 10: 1 bytes belong to no tensor"));
  CHECK(message(file("{}", 0)) == "nothing thrown");
  const auto one = [](const std::string& type, const std::string& shape, const std::string& at, std::size_t data) {
    return message(file("{" + entry("a", type, shape, at) + "}", data));
  };
  CHECK(one("F32", "2,2", "0,16", 16) == "nothing thrown");
  CHECK_THAT(one("F32", "2,2", "0,16", 15),
             has_text("f: byte 12: tensor \"a\": its bytes 0 to 16 are not in the file"));
  CHECK_THAT(one("F32", "2,2", "0,16", 17), has_text("1 bytes belong to no tensor"));
  CHECK_THAT(one("F32", "2,2", "16,0", 16), has_text("its bytes 16 to 0"));
  CHECK_THAT(one("F32", "2,2", "1,17", 17), has_text("neither gap nor overlap"));
  CHECK_THAT(one("F32", "2,2", "0,12", 12), has_text("has 12 bytes, but F32 of shape (2, 2) takes 16"));
  CHECK_THAT(one("F64", "2,2", "0,16", 16), has_text("takes 32"));
  CHECK_THAT(one("F32", "", "0,8", 8), has_text("takes 4"));
  CHECK_THAT(one("F32", "0", "0,8", 8), has_text("takes 0"));
  CHECK_THAT(one("F32", "4611686018427387904,4", "0,8", 8), has_text("is too large"));
  CHECK_THAT(one("U8", "0,4611686018427387904,4", "0,0", 0), has_text("is too large"));
  CHECK_THAT(one("F32", "18446744073709551615", "0,8", 8), has_text("an extent is 18446744073709551615"));
  CHECK_THAT(one("F32", "2", "18446744073709551608,0", 8), has_text("are not in the file"));
  CHECK_THAT(one("F32", "2", "0,18446744073709551615", 8), has_text("are not in the file"));
  CHECK_THAT(message(file("{" + entry("a", "U8", "4", "0,4") + "," + entry("b", "U8", "4", "2,6") + "}", 6)),
             has_text("tensor \"b\"") && has_text("neither gap nor overlap"));
  CHECK_THAT(message(file("{" + entry("a", "U8", "4", "0,4") + "," + entry("b", "U8", "4", "5,9") + "}", 9)),
             has_text("begin at 5, the tensor before ends at 4"));
  CHECK_THAT(message(file("{" + entry("a", "U8", "4", "0,4") + "," + entry("b", "U8", "4", "0,4") + "}", 4)),
             has_text("neither gap nor overlap"));
}

TEST_CASE("types that are not supported are listed, and refused when read", "[io]") {
  const byte_string bytes = file("{" + entry("a", "F8_E5M2", "4", "0,4") + "," + entry("b", "U8", "2", "4,6") + "}", 6);
  const auto opened = safetensors_file::parse(bytes_of(bytes), "f");
  std::vector<float> numbers(4);
  CHECK_THAT(io_message([&] { read_into(*opened.tensors().find("a"), std::span(numbers)); }),
             has_text("its type F8_E5M2 is not supported"));
  CHECK(opened.tensors().find("b")->bytes.size() == 2);
}

}  // namespace iapt::test::io_safetensors
