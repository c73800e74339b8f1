// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The formats' own numbers; tests/io/stored_tensor.cpp compares them with gguf-py's.
#include "iapt/core/quantized.hpp"

#include <set>

#include "support/catch.hpp"
#include "support/quantized.hpp"

namespace iapt::test::core_quantized {

TEST_CASE("a block written by hand", "[core]") {
  std::byte block[20] = {};  // q4_1: d = 2, m = -1; element 3 is 5, element 19 is 10
  const std::uint16_t d = 0x4000, m = 0xbc00;
  std::memcpy(block, &d, 2), std::memcpy(block + 2, &m, 2);
  block[4 + 3] = std::byte(0xa5);
  const quantized_rows row{block, dtype::q4_1, 32};
  float out[32];
  row.dequantize<float>(0, out);
  CHECK(out[3] == 9);
  CHECK(out[19] == 19);
  CHECK(out[0] == -1);
}

TEST_CASE("every element type has a name of its own", "[core]") {
  CHECK(name_of(dtype::f64) == "F64");
  CHECK(name_of(dtype::boolean) == "BOOL");
  CHECK(name_of(dtype::q6_k) == "Q6_K");
  std::set<std::string_view> names;
  std::set<std::uint32_t> ids;
  int formats = 0;
  for (int i = 0; i <= int(dtype::boolean); ++i) names.insert(name_of(dtype(i)));
  quantized_formats::each([&](auto format) {
    ++formats, names.insert(name_of(format.type)), ids.insert(format.gguf_id);
    CHECK(layout_of(format.type).bytes == format.layout.bytes);
  });
  CHECK(names.size() == std::size_t(dtype::boolean) - 1 + std::size_t(formats));  // f16 and bf16 are formats
  CHECK(ids.size() == std::size_t(formats));
  CHECK(names.count("") == 0);
}

TEST_CASE("rows expand to their numbers", "[core]") {
  for (dtype type : quantized_types) {
    CAPTURE(name_of(type));
    REQUIRE(is_quantized(type));
    const index_t columns = layout_of(type).elements > 1 ? 512 : 67;
    const auto bytes = random_rows(type, 3, columns);
    const quantized_rows rows{bytes.data(), type, columns};
    CHECK(index_t(bytes.size()) == 3 * rows.row_bytes());
    std::vector<double> out(columns);
    double largest = 0;
    for (index_t i = 0; i < 3; ++i) {
      rows.dequantize<double>(i, out.data());
      for (index_t j = 0; j < columns; ++j) {
        CHECK(out[j] == rows.number<double>(i, j));
        largest = std::max(largest, std::abs(out[j]));
      }
    }
    CHECK(largest > 0.1);
  }
  CHECK_FALSE(is_quantized(dtype::f32));
  CHECK_FALSE(is_quantized(dtype::i8));
}

}  // namespace iapt::test::core_quantized
