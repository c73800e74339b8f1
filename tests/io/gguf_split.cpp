// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/gguf_split.hpp"

#include "support/catch.hpp"

namespace iapt::test::io_gguf_split {

TEST_CASE("names of the parts of a split GGUF file", "[io]") {
  CHECK(gguf_part_ending(1, 3) == "-00001-of-00003.gguf");
  CHECK(gguf_part_ending(12345, 65535) == "-12345-of-65535.gguf");
  CHECK(gguf_part_path("a/m-00001-of-00003.gguf", 1, 3, 2) == "a/m-00002-of-00003.gguf");
  CHECK(gguf_part_path("a/m-00002-of-00003.gguf", 2, 3, 1) == "a/m-00001-of-00003.gguf");
  for (const char* other : {"m.gguf", "m-00001-of-00002.gguf", "m-00002-of-00003.gguf", "m-1-of-3.gguf"})
    CHECK_FALSE(gguf_part_path(other, 1, 3, 2));
}

}  // namespace iapt::test::io_gguf_split
