// SPDX-License-Identifier: Apache-2.0
// Trainable tensors by name, as optimisers and files see them.
#pragma once
#include <string>
#include <vector>

#include "iapt/core/tensor.hpp"

namespace iapt {

/// Which optimiser settings a parameter takes: activation coefficients have a learning rate and a clip of their own.
enum class parameter_group { weights, coefficients };

/// A trainable tensor by name. The flat handle shares numbers and adjoint with the tensor that the layers use.
template <class T, class Backend>
struct named_parameter {
  std::string name;                                  ///< unique within a method, e.g. "layers.3.generator.down"
  std::vector<index_t> shape;                        ///< as the layers see it
  tensor<T, 1, Backend> values;                      ///< all numbers in one row, tracked
  parameter_group group = parameter_group::weights;  ///< which settings it takes
};

/// All trainable tensors of a method, in a fixed order.
template <class T, class Backend>
using parameter_list = std::vector<named_parameter<T, Backend>>;

/// Appends a tensor if it is there.
template <class T, int Rank, class Backend>
void add_parameter(parameter_list<T, Backend>& list, std::string name, const tensor<T, Rank, Backend>& x,
                   parameter_group group = parameter_group::weights) {
  if (x) list.push_back({std::move(name), {x.shape().begin(), x.shape().end()}, x.flat(), group});
}

/// Number of trainable numbers.
template <class T, class Backend>
index_t parameter_count(const parameter_list<T, Backend>& list) {
  index_t count = 0;
  for (const auto& p : list) count += p.values.size();
  return count;
}

}  // namespace iapt
