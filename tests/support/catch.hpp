// SPDX-License-Identifier: Apache-2.0
// Catch2, version 2 or 3, and text matchers by names that do not change from one to the other.
#pragma once
#include <string>
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

namespace iapt::test {

/// For CHECK_THAT(text, ...): a part of it, its beginning, its end.
inline auto has_text(const std::string& part) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}
inline auto starts_with(const std::string& part) { return Catch::Matchers::StartsWith(part); }
inline auto ends_with(const std::string& part) { return Catch::Matchers::EndsWith(part); }

}  // namespace iapt::test
