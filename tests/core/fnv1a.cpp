// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/core/fnv1a.hpp"

#include <string_view>

#include "support/catch.hpp"

namespace iapt::test::core_fnv1a {

TEST_CASE("FNV-1a of 64 bits has its published values", "[core]") {
  const auto hash = [](std::string_view text) {
    fnv1a hash;
    hash.add(std::as_bytes(std::span(text)));
    return hash.text();
  };
  CHECK(hash("") == "cbf29ce484222325");
  CHECK(hash("a") == "af63dc4c8601ec8c");
  CHECK(hash("foobar") == "85944171f73967e8");
  fnv1a parts;
  parts.add('f'), parts.add(std::uint32_t(0x61626f6f)), parts.add('r');  // the lowest byte first
  CHECK(parts.text() == "85944171f73967e8");
}

}  // namespace iapt::test::core_fnv1a
