// SPDX-License-Identifier: Apache-2.0
// Methods that have learnt something, as it were.
#pragma once
#include <cstdint>
#include <type_traits>

#include "iapt/core/random.hpp"
#include "iapt/core/tensor.hpp"

namespace iapt::test {

/// A method off its start, so that every part of it matters.
template <class Method>
Method moved(Method method, double by = 0.03) {
  std::uint64_t stream = 0;
  for (auto& p : method.parameters()) {
    auto values = to_host(p.values);
    random_stream random(77, ++stream);
    for (auto& v : values) v += std::decay_t<decltype(v)>(by * random.normal());
    upload(p.values, values);
  }
  return method;
}

}  // namespace iapt::test
