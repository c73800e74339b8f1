// SPDX-License-Identifier: Apache-2.0
// A matrix of weights: a tensor or, for frozen weights, rows in the quantized format of their file.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "iapt/core/error.hpp"
#include "iapt/core/quantized.hpp"
#include "iapt/core/tensor.hpp"

namespace iapt {

/// A matrix (out, in) whose storage is chosen at run time: a tensor, or quantized rows, which are constants. Results
/// are the same for both, up to the order of sums. `gather` and `matmul(x, transposed(w))` of ops/weight_matrix.hpp
/// read both kinds of storage.
template <class T, class Backend>
class weight_matrix {
 public:
  using value_type = T;          ///< type of a dequantized element
  using backend_type = Backend;  ///< where the matrix lives

  /// An empty handle.
  weight_matrix() = default;
  /// Refers to a tensor, and to its adjoint if it has one.
  weight_matrix(tensor<T, 2, Backend> numbers) : shape_(numbers.shape()), numbers_(std::move(numbers)) {}
  /// Copies rows of a quantized type from the host.
  /// @throws shape_error if the type is not quantized, or the number of bytes does not fit the extents
  weight_matrix(Backend& backend, const extents<2>& shape, dtype type, std::span<const std::byte> bytes)
      : shape_(shape), type_(type) {
    const bool whole = is_quantized(type) && shape[0] >= 0 && shape[1] >= 0 &&
                       shape[1] % layout_of(type).elements == 0 &&
                       index_t(bytes.size()) == shape[0] * quantized_rows{nullptr, type, shape[1]}.row_bytes();
    if (!whole)
      throw shape_error("weight_matrix: " + std::to_string(bytes.size()) + " bytes are no matrix of " + to_text(shape) +
                        " in " + std::string(name_of(type)));
    bytes_ = tensor<std::byte, 1, Backend>(backend, {index_t(bytes.size())});
    upload(bytes_, bytes);
  }

  /// Whether the handle refers to a matrix.
  explicit operator bool() const { return bytes_ || numbers_; }
  /// Extents (out, in).
  const extents<2>& shape() const { return shape_; }
  /// The extent of one axis.
  index_t size(int axis) const { return shape_[axis]; }
  /// The backend that holds the matrix.
  Backend& backend() const { return bytes_ ? bytes_.backend() : numbers_.backend(); }
  /// Whether the storage is quantized rows.
  bool quantized() const { return bool(bytes_); }
  /// The tensor; an empty handle if the matrix is quantized.
  const tensor<T, 2, Backend>& numbers() const { return numbers_; }
  /// The quantized rows from row `from` on.
  quantized_rows rows(index_t from = 0) const {
    const quantized_rows all{bytes_.data(), type_, shape_[1]};
    return {all.row(from), type_, shape_[1]};
  }

  /// Rows [from, to) as a tensor: a slice of the tensor, or newly dequantized elements.
  /// @throws shape_error if the range exceeds the extent
  tensor<T, 2, Backend> expanded(index_t from, index_t to) const {
    if (!bytes_) return numbers_.slice(from, to);
    if (from < 0 || to < from || to > shape_[0])
      throw shape_error("expanded: rows " + std::to_string(from) + " to " + std::to_string(to) + " of " +
                        to_text(shape_));
    tensor<T, 2, Backend> part(backend(), {to - from, shape_[1]});
    backend().template dequantize<T>(rows(from), nullptr, to - from, part.write());
    return part;
  }
  /// The whole matrix as a tensor: the tensor itself, or newly dequantized elements.
  tensor<T, 2, Backend> expanded() const { return expanded(0, shape_[0]); }

 private:
  extents<2> shape_{};
  tensor<T, 2, Backend> numbers_;
  tensor<std::byte, 1, Backend> bytes_;
  dtype type_ = dtype::f32;
};

}  // namespace iapt
