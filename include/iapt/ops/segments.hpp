// SPDX-License-Identifier: Apache-2.0
// Spans of consecutive rows, which poolers reduce.
#pragma once
#include <string>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/ops/gather.hpp"

namespace iapt {

/// Consecutive rows [begin, end) of a packed tensor.
struct row_span {
  index_t begin;  ///< first row
  index_t end;    ///< one past the last
  /// Number of rows.
  index_t count() const { return end - begin; }
};

/// Bounds of spans for kernels: begin, end, begin, end, …. No span is empty: a softmax or a mean needs rows.
/// @throws shape_error if a span is empty or exceeds `rows`
template <class Backend>
tensor<std::int32_t, 1, Backend> span_bounds(Backend& backend, const std::vector<row_span>& spans, index_t rows,
                                             const char* name) {
  std::vector<std::int32_t> bounds;
  for (const row_span& s : spans) {
    if (s.begin < 0 || s.begin >= s.end || s.end > rows)
      throw shape_error(std::string(name) + ": rows " + std::to_string(s.begin) + " to " + std::to_string(s.end) +
                        " of " + std::to_string(rows) + "; a segment needs at least one row");
    bounds.push_back(std::int32_t(s.begin)), bounds.push_back(std::int32_t(s.end));
  }
  return from_host(backend, extents<1>{index_t(bounds.size())}, bounds);
}

}  // namespace iapt
