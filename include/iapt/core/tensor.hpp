// SPDX-License-Identifier: Apache-2.0
// The tensor: a handle to row-major elements in a backend's memory and to the memory of their adjoints.
#pragma once
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/shape.hpp"

namespace iapt {

/// Tag of everything that a context can evaluate: tensors, and expressions, which compute nothing themselves.
struct lazy_expression {};
/// A tensor or an expression of tensors.
template <class E>
concept expression = std::derived_from<std::remove_cvref_t<E>, lazy_expression>;
/// A tensor or an expression with the given number of extents.
template <class E, int Rank>
concept expression_of_rank = expression<E> && std::remove_cvref_t<E>::rank == Rank;

/// Elements in a backend's memory. The version counts writes, so that a tape can detect that a saved value was
/// overwritten.
template <class T, class Backend>
class buffer {
 public:
  /// Allocates uninitialized memory for `size` elements.
  buffer(Backend& backend, index_t size) : backend_(backend), size_(size), data_(backend.template allocate<T>(size)) {}
  ~buffer() { backend_.deallocate(data_, size_); }
  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;

  /// The backend that holds the elements.
  Backend& backend() const { return backend_; }
  /// Number of elements.
  index_t size() const { return size_; }
  /// The elements, for reading.
  const T* data() const { return data_; }
  /// The elements, for writing; increments the version.
  T* write() { return ++version_, data_; }
  /// Number of writes so far.
  std::uint64_t version() const { return version_; }

 private:
  Backend& backend_;
  index_t size_;
  T* data_;
  std::uint64_t version_ = 0;
};

/// Collects the adjoints of one buffer. The first adjoint allocates memory and is stored; later ones are added.
template <class T, class Backend>
struct adjoint_sink {
  Backend& backend;                              ///< where the adjoints live
  index_t size;                                  ///< number of elements in the buffer
  bool holds_sum = false;                        ///< whether an adjoint has arrived since the last clear_gradient()
  std::shared_ptr<buffer<T, Backend>> sum = {};  ///< the sum of the adjoints
};

/// Shared handle to contiguous row-major elements. Copies, slices and reshaped handles share the elements *and* their
/// adjoint, so none of them needs an entry on a tape. Constness is that of the handle, not of the elements.
template <class T, int Rank, class Backend>
class tensor : public lazy_expression {
 public:
  using value_type = T;
  using backend_type = Backend;  ///< where the elements live
  static constexpr int rank = Rank;

  /// An empty handle.
  tensor() = default;
  /// Allocates uninitialized elements of the given extents.
  /// @throws shape_error if an extent is negative, @throws device_error if there is no memory
  tensor(Backend& backend, const extents<Rank>& shape) : shape_(shape) {
    for (index_t n : shape)
      if (n < 0) throw shape_error("tensor: negative extent in " + to_text(shape));
    values_ = std::make_shared<buffer<T, Backend>>(backend, element_count(shape));
  }

  /// Whether the handle refers to elements.
  explicit operator bool() const { return values_ != nullptr; }
  /// Extents, outermost first.
  const extents<Rank>& shape() const { return shape_; }
  /// The extent of one axis.
  index_t size(int axis) const { return shape_[axis]; }
  /// Number of elements.
  index_t size() const { return element_count(shape_); }
  /// The backend that holds the elements.
  Backend& backend() const { return values_ ? values_->backend() : sink_->backend; }
  /// The elements, for reading; null where a tape has dropped them because no gradient reads them.
  const T* data() const { return values_ ? values_->data() + offset_ : nullptr; }
  /// The elements, for writing; a tape that has saved them then refuses to use them.
  T* write() const { return values_->write() + offset_; }
  /// Number of writes so far.
  std::uint64_t version() const { return values_ ? values_->version() : 0; }

  /// Rows [from, to) of the outermost extent.
  /// @throws shape_error if the range exceeds the extent
  tensor slice(index_t from, index_t to) const requires(Rank >= 1) {
    if (from < 0 || to < from || to > shape_[0])
      throw shape_error("slice: rows " + std::to_string(from) + " to " + std::to_string(to) + " of " + to_text(shape_));
    tensor part = *this;
    part.offset_ += shape_[0] ? from * (size() / shape_[0]) : 0;
    part.shape_[0] = to - from;
    return part;
  }
  /// The same elements with other extents.
  /// @throws shape_error if the number of elements differs
  template <std::size_t NewRank>
  tensor<T, int(NewRank), Backend> reshape(const std::array<index_t, NewRank>& shape) const {
    if (element_count(shape) != size())
      throw shape_error("reshape: " + to_text(shape_) + " has not as many elements as " + to_text(shape));
    tensor<T, int(NewRank), Backend> other;
    other.shape_ = shape, other.values_ = values_, other.sink_ = sink_, other.offset_ = offset_;
    return other;
  }
  /// The same elements as one row.
  tensor<T, 1, Backend> flat() const { return reshape(extents<1>{size()}); }

  /// Collects adjoints from now on. Handles that were copied earlier do not collect them.
  void track() {
    using sink = adjoint_sink<T, Backend>;
    sink_ = std::make_shared<sink>(sink{values_->backend(), values_->size()});
  }
  /// Whether adjoints are collected.
  bool tracked() const { return sink_ != nullptr; }
  /// The same elements as a constant.
  tensor detached() const {
    tensor constant = *this;
    constant.sink_ = nullptr;
    return constant;
  }
  /// Whether an adjoint has arrived since the last clear_gradient().
  bool has_gradient() const { return sink_ && sink_->holds_sum; }
  /// The sum of the adjoints; an empty handle if none has arrived.
  tensor gradient() const {
    tensor sum;
    if (!has_gradient()) return sum;
    sum.shape_ = shape_, sum.values_ = sink_->sum, sum.offset_ = offset_;
    return sum;
  }
  /// Discards the adjoints without writing memory: the next one is stored, not added.
  void clear_gradient() const {
    if (sink_) sink_->holds_sum = false;
  }

  /// Memory for an adjoint, and whether the caller must add to what is there; null for a constant.
  std::pair<T*, bool> adjoint() const {
    if (!sink_) return {nullptr, false};
    if (!sink_->sum) sink_->sum = std::make_shared<buffer<T, Backend>>(sink_->backend, sink_->size);
    if (!sink_->holds_sum && size() != sink_->size) {  // a slice: the rest of the sum is zero
      sink_->backend.zero(sink_->sum->write(), sink_->size);
      sink_->holds_sum = true;
    }
    return {sink_->sum->write() + offset_, std::exchange(sink_->holds_sum, true)};
  }

  /// Visits every tensor of the expression; the flag tells whether its extents must fit the statement's.
  template <class Visitor>
  void visit(Visitor visitor) const {
    visitor(*this, std::true_type{});
  }
  /// The operand of a fused loop: the tensor itself.
  template <class Context>
  tensor materialize_operand(Context&) const {
    return *this;
  }
  /// What a tape entry saves: the elements only if a gradient reads them.
  tensor saved_for_backward(bool read) const {
    tensor saved = *this;
    if (!read) saved.values_ = nullptr;
    return saved;
  }

 private:
  template <class, int, class>
  friend class tensor;
  extents<Rank> shape_{};
  std::shared_ptr<buffer<T, Backend>> values_;
  std::shared_ptr<adjoint_sink<T, Backend>> sink_;
  index_t offset_ = 0;
};

/// Copies elements from the host into a tensor.
/// @throws shape_error if the number of elements differs
template <class T, int Rank, class Backend>
void upload(const tensor<T, Rank, Backend>& x, std::span<const std::type_identity_t<T>> values) {
  if (index_t(values.size()) != x.size())
    throw shape_error("upload: " + std::to_string(values.size()) + " numbers for " + to_text(x.shape()));
  x.backend().upload(x.write(), values.data(), x.size());
}

/// A new tensor with the given elements.
/// @throws shape_error if the number of elements differs from that of the extents
template <class T, std::size_t Rank, class Backend>
tensor<T, int(Rank), Backend> from_host(Backend& backend, const std::array<index_t, Rank>& shape,
                                        const std::vector<T>& values) {
  tensor<T, int(Rank), Backend> x(backend, shape);
  upload(x, values);
  return x;
}

/// Copies the elements of a tensor to the host.
template <class T, int Rank, class Backend>
std::vector<T> to_host(const tensor<T, Rank, Backend>& x) {
  std::vector<T> values(x.size());
  if (x.size()) x.backend().download(values.data(), x.data(), x.size());
  return values;
}

/// Copies a tensor into another backend's memory, through the host.
template <class To, class T, int Rank, class From>
tensor<T, Rank, To> copy_to(To& backend, const tensor<T, Rank, From>& x) {
  return from_host(backend, x.shape(), to_host(x));
}

}  // namespace iapt
