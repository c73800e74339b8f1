// SPDX-License-Identifier: Apache-2.0
// The tensors of one layer's generator in a file.
#pragma once
#include <array>
#include <cstddef>
#include <string>

#include "iapt/core/tensor.hpp"

namespace iapt {

/// Reads the tensors of a layer, each by the name of its part and with the shape that it must have. Nothing is
/// computed, and memory is allocated only for what the file has.
template <class T, class Backend, class File>
struct layer_file {
  Backend& backend;    ///< backend of the tensors
  const File& file;    ///< has `has(name)` and `read<T>(name, shape)`
  std::string prefix;  ///< beginning of the layer's names
  bool has_shared;     ///< whether it is the first of the layers that share projections: only this one has them

  /// Whether the file has a tensor of the layer.
  bool has(const char* part) const { return file.has(prefix + part); }
  /// Reads a tensor of the layer.
  /// @throws io_error if it is missing or has another shape
  template <std::size_t Rank>
  tensor<T, int(Rank), Backend> operator()(const char* part, const std::array<index_t, Rank>& shape) const {
    return from_host(backend, shape, file.template read<T>(prefix + part, {shape.begin(), shape.end()}));
  }
  /// Reads a tensor that layers share; an empty handle if another layer has it.
  /// @throws io_error as above
  template <std::size_t Rank>
  tensor<T, int(Rank), Backend> shared(const char* part, const std::array<index_t, Rank>& shape) const {
    return has_shared ? (*this)(part, shape) : tensor<T, int(Rank), Backend>();
  }
};

}  // namespace iapt
