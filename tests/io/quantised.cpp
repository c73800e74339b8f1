// SPDX-License-Identifier: Apache-2.0
// Every block format against gguf-py, by tests/data/io/quantised.gguf (tests/reference/make_quantised.py wrote it).
#include "iapt/io/quantised.hpp"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "iapt/io/gguf.hpp"
#include "support/catch.hpp"
#include "support/model.hpp"

using namespace iapt;

namespace {
template <class T>
std::vector<T> all_of(const stored_tensor& tensor) {
  std::vector<T> numbers(static_cast<std::size_t>(tensor.size()));
  read_into(tensor, std::span(numbers));
  return numbers;
}
}  // namespace

TEMPLATE_TEST_CASE("stored types have gguf-py's values", "[io]", float, double) {
  const auto file = gguf_file::open(test::test_data("io/quantised.gguf"));
  for (const std::string name : {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q6_k", "f16", "bf16", "f64"}) {
    INFO(name);
    const stored_tensor *stored = file.tensors().find(name), *expected = file.tensors().find(name + ".expected");
    REQUIRE(stored);
    REQUIRE(expected);
    REQUIRE(stored->shape == expected->shape);
    const auto found = all_of<TestType>(*stored);
    const auto wanted = all_of<float>(*expected);
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
    CHECK(error <= 1e-7 * largest);
  }
}

TEST_CASE("a block written by hand", "[io]") {
  std::byte block[20] = {};  // q4_1: d = 2, m = -1; element 3 is 5, element 19 is 10
  const std::uint16_t d = 0x4000, m = 0xbc00;
  std::memcpy(block, &d, 2), std::memcpy(block + 2, &m, 2);
  block[4 + 3] = std::byte(0xa5);
  float out[32];
  four_bit_block<true>::expand(block, out);
  CHECK(out[3] == 9);
  CHECK(out[19] == 19);
  CHECK(out[0] == -1);
}
