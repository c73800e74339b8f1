// SPDX-License-Identifier: Apache-2.0
// A matrix of weights, kept as numbers or, where it is frozen, in the few bits that its file has for each of them.
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

/// A matrix (out, in) whose storage is chosen at run time: a tensor, or quantized rows, which are constants. What is
/// computed from it is the same for both, up to the order of sums. `gather` and `matmul(x, transposed(w))` of
/// ops/weight_matrix.hpp read it as it is stored.
template <class T, class Backend>
class weight_matrix {
 public:
  using value_type = T;          ///< type of an expanded number
  using backend_type = Backend;  ///< where it lives

  /// Refers to nothing.
  weight_matrix() = default;
  /// A tensor's numbers, and its adjoint where it has one.
  weight_matrix(tensor<T, 2, Backend> numbers) : shape_(numbers.shape()), numbers_(std::move(numbers)) {}
  /// Copies rows of a quantized type from the host.
  /// @throws shape_error if the type is none of them, or these are not the bytes of such a matrix
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

  /// Whether it refers to anything.
  explicit operator bool() const { return bytes_ || numbers_; }
  /// Extents (out, in).
  const extents<2>& shape() const { return shape_; }
  /// One extent.
  index_t size(int axis) const { return shape_[axis]; }
  /// The machine that holds it.
  Backend& backend() const { return bytes_ ? bytes_.backend() : numbers_.backend(); }
  /// Whether it is kept as quantized rows.
  bool quantized() const { return bool(bytes_); }
  /// The tensor; refers to nothing where the matrix is quantized.
  const tensor<T, 2, Backend>& numbers() const { return numbers_; }
  /// The quantized rows from one on.
  quantized_rows rows(index_t from = 0) const {
    const quantized_rows all{bytes_.data(), type_, shape_[1]};
    return {all.row(from), type_, shape_[1]};
  }

  /// Rows [from, to) as numbers: the tensor's own, or new ones.
  /// @throws shape_error if they are not there
  tensor<T, 2, Backend> expanded(index_t from, index_t to) const {
    if (!bytes_) return numbers_.slice(from, to);
    if (from < 0 || to < from || to > shape_[0])
      throw shape_error("expanded: rows " + std::to_string(from) + " to " + std::to_string(to) + " of " +
                        to_text(shape_));
    tensor<T, 2, Backend> part(backend(), {to - from, shape_[1]});
    backend().template dequantize<T>(rows(from), nullptr, to - from, part.write());
    return part;
  }
  /// All of it as numbers: its own, or new ones.
  tensor<T, 2, Backend> expanded() const { return expanded(0, shape_[0]); }

 private:
  extents<2> shape_{};
  tensor<T, 2, Backend> numbers_;
  tensor<std::byte, 1, Backend> bytes_;
  dtype type_ = dtype::f32;
};

}  // namespace iapt
