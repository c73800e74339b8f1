// SPDX-License-Identifier: Apache-2.0
// The tensors of one layer's generator in a file.
#pragma once
#include <array>
#include <cstddef>
#include <string>

#include "iapt/core/tensor.hpp"

namespace iapt {

/// Reads tensors of a layer, each by the name of its part and in the shape that it must have. Nothing is computed, and
/// memory is taken for what the file has alone.
template <class T, class Backend, class File>
struct layer_file {
  Backend& backend;    ///< whose memory they go to
  const File& file;    ///< `has(name)`, and `read<T>(name, shape)`
  std::string prefix;  ///< of the layer's names
  bool has_shared;     ///< whether it is the first of the layers that share projections, and so has them

  /// Whether the layer has a tensor.
  bool has(const char* part) const { return file.has(prefix + part); }
  /// One of its tensors.
  /// @throws io_error if it is missing or has another shape
  template <std::size_t Rank>
  tensor<T, int(Rank), Backend> operator()(const char* part, const std::array<index_t, Rank>& shape) const {
    return from_host(backend, shape, file.template read<T>(prefix + part, {shape.begin(), shape.end()}));
  }
  /// One that layers share; an empty handle where another layer has it.
  /// @throws io_error as above
  template <std::size_t Rank>
  tensor<T, int(Rank), Backend> shared(const char* part, const std::array<index_t, Rank>& shape) const {
    return has_shared ? (*this)(part, shape) : tensor<T, int(Rank), Backend>();
  }
};

}  // namespace iapt
