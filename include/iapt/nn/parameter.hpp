// SPDX-License-Identifier: Apache-2.0
// Trainable tensors by name, for optimisers and files.
#pragma once
#include <string>
#include <vector>

#include "iapt/core/tensor.hpp"

namespace iapt {

/// Parameter groups of an optimiser: coefficients have a learning rate and a clip of their own.
enum class parameter_group { weights, coefficients };

/// A trainable tensor and its name. The flat handle shares elements and adjoint with the tensor of a layer.
template <class T, class Backend>
struct named_parameter {
  std::string name;                                  ///< unique within a method, e.g. "layers.3.generator.down"
  std::vector<index_t> shape;                        ///< extents of the layer's tensor
  tensor<T, 1, Backend> values;                      ///< all elements as one row, tracked
  parameter_group group = parameter_group::weights;  ///< its parameter group
};

/// All trainable tensors of a method, in a fixed order.
template <class T, class Backend>
using parameter_list = std::vector<named_parameter<T, Backend>>;

/// Appends a tensor, unless the handle is empty.
template <class T, int Rank, class Backend>
void add_parameter(parameter_list<T, Backend>& list, std::string name, const tensor<T, Rank, Backend>& x,
                   parameter_group group = parameter_group::weights) {
  if (x) list.push_back({std::move(name), {x.shape().begin(), x.shape().end()}, x.flat(), group});
}

/// Number of trainable elements.
template <class T, class Backend>
index_t parameter_count(const parameter_list<T, Backend>& list) {
  index_t count = 0;
  for (const auto& p : list) count += p.values.size();
  return count;
}

}  // namespace iapt
