// SPDX-License-Identifier: Apache-2.0
// Uses everything, and that includes nothing of a GPU or a server.
#if __has_include(<iapt/iapt.hpp>)
#include <iapt/iapt.hpp>
#else
#include <iapt/core/shape.hpp>
#endif

#if defined(THRUST_VERSION) || defined(CUDART_VERSION)
#error "iapt.hpp pulls in a GPU's headers"
#endif

int main() {
  using namespace iapt;
  return to_text(extents<2>{23, 576}) == "(23, 576)" ? 0 : 1;
}
