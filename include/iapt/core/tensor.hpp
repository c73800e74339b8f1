// SPDX-License-Identifier: Apache-2.0
// The tensor: a handle to row-major numbers in a backend's memory, and to the place where their adjoints arrive.
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

/// Mark of everything that a context can evaluate: tensors, and expressions of them, which compute nothing themselves.
struct lazy_expression {};
/// A tensor or an expression of tensors.
template <class E>
concept expression = std::derived_from<std::remove_cvref_t<E>, lazy_expression>;
/// The same with a given number of extents.
template <class E, int Rank>
concept expression_of_rank = expression<E> && std::remove_cvref_t<E>::rank == Rank;

/// Numbers in a backend's memory. The version counts writes, so that a tape can tell that a saved value was
/// overwritten.
template <class T, class Backend>
class buffer {
 public:
  /// Takes uninitialised memory for `size` numbers.
  buffer(Backend& backend, index_t size) : backend_(backend), size_(size), data_(backend.template allocate<T>(size)) {}
  ~buffer() { backend_.deallocate(data_, size_); }
  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;

  /// Where the numbers live.
  Backend& backend() const { return backend_; }
  /// How many there are.
  index_t size() const { return size_; }
  /// For reading.
  const T* data() const { return data_; }
  /// For writing: counts as a write.
  T* write() { return ++version_, data_; }
  /// Number of writes so far.
  std::uint64_t version() const { return version_; }

 private:
  Backend& backend_;
  index_t size_;
  T* data_;
  std::uint64_t version_ = 0;
};

/// Where the adjoints of one buffer arrive. Memory is taken at the first of them, which is stored; later ones are
/// added.
template <class T, class Backend>
struct adjoint_sink {
  Backend& backend;                              ///< where the adjoints live
  index_t size;                                  ///< numbers in the buffer that they belong to
  bool holds_sum = false;                        ///< whether anything has arrived since the last clearing
  std::shared_ptr<buffer<T, Backend>> sum = {};  ///< what has arrived
};

/// Shared handle to contiguous row-major numbers. Copies, slices and reshaped handles share the numbers *and* their
/// adjoint, so none of them needs an entry on a tape. Constness is that of the handle, not of the numbers.
template <class T, int Rank, class Backend>
class tensor : public lazy_expression {
 public:
  using value_type = T;
  using backend_type = Backend;  ///< where the numbers live
  static constexpr int rank = Rank;

  /// Refers to nothing.
  tensor() = default;
  /// Uninitialised numbers of the given extents.
  /// @throws shape_error if an extent is negative, @throws device_error if there is no memory
  tensor(Backend& backend, const extents<Rank>& shape) : shape_(shape) {
    for (index_t n : shape)
      if (n < 0) throw shape_error("tensor: negative extent in " + to_text(shape));
    values_ = std::make_shared<buffer<T, Backend>>(backend, element_count(shape));
  }

  /// Whether it refers to anything.
  explicit operator bool() const { return values_ != nullptr; }
  /// Extents, outermost first.
  const extents<Rank>& shape() const { return shape_; }
  /// One extent.
  index_t size(int axis) const { return shape_[axis]; }
  /// Number of elements.
  index_t size() const { return element_count(shape_); }
  /// The machine that holds it.
  Backend& backend() const { return values_ ? values_->backend() : sink_->backend; }
  /// The numbers; null where a tape has dropped them because no gradient reads them.
  const T* data() const { return values_ ? values_->data() + offset_ : nullptr; }
  /// The numbers, for writing; a tape that has saved them will refuse to use them.
  T* write() const { return values_->write() + offset_; }
  /// Number of writes so far, to compare with an earlier one.
  std::uint64_t version() const { return values_ ? values_->version() : 0; }

  /// Rows [from, to) of the outermost extent.
  /// @throws shape_error if they are not there
  tensor slice(index_t from, index_t to) const requires(Rank >= 1) {
    if (from < 0 || to < from || to > shape_[0])
      throw shape_error("slice: rows " + std::to_string(from) + " to " + std::to_string(to) + " of " + to_text(shape_));
    tensor part = *this;
    part.offset_ += shape_[0] ? from * (size() / shape_[0]) : 0;
    part.shape_[0] = to - from;
    return part;
  }
  /// The same numbers with other extents.
  /// @throws shape_error if the number of elements differs
  template <std::size_t NewRank>
  tensor<T, int(NewRank), Backend> reshape(const std::array<index_t, NewRank>& shape) const {
    if (element_count(shape) != size())
      throw shape_error("reshape: " + to_text(shape_) + " has not as many elements as " + to_text(shape));
    tensor<T, int(NewRank), Backend> other;
    other.shape_ = shape, other.values_ = values_, other.sink_ = sink_, other.offset_ = offset_;
    return other;
  }
  /// All numbers in one row.
  tensor<T, 1, Backend> flat() const { return reshape(extents<1>{size()}); }

  /// Asks for a gradient: adjoints will be collected from now on. Handles copied earlier do not see it.
  void track() {
    using sink = adjoint_sink<T, Backend>;
    sink_ = std::make_shared<sink>(sink{values_->backend(), values_->size()});
  }
  /// Whether adjoints are collected.
  bool tracked() const { return sink_ != nullptr; }
  /// The same numbers as a constant.
  tensor detached() const {
    tensor constant = *this;
    constant.sink_ = nullptr;
    return constant;
  }
  /// Whether an adjoint has arrived since the last clearing.
  bool has_gradient() const { return sink_ && sink_->holds_sum; }
  /// The adjoints that have arrived; refers to nothing if there are none.
  tensor gradient() const {
    tensor sum;
    if (!has_gradient()) return sum;
    sum.shape_ = shape_, sum.values_ = sink_->sum, sum.offset_ = offset_;
    return sum;
  }
  /// Forgets the adjoints at no cost: the next one is stored, not added.
  void clear_gradient() const {
    if (sink_) sink_->holds_sum = false;
  }

  /// Memory for an adjoint, and whether it must be added to what is there; null for a constant.
  std::pair<T*, bool> adjoint() const {
    if (!sink_) return {nullptr, false};
    if (!sink_->sum) sink_->sum = std::make_shared<buffer<T, Backend>>(sink_->backend, sink_->size);
    if (!sink_->holds_sum && size() != sink_->size) {  // a slice: the rest of the sum starts at zero
      sink_->backend.zero(sink_->sum->write(), sink_->size);
      sink_->holds_sum = true;
    }
    return {sink_->sum->write() + offset_, std::exchange(sink_->holds_sum, true)};
  }

  /// Visits every tensor below; the flag tells whether its extents take part in the statement's.
  template <class Visitor>
  void visit(Visitor visitor) const {
    visitor(*this, std::true_type{});
  }
  /// What stands in a fused loop for it: itself.
  template <class Context>
  tensor materialize_operand(Context&) const {
    return *this;
  }
  /// What a tape entry holds on to: the numbers only where some gradient reads them.
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

/// Copies numbers from the host into a tensor.
/// @throws shape_error if there are not as many
template <class T, int Rank, class Backend>
void upload(const tensor<T, Rank, Backend>& x, std::span<const std::type_identity_t<T>> values) {
  if (index_t(values.size()) != x.size())
    throw shape_error("upload: " + std::to_string(values.size()) + " numbers for " + to_text(x.shape()));
  x.backend().upload(x.write(), values.data(), x.size());
}

/// A new tensor with the given numbers of the host.
/// @throws shape_error if there are not as many as the extents say
template <class T, std::size_t Rank, class Backend>
tensor<T, int(Rank), Backend> from_host(Backend& backend, const std::array<index_t, Rank>& shape,
                                        const std::vector<T>& values) {
  tensor<T, int(Rank), Backend> x(backend, shape);
  upload(x, values);
  return x;
}

/// The numbers of a tensor, on the host.
template <class T, int Rank, class Backend>
std::vector<T> to_host(const tensor<T, Rank, Backend>& x) {
  std::vector<T> values(x.size());
  if (x.size()) x.backend().download(values.data(), x.data(), x.size());
  return values;
}

/// The same numbers in another backend's memory, by way of the host.
template <class To, class T, int Rank, class From>
tensor<T, Rank, To> copy_to(To& backend, const tensor<T, Rank, From>& x) {
  return from_host(backend, x.shape(), to_host(x));
}

}  // namespace iapt
