// SPDX-License-Identifier: Apache-2.0
// Expressions in the form that loops evaluate: raw pointers and, for each vec of columns, a few registers. A loop calls
// open() for a vec of columns, then eval() and pull() for each row, then close().
#pragma once
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Registers of an operand whose adjoint is no sum over rows.
struct sums_nothing {
  /// Does nothing: there is no sum.
  IAPT_DEVICE void open() {}
  /// Does nothing: there is no sum.
  template <class... A>
  IAPT_DEVICE void close(A...) const {}
};

/// An operand of the statement's own extents. Read is whether its value is read.
template <class T, bool Read>
struct whole_operand {
  row<const T> x;    ///< values
  row<T> dx;         ///< where the adjoints are written, or null
  bool accumulates;  ///< whether the adjoints are added to what is there
  /// Registers of one vec of columns.
  template <class V>
  struct registers : sums_nothing {
    V y;  ///< the value
    /// Reads the value of element i.
    IAPT_DEVICE void eval(const whole_operand& o, vec_index<V> i, vec_index<V>) {
      if constexpr (Read)
        y = o.x[i];
      else
        y = V(0);
    }
    /// Delivers the adjoint of element i.
    IAPT_DEVICE void pull(const whole_operand& o, vec_index<V> i, V d) {
      if (o.dx.p) o.dx[i] = o.accumulates ? d + o.dx[i] : d;
    }
  };
};

/// An operand of lower rank, repeated over the leading extents; its adjoint is a sum over rows.
template <class T, bool Read>
struct spread_operand {
  row<const T> x;                ///< values
  row<compute_type<T>> partial;  ///< one row of partial sums for each chunk of rows, or null
  /// Registers of one vec of columns.
  template <class V>
  struct registers {
    V y;    ///< the value
    V sum;  ///< sum of the adjoints in this chunk
    /// Starts a chunk of rows: clears the sum.
    IAPT_DEVICE void open() { sum = V(0); }
    /// Reads the value of column j.
    IAPT_DEVICE void eval(const spread_operand& o, vec_index<V>, vec_index<V> j) {
      if constexpr (Read)
        y = o.x[j];
      else
        y = V(0);
    }
    /// Adds an adjoint to the chunk's sum.
    IAPT_DEVICE void pull(const spread_operand& o, vec_index<V>, V d) {
      if (o.partial.p) sum = sum + d;
    }
    /// Writes the chunk's sum.
    IAPT_DEVICE void close(const spread_operand& o, index_t chunk, index_t columns, vec_index<V> j) const {
      if (o.partial.p) o.partial[vec_index<V>{chunk * columns + j.at}] = sum;
    }
  };
};

/// K coefficients that every element uses; their adjoints are sums over all elements.
template <class T, int K>
struct table_operand {
  row<const T> x;                ///< the coefficients
  row<compute_type<T>> partial;  ///< K rows of partial sums for each chunk of rows, or null
  /// Coefficient k.
  IAPT_DEVICE compute_type<T> operator[](int k) const { return x.p[k]; }
  /// Registers of one vec of columns.
  template <class V>
  struct registers {
    table_operand y;  ///< the table itself
    V sum[K];         ///< sums of the adjoints in this chunk
    /// Starts a chunk of rows: clears the sums.
    IAPT_DEVICE void open() {
      for (int k = 0; k < K; ++k) sum[k] = V(0);
    }
    /// Copies the table's pointers.
    IAPT_DEVICE void eval(const table_operand& o, vec_index<V>, vec_index<V>) { y = o; }
    /// Adds adjoints to the chunk's sums.
    IAPT_DEVICE void pull(const table_operand& o, vec_index<V>, const coefficient_adjoints<V, K>& d) {
      if (o.partial.p)
        for (int k = 0; k < K; ++k) sum[k] = sum[k] + d.d[k];
    }
    /// Writes the chunk's sums.
    IAPT_DEVICE void close(const table_operand& o, index_t chunk, index_t columns, vec_index<V> j) const {
      if (o.partial.p)
        for (int k = 0; k < K; ++k) o.partial[vec_index<V>{(chunk * K + k) * columns + j.at}] = sum[k];
    }
  };
};

/// A constant.
template <class T>
struct constant_operand {
  T c;  ///< its value
  /// Registers of one vec of columns.
  template <class V>
  struct registers : sums_nothing {
    V y;  ///< the value in every element
    /// Broadcasts the value.
    IAPT_DEVICE void eval(const constant_operand& o, vec_index<V>, vec_index<V>) { y = V(o.c); }
    /// Does nothing: a constant has no adjoint.
    IAPT_DEVICE void pull(const constant_operand&, vec_index<V>, V) {}
  };
};

/// An elementwise operation on operands.
template <class Op, class... Operands>
struct applied_operation {
  list<Operands...> in;  ///< the operands
  bool tracked;          ///< whether any operand is tracked
  /// Registers of one vec of columns.
  template <class V>
  struct registers {
    using all = std::index_sequence_for<Operands...>;      ///< indices of the operands
    V y;                                                   ///< the result
    list<typename Operands::template registers<V>...> in;  ///< registers of the operands
    /// Starts a chunk of rows.
    IAPT_DEVICE void open() { open(all{}); }
    /// Computes the result for element i in column j.
    IAPT_DEVICE void eval(const applied_operation& o, vec_index<V> i, vec_index<V> j) { eval(o, i, j, all{}); }
    /// Delivers the operands' adjoints, given the adjoint of the result.
    IAPT_DEVICE void pull(const applied_operation& o, vec_index<V> i, V dy) {
      if (o.tracked) pull(o, i, dy, all{});
    }
    /// Ends a chunk of rows: writes the sums.
    IAPT_DEVICE void close(const applied_operation& o, index_t chunk, index_t columns, vec_index<V> j) const {
      close(o, chunk, columns, j, all{});
    }

   private:
    template <std::size_t... I>
    IAPT_DEVICE void open(std::index_sequence<I...>) {
      (at<I>(in).open(), ...);
    }
    template <std::size_t... I>
    IAPT_DEVICE void eval(const applied_operation& o, vec_index<V> i, vec_index<V> j, std::index_sequence<I...>) {
      (at<I>(in).eval(at<I>(o.in), i, j), ...);
      y = Op::forward(at<I>(in).y...);
    }
    template <std::size_t... I>
    IAPT_DEVICE void pull(const applied_operation& o, vec_index<V> i, V dy, std::index_sequence<I...>) {
      auto d = Op::backward(dy, at<I>(in).y..., y);
      (at<I>(in).pull(at<I>(o.in), i, at<I>(d)), ...);
    }
    template <std::size_t... I>
    IAPT_DEVICE void close(const applied_operation& o, index_t c, index_t n, vec_index<V> j,
                           std::index_sequence<I...>) const {
      (at<I>(in).close(at<I>(o.in), c, n, j), ...);
    }
  };
};

}  // namespace iapt
