// SPDX-License-Identifier: Apache-2.0
// The formats' own numbers; tests/io/stored_tensor.cpp compares them with gguf-py's.
#include "iapt/core/quantised.hpp"

#include "support/catch.hpp"
#include "support/quantised.hpp"

namespace iapt::test::core_quantised {

TEST_CASE("a block written by hand", "[core]") {
  std::byte block[20] = {};  // q4_1: d = 2, m = -1; element 3 is 5, element 19 is 10
  const std::uint16_t d = 0x4000, m = 0xbc00;
  std::memcpy(block, &d, 2), std::memcpy(block + 2, &m, 2);
  block[4 + 3] = std::byte(0xa5);
  const quantised_rows row{block, dtype::q4_1, 32};
  float out[32];
  row.expand<float>(0, out);
  CHECK(out[3] == 9);
  CHECK(out[19] == 19);
  CHECK(out[0] == -1);
}

TEST_CASE("rows expand to their numbers", "[core]") {
  for (dtype type : quantised_types) {
    CAPTURE(name_of(type));
    REQUIRE(is_quantised(type));
    const index_t columns = layout_of(type).elements > 1 ? 512 : 67;
    const auto bytes = random_rows(type, 3, columns);
    const quantised_rows rows{bytes.data(), type, columns};
    CHECK(index_t(bytes.size()) == 3 * rows.row_bytes());
    std::vector<double> out(columns);
    double largest = 0;
    for (index_t i = 0; i < 3; ++i) {
      rows.expand<double>(i, out.data());
      for (index_t j = 0; j < columns; ++j) {
        CHECK(out[j] == rows.number<double>(i, j));
        largest = std::max(largest, std::abs(out[j]));
      }
    }
    CHECK(largest > 0.1);
  }
  CHECK_FALSE(is_quantised(dtype::f32));
  CHECK_FALSE(is_quantised(dtype::i8));
}

}  // namespace iapt::test::core_quantised
