// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/byte_reader.hpp"

#include <cstdint>

#include "support/catch.hpp"
#include "support/io_errors.hpp"

namespace iapt::test::io_byte_reader {

TEST_CASE("a byte reader reads in order", "[io]") {
  const std::string bytes = byte_string().number(std::uint32_t(7)).number(-1.5).text("abc").number(std::uint64_t(2));
  byte_reader reader(bytes_of(bytes), "f");
  CHECK(reader.number<std::uint32_t>("n") == 7);
  CHECK(reader.number<double>("x") == -1.5);
  CHECK(reader.text("t") == "abc");
  CHECK(reader.offset() == 23);
  CHECK(reader.remaining() == 8);
  CHECK_THAT(io_message([&] { reader.count(1, "number of rows"); }), has_text("f: byte 23: number of rows says 2"));
}

TEST_CASE("a byte reader does not step over the end", "[io]") {
  const std::string bytes = byte_string().number(~std::uint64_t(0)).raw("x");
  byte_reader reader(bytes_of(bytes), "f");
  CHECK_THAT(io_message([&] { reader.text("name"); }), has_text("f: byte 8: name takes 18446744073709551615 bytes"));
  CHECK_THAT(io_message([&] { reader.number<std::uint16_t>("rank"); }), has_text("byte 8: rank takes 2 bytes"));
  CHECK(reader.take(1, "x").size() == 1);
  CHECK(reader.take(0, "nothing").empty());
}

}  // namespace iapt::test::io_byte_reader
