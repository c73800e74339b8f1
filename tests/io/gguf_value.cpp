// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/gguf_value.hpp"

#include <string>
#include <vector>

#include "iapt/io/gguf.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"

namespace iapt::test::io_gguf_value {

TEST_CASE("metadata of every type as gguf-py wrote it", "[io]") {
  const auto file = gguf_file::open(test_data("io/quantized.gguf"));
  CHECK(file.get<int>("t.u8") == 200);
  CHECK(file.get<int>("t.i8") == -100);
  CHECK(file.get<int>("t.u16") == 60000);
  CHECK(file.get<std::int16_t>("t.i16") == -30000);
  CHECK(file.get<std::uint32_t>("t.u32") == 4000000000u);
  CHECK(file.get<std::int64_t>("t.i32") == -2000000000);
  CHECK(file.get<std::uint64_t>("t.u64") == (std::uint64_t(1) << 63) + 1);
  CHECK(file.get<std::int64_t>("t.i64") == -(std::int64_t(1) << 62));
  CHECK(file.get<double>("t.f32") == 0.25);
  CHECK(file.get<double>("t.f64") == 0.1);
  CHECK(file.get<bool>("t.bool"));
  CHECK(file.get<std::string>("t.string") == "zw\u00f6lf");
  CHECK(file.get<std::string_view>("general.architecture") == "test");
  CHECK(file.get<std::vector<std::string>>("t.strings") == std::vector<std::string>{"a", "", "ccc"});
  CHECK(file.get<std::vector<int>>("t.integers") == std::vector{3, -1, 2});
  CHECK(file.get<std::vector<float>>("t.floats") == std::vector{0.5f, -1.5f});
  CHECK(file.get_or<int>("t.none", 7) == 7);
  CHECK(file.get_or<int>("t.i8", 7) == -100);
  CHECK_FALSE(file.find("t.none"));
  CHECK(file.find("t.nested")->type_text() == "array of 2 array");
}

TEST_CASE("a metadata value of another kind is refused by name", "[io]") {
  const auto file = gguf_file::open(test_data("io/quantized.gguf"));
  CHECK_THAT(io_message([&] { file.get<int>("t.none"); }), has_text("quantized.gguf: metadata has no \"t.none\""));
  CHECK_THAT(io_message([&] { file.get<int>("t.string"); }),
             has_text("byte") && has_text("metadata \"t.string\": expected integer of 32 bits, found string"));
  CHECK_THAT(io_message([&] { file.get<int>("t.u32"); }), has_text("found u32 4000000000"));
  CHECK_THAT(io_message([&] { file.get<unsigned>("t.i8"); }), has_text("not negative") && has_text("found i8 -100"));
  CHECK_THAT(io_message([&] { file.get<std::int64_t>("t.u64"); }), has_text("found u64"));
  CHECK_THAT(io_message([&] { file.get<bool>("t.u8"); }), has_text("expected bool, found u8"));
  CHECK_THAT(io_message([&] { file.get<double>("t.u8"); }), has_text("expected f32 or f64"));
  CHECK_THAT(io_message([&] { file.get<std::string>("t.bool"); }), has_text("expected string, found bool"));
  CHECK_THAT(io_message([&] { file.get_or<bool>("t.u8", true); }), has_text("expected bool"));
  CHECK_THAT(io_message([&] { file.get<std::vector<unsigned>>("t.integers"); }),
             has_text("expected array of integer, not negative") && has_text("found array of 3 i32"));
  CHECK_THAT(io_message([&] { file.get<std::vector<int>>("t.strings"); }), has_text("found array of 3 string"));
  CHECK_THAT(io_message([&] { file.get<std::vector<int>>("t.u8"); }), has_text("found u8 200"));
  CHECK_THAT(io_message([&] { file.get<std::vector<int>>("t.nested"); }), has_text("found array of 2 array"));
}

}  // namespace iapt::test::io_gguf_value
