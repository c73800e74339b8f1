// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/stored_tensor.hpp"

#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <vector>

#include "iapt/io/gguf.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"

namespace iapt::test::io_stored_tensor {

TEST_CASE("stored sizes", "[io]") {
  using shape = std::vector<index_t>;
  const index_t huge = std::numeric_limits<index_t>::max();
  CHECK(stored_size(dtype::f32, shape{2, 3}) == 24u);
  CHECK(stored_size(dtype::f64, shape{}) == 8u);
  CHECK(stored_size(dtype::q4_1, shape{3, 64}) == 120u);
  CHECK(stored_size(dtype::q6_k, shape{256}) == 210u);
  CHECK(stored_size(dtype::f32, shape{2, 0}) == 0u);
  CHECK_FALSE(stored_size(dtype::q4_1, shape{64, 3}));
  CHECK_FALSE(stored_size(dtype::q4_1, shape{}));
  CHECK_FALSE(stored_size(dtype::f32, shape{-1, 3}));
  CHECK_FALSE(stored_size(dtype::u8, shape{huge, 2}));
  CHECK_FALSE(stored_size(dtype::u8, shape{0, huge, 2}));  // or row_size would overflow
  CHECK_FALSE(stored_size(dtype::f32, shape{huge / 2}));
}

// tests/data/io/quantized.gguf was written by tests/reference/make_quantized.py.
TEMPLATE_TEST_CASE("stored types have gguf-py's values", "[io]", float, double) {
  const auto file = gguf_file::open(test_data("io/quantized.gguf"));
  std::vector<std::string> names{"f64"};
  quantized_formats::each([&](auto format) { names.push_back(format.name); });
  for (std::string name : names) {
    INFO(name);
    for (char& c : name) c = char(std::tolower(c));
    const stored_tensor *stored = file.tensors().find(name), *expected = file.tensors().find(name + ".expected");
    REQUIRE(stored);
    REQUIRE(expected);
    REQUIRE(stored->shape == expected->shape);
    std::vector<TestType> found(static_cast<std::size_t>(stored->size()));
    std::vector<float> wanted(found.size());
    read_into(*stored, std::span(found));
    read_into(*expected, std::span(wanted));
    double largest = 0, error = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (std::isfinite(wanted[i])) {
        largest = std::max(largest, std::abs(double(wanted[i])));
        error = std::max(error, std::abs(double(found[i]) - double(wanted[i])));
      } else {
        CHECK(found[i] == TestType(wanted[i]));
      }
    }
    CHECK(largest > 0.1);
    CHECK(error <= (sizeof(TestType) == 4 ? 0 : 1e-7 * largest));  // in float the same bits
  }
}

TEST_CASE("rows of a tensor are those of the whole", "[io]") {
  const auto file = gguf_file::open(test_data("io/quantized.gguf"));
  for (const stored_tensor& tensor : file.tensors().all()) {
    if (!tensor.type) continue;
    INFO(tensor.name);
    std::vector<float> all(static_cast<std::size_t>(tensor.size())), row(static_cast<std::size_t>(tensor.row_size()));
    read_into(tensor, std::span(all));
    for (index_t i = 0; i < tensor.rows(); ++i) {
      read_rows_into<float>(tensor, i, 1, row);
      CHECK(std::equal(row.begin(), row.end(), all.begin() + i * tensor.row_size(),
                       [](float a, float b) { return a == b || (a != a && b != b); }));
    }
  }
}

TEST_CASE("long plain tensors, at an odd address", "[io]") {
  byte_string bytes("x");
  for (int i = 0; i < 200; ++i) bytes.number(float(i));
  const stored_tensor tensor{
      .name = "t", .type = dtype::f32, .type_name = "F32", .shape = {200}, .bytes = bytes_of(bytes).subspan(1)};
  std::vector<double> numbers(200);
  read_into(tensor, std::span(numbers));
  for (int i = 0; i < 200; ++i) CHECK(numbers[i] == i);
  std::vector<float> same(200);
  copy_into(tensor, std::span(same));
  CHECK(same[199] == 199);
}

TEST_CASE("what cannot be read is refused", "[io]") {
  const auto file = gguf_file::open(test_data("io/quantized.gguf"));
  const stored_tensor &blocks = *file.tensors().find("q4_1"), &unknown = *file.tensors().find("iq2_xxs");
  std::vector<float> numbers(256), few(3);
  CHECK_THAT(io_message([&] { read_into(unknown, std::span(numbers)); }),
             has_text("quantized.gguf: byte") && has_text("\"iq2_xxs\": its type IQ2_XXS is not supported"));
  CHECK_THROWS_AS(read_into(blocks, std::span(few)), shape_error);
  // Rows that are not there, into memory that would hold them.
  const auto rows = blocks.rows();
  for (const auto& [from, count] :
       {std::pair<index_t, index_t>{rows, 1}, {1, rows}, {-1, 1}, {rows + 1, 0}, {0, rows + 1}}) {
    std::vector<float> room(std::size_t(count * blocks.row_size()));
    CHECK_THROWS_WITH(read_rows_into<float>(blocks, from, count, room), has_text("there are no"));
  }
  CHECK_THROWS_WITH(read_rows_into<float>(blocks, 1, -1, {}), has_text("there are no"));
  read_rows_into<float>(blocks, rows, 0, {});
  CHECK_THAT(io_message([&] { copy_into(blocks, std::span(numbers)); }), has_text("holds Q4_1, expected F32"));
  stored_tensor line = blocks;  // one row of all elements: a row is then one element
  line.shape = {128};
  CHECK_THROWS_AS(read_rows_into<float>(line, 0, 3, few), shape_error);
  const std::int64_t value = 5;
  const stored_tensor integer{
      .name = "i", .type = dtype::i64, .type_name = "I64", .bytes = std::as_bytes(std::span(&value, 1)), .file = "f"};
  CHECK_THAT(io_message([&] { read_into(integer, std::span(few.data(), 1)); }),
             has_text("f: byte 0: tensor \"i\": holds I64"));
  std::int64_t copy = 0;
  copy_into(integer, std::span(&copy, 1));
  CHECK(copy == 5);
}

}  // namespace iapt::test::io_stored_tensor
