// SPDX-License-Identifier: Apache-2.0
// Extents of tensors: the rank is static, the sizes are known at run time.
#pragma once
#include <array>
#include <cstdint>
#include <string>

namespace iapt {

/// A count, an index or an id: signed, 64 bits. It is not named `index`, because POSIX has a function of that name and
/// users write `using namespace iapt`.
using index_t = std::int64_t;

/// The extents of a tensor of a static rank, outermost first (row-major).
template <int Rank>
using extents = std::array<index_t, Rank>;

/// Number of elements; 1 for rank 0.
template <std::size_t Rank>
constexpr index_t element_count(const std::array<index_t, Rank>& n) {
  index_t product = 1;
  for (index_t e : n) product *= e;
  return product;
}

/// Extents as text for messages, e.g. "(23, 576)".
template <class Extents>
std::string to_text(const Extents& n) {
  std::string text = "(";
  for (index_t e : n) text += (text.size() > 1 ? ", " : "") + std::to_string(e);
  return text + ")";
}

}  // namespace iapt
