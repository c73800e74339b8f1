// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/gguf.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_gguf {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

byte_string start(u64 tensors, u64 values, u32 version = 3) {
  return byte_string("GGUF").number(version).number(tensors).number(values);
}
/// Appends the entry of a tensor; extents innermost first, as in the file.
byte_string& entry(byte_string& bytes, std::string_view name, const std::vector<u64>& extents, u32 type, u64 offset) {
  bytes.text(name).number(u32(extents.size()));
  for (u64 n : extents) bytes.number(n);
  return bytes.number(type).number(offset);
}
byte_string with_tensor(const std::vector<u64>& extents, u32 type, u64 offset, std::size_t data) {
  byte_string bytes = start(1, 0);
  entry(bytes, "t", extents, type, offset);
  bytes.append((32 - bytes.size() % 32) % 32, '\0');
  bytes.append(data, '\1');
  return bytes;
}
byte_string with_value(u32 type, const std::function<void(byte_string&)>& write) {
  byte_string bytes = start(0, 1).text("k").number(type);
  write(bytes);
  return bytes;
}
std::string message(const byte_string& bytes) {
  return io_message([&] { gguf_file::parse(bytes_of(bytes), "m.gguf"); });
}

}  // namespace

TEST_CASE("a GGUF file of versions 2 and 3", "[io]") {
  for (u32 version : {2u, 3u}) {
    byte_string bytes = start(2, 1, version).text("general.alignment").number(u32(4)).number(u32(64));
    entry(bytes, "a", {3, 2}, 0, 64), entry(bytes, "b", {2}, 26, 0);
    bytes.append((64 - bytes.size() % 64) % 64, '\0');
    const auto data = bytes.size();
    bytes.number(7).number(-7).append(56, '\0');
    for (int i = 0; i < 6; ++i) bytes.number(float(i));
    const auto file = gguf_file::parse(bytes_of(bytes), "m.gguf");
    CHECK(file.version() == version);
    CHECK(file.name() == "m.gguf");
    CHECK(file.metadata().size() == 1);
    REQUIRE(file.tensors().all().size() == 2);
    const stored_tensor& a = *file.tensors().find("a");
    CHECK(a.shape == std::vector<index_t>{2, 3});  // outermost first
    CHECK(a.offset == data + 64);
    std::vector<float> numbers(6);
    read_into(a, std::span(numbers));
    CHECK(numbers == std::vector<float>{0, 1, 2, 3, 4, 5});
    std::vector<std::int32_t> integers(2);
    copy_into(*file.tensors().find("b"), std::span(integers));
    CHECK(integers == std::vector<std::int32_t>{7, -7});
  }
}

TEST_CASE("a GGUF file without tensors needs no padding", "[io]") {
  const byte_string bytes = start(0, 0);
  CHECK(gguf_file::parse(bytes_of(bytes), "m").tensors().all().empty());
}

TEST_CASE("tensors outlive the file object", "[io]") {
  const stored_tensor cube = *gguf_file::open(test_data("io/quantized.gguf")).tensors().find("cube");
  CHECK(cube.shape == std::vector<index_t>{2, 3, 4});
  std::vector<float> numbers(24);
  read_into(cube, std::span(numbers));
  for (int i = 0; i < 24; ++i) CHECK(numbers[i] == i);
}

TEST_CASE("damaged starts of GGUF files", "[io]") {
  CHECK_THAT(message(""), has_text("m.gguf: byte 0: this is not a GGUF file"));
  CHECK_THAT(message("GGU"), has_text("byte 0: this is not"));
  CHECK_THAT(message("PK\3\4aaaaaaaaaaaaaaaaaaaaa"), has_text("byte 0: this is not"));
  CHECK_THAT(message("GGUF"), has_text("byte 4: version takes 4 bytes"));
  CHECK_THAT(message(start(0, 0, 1)), has_text("byte 4: GGUF version 1"));
  CHECK_THAT(message(start(0, 0, 4)), has_text("byte 4: GGUF version 4"));
  CHECK_THAT(message(start(0, 0, 0x03000000)), has_text("byte 4: the file is big-endian"));
  CHECK_THAT(message(start(1, 0)), has_text("byte 8: number of tensors says 1"));
  CHECK_THAT(message(start(~u64(0), 0)), has_text("byte 8: number of tensors says 18446744073709551615"));
  CHECK_THAT(message(start(0, 1)), has_text("byte 16: number of metadata values says 1"));
  CHECK_THAT(message(start(0, u64(1) << 62)), has_text("byte 16: number of metadata"));
}

TEST_CASE("damaged metadata of GGUF files", "[io]") {
  byte_string endless = start(0, 1).number(~u64(0));
  endless.append(20, 'x');
  CHECK_THAT(message(endless), has_text("byte 32: metadata key takes 18446744073709551615"));
  const auto nothing = [](byte_string&) {};
  CHECK_THAT(message(with_value(13, [](byte_string& b) { b.append(9, '\0'); })),
             has_text("byte 33: type of metadata value is 13"));
  CHECK_THAT(message(with_value(4, [](byte_string& b) { b.number(std::uint16_t(1)); })),
             has_text("byte 37: metadata value ends"));
  CHECK_THAT(message(with_value(7, [](byte_string& b) { b.raw("\2"); })), has_text("byte 37: a bool is neither"));
  CHECK_THAT(message(with_value(8, [](byte_string& b) { b.number(u64(9)).raw("eight ch"); })),
             has_text("byte 45: metadata string takes 9"));
  CHECK_THAT(message(with_value(9, nothing)), has_text("byte 37: type of array elements takes 4"));
  CHECK_THAT(message(with_value(9, [](byte_string& b) { b.number(u32(77)).number(u64(0)); })),
             has_text("byte 37: type of array elements is 77"));
  CHECK_THAT(message(with_value(9, [](byte_string& b) { b.number(u32(4)).number(u64(1) << 62).number(1); })),
             has_text("byte 41: length of array says 4611686018427387904"));
  CHECK_THAT(message(with_value(9, [](byte_string& b) { b.number(u32(0)).number(u64(5)).raw("four"); })),
             has_text("byte 41: length of array says 5"));
  CHECK_THAT(
      message(with_value(9, [](byte_string& b) { b.number(u32(8)).number(u64(2)).text("a").text("b").pop_back(); })),
      has_text("metadata string takes 1 bytes"));
  CHECK_THAT(message(with_value(9,
                                [](byte_string& b) {
                                  for (int i = 0; i < 1000; ++i) b.number(u32(9)).number(u64(1));
                                })),
             has_text("byte 85: metadata arrays nest deeper"));
  byte_string twice = start(0, 2);
  for (int i = 0; i < 2; ++i) twice.text("key").number(u32(0)).raw("x");
  CHECK_THAT(message(twice), has_text("byte 40: the metadata key \"key\" comes twice"));
  for (u32 alignment : {0u, 24u, 33u}) {
    const byte_string bytes = start(0, 1).text("general.alignment").number(u32(4)).number(alignment);
    CHECK_THAT(message(bytes), has_text("byte 53: general.alignment is " + std::to_string(alignment)));
  }
  const byte_string text = start(0, 1).text("general.alignment").number(u32(8)).text("32");
  CHECK_THAT(message(text), has_text("byte 53: metadata \"general.alignment\": expected integer"));
}

TEST_CASE("damaged tensor tables of GGUF files", "[io]") {
  constexpr u64 huge = ~u64(0), half = u64(1) << 62;
  CHECK(message(with_tensor({4}, 0, 0, 16)) == "nothing thrown");
  CHECK_THAT(message(with_tensor({4}, 0, 0, 15)), has_text("tensor \"t\": its 16 bytes at 0") && has_text("cut off"));
  CHECK_THAT(message(with_tensor({4}, 0, 32, 47)), has_text("its 16 bytes at 32"));
  CHECK_THAT(message(with_tensor({4}, 0, 8, 64)), has_text("offset 8 is not a multiple of 32"));
  CHECK_THAT(message(with_tensor({4}, 0, huge - 31, 64)), has_text("are not all in the file"));
  CHECK_THAT(message(with_tensor({huge}, 0, 0, 16)),
             has_text("byte 24: tensor \"t\": an extent is 18446744073709551615"));
  CHECK_THAT(message(with_tensor({half, 4}, 0, 0, 16)), has_text("is not possible for type F32"));
  CHECK_THAT(message(with_tensor({half, 4, 0}, 0, 0, 16)), has_text("is not possible"));
  CHECK_THAT(message(with_tensor({half}, 0, 0, 16)), has_text("is not possible"));
  CHECK_THAT(message(with_tensor({half, 64}, 12, 0, 16)), has_text("is not possible"));
  CHECK_THAT(message(with_tensor({33, 4}, 3, 0, 999)), has_text("shape (4, 33) is not possible for type Q4_1"));
  CHECK_THAT(message(with_tensor({}, 3, 0, 999)), has_text("is not possible for type Q4_1"));
  CHECK(message(with_tensor({1, 1, 1, 1}, 0, 0, 4)) == "nothing thrown");
  CHECK_THAT(message(with_tensor({1, 1, 1, 1, 1}, 0, 0, 16)), has_text("has 5 extents"));
  byte_string bytes = start(1, 0).text("t").number(u32(0x7fffffff));
  bytes.append(99, '\0');
  CHECK_THAT(message(bytes), has_text("has 2147483647 extents"));
  byte_string twice = start(2, 0);
  entry(twice, "t", {1}, 0, 0), entry(twice, "t", {1}, 0, 0);
  twice.append(64, '\0');
  CHECK_THAT(message(twice), has_text("the tensor name \"t\" comes twice"));
  byte_string empty = start(1, 0);
  entry(empty, "t", {0, 5}, 0, 0);
  CHECK(message(empty) == "nothing thrown");  // no bytes are needed
  CHECK_THAT(message(with_tensor({4}, 99, 64, 32)), has_text("are not all in the file"));
  CHECK_THAT(message(with_tensor({4}, 99, 32, 32)), has_text("nothing thrown"));  // listed, refused when read
  byte_string good = with_tensor({4}, 99, 0, 32);
  const auto file = gguf_file::parse(bytes_of(good), "m.gguf");
  std::vector<float> numbers(4);
  CHECK_THAT(io_message([&] { read_into(*file.tensors().find("t"), std::span(numbers)); }),
             has_text("byte 64") && has_text("its type number 99 is not supported"));
}

TEST_CASE("every shorter piece of a GGUF file is refused", "[io]") {
  const std::string whole = contents(test_data("io/quantized.gguf"));
  const std::size_t tables = 4200;  // every length there; behind them, some
  for (std::size_t size = 0; size < whole.size(); size += size < tables ? 1 : 101) {
    const std::string piece = whole.substr(0, size);
    INFO(size);
    CHECK_THAT(io_message([&] { gguf_file::parse(bytes_of(piece), "m.gguf"); }), has_text("m.gguf: byte "));
  }
}

TEST_CASE("a GGUF file with a damaged byte is read or refused", "[io]") {
  const std::string whole = contents(test_data("io/quantized.gguf"));
  for (std::size_t i = 0; i < 2500; ++i)
    for (char flip : {'\x01', '\x80', '\xff'}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      const std::string said = io_message([&] { gguf_file::parse(bytes_of(damaged), "m.gguf"); });
      if (said != "nothing thrown") CHECK_THAT(said, has_text("m.gguf: byte "));
    }
}

namespace {

/// One part of a split model: each has two floats for each of its tensors.
struct part {
  std::uint16_t number = 0, count = 3;
  std::int32_t all_tensors = 3;
  std::vector<std::string> tensors;
  float value = 0;

  byte_string bytes() const {
    byte_string bytes = start(tensors.size(), 3);
    bytes.text("split.no").number(u32(2)).number(number);
    bytes.text("split.count").number(u32(2)).number(count);
    bytes.text("split.tensors.count").number(u32(5)).number(all_tensors);
    for (std::size_t i = 0; i < tensors.size(); ++i) entry(bytes, tensors[i], {2}, 0, 32 * i);
    bytes.append((32 - bytes.size() % 32) % 32, '\0');
    for (std::size_t i = 0; i < tensors.size(); ++i) bytes.number(value).number(value + float(i)).append(24, '\0');
    return bytes;
  }
};

}  // namespace

TEST_CASE("a model in several GGUF files is read from the first", "[io]") {
  const temporary_folder folder;
  std::vector<part> parts{{.number = 0, .tensors = {"a", "b"}, .value = 10},
                          {.number = 1, .tensors = {}},
                          {.number = 2, .tensors = {"c"}, .value = 30}};
  const auto name = [](int number) { return "m-0000" + std::to_string(number) + "-of-00003.gguf"; };
  const auto path = [&](int number) { return (folder.path() / name(number)).string(); };
  const auto write = [&] {
    for (int i = 0; i < 3; ++i) folder.write(name(i + 1), parts[std::size_t(i)].bytes());
  };
  const auto message = [&] {
    write();
    return io_message([&] { gguf_file::open(path(1)); });
  };
  const auto differs = [&](const std::string& key, const std::string& found, const std::string& expected) {
    return has_text(key + ": is " + found + ", expected " + expected + "; this file does not belong to \"" + path(1));
  };

  SECTION("whole") {
    write();
    std::optional<gguf_file> file = gguf_file::open(path(1));
    const tensor_table tensors = file->tensors();
    CHECK(file->name() == path(1));
    file.reset();  // the tensors keep the parts in memory
    REQUIRE(tensors.all().size() == 3);
    std::vector<float> numbers(2);
    for (const auto& [tensor, expected] : {std::pair("b", std::vector<float>{10, 11}), {"c", {30, 30}}}) {
      read_into(*tensors.find(tensor), std::span(numbers));
      CHECK(numbers == expected);
    }
    CHECK(tensors.find("a")->file == path(1));
    CHECK(tensors.find("c")->file == path(3));
  }
  SECTION("another part than the first") {
    write();
    CHECK_THAT(io_message([&] { gguf_file::open(path(2)); }),
               has_text("split.no: this is number 2 of the 3 parts of a model; open the first, \"" + path(1)));
  }
  SECTION("a part that is missing") {
    write();
    std::filesystem::remove(path(3));
    CHECK(io_message([&] { gguf_file::open(path(1)); }) ==
          path(3) + ": is missing: number 3 of the 3 parts of a model; put it beside \"" + path(1) + "\"");
  }
  SECTION("a name that the other parts cannot be found by") {
    const auto other = folder.write("m.gguf", parts[0].bytes());
    CHECK_THAT(io_message([&] { gguf_file::open(other); }), has_text("must end in \"-00001-of-00003.gguf\""));
  }
  SECTION("parts of different models") {
    parts[1].count = 2;
    CHECK_THAT(message(), differs("split.count", "2", "3"));
    parts[1].count = 3, parts[1].number = 2;
    CHECK_THAT(message(), differs("split.no", "2", "1"));
    parts[1].number = 1, parts[2].all_tensors = 4;
    CHECK_THAT(message(), differs("split.tensors.count", "4", "3"));
  }
  SECTION("tensors that are missing, or there twice") {
    parts[1].tensors = {"a"};
    CHECK_THAT(message(), has_text(path(2) + ": the tensor \"a\" is in another part, too"));
    parts[1].tensors = {"d"};
    CHECK_THAT(message(), has_text("split.tensors.count: is 3, but the parts have 4 tensors together"));
  }
}

}  // namespace iapt::test::io_gguf
