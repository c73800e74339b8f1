// SPDX-License-Identifier: Apache-2.0
// Elementwise expressions: lazy trees of operations on tensors. One loop evaluates a tree, one loop differentiates it.
#pragma once
#include <algorithm>
#include <concepts>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "iapt/core/tensor.hpp"
#include "iapt/expr/loops.hpp"

namespace iapt {

/// A constant in an expression.
template <class T>
struct constant : lazy_expression {
  using value_type = T;
  static constexpr int rank = 0;
  compute_type<T> c;  ///< the value
  /// Wraps a value.
  explicit constant(compute_type<T> c) : c(c) {}
  /// Visits nothing: there is no tensor.
  template <class Visitor>
  void visit(Visitor) const {}
  /// The constant itself.
  template <class Context>
  constant materialize_operand(Context&) const {
    return *this;
  }
  /// The constant itself.
  constant saved_for_backward(bool) const { return *this; }
};

/// A tensor of K coefficients, a table that every element of the result reads as a whole.
template <int K, class X>
struct coefficients : lazy_expression {
  using value_type = typename X::value_type;
  static constexpr int rank = 0;
  X x;  ///< the coefficients (K)
  /// Uses a tensor as a table.
  /// @throws shape_error if it does not have K elements
  explicit coefficients(X table) : x(std::move(table)) {
    if (x.size() != K)
      throw shape_error("coefficients: expected " + std::to_string(K) + ", found " + to_text(x.shape()));
  }
  /// Visits the table; its extents need not fit the statement's.
  template <class Visitor>
  void visit(Visitor visitor) const {
    visitor(x, std::false_type{});
  }
  /// The table itself.
  template <class Context>
  coefficients materialize_operand(Context&) const {
    return *this;
  }
  /// The table itself: the gradient reads it.
  coefficients saved_for_backward(bool) const { return *this; }
};

/// Whether any tensor of an expression is tracked.
template <class E>
bool any_tracked(const E& e) {
  bool tracked = false;
  e.visit([&](const auto& x, auto) { tracked |= x.tracked(); });
  return tracked;
}

// Lowering: R is the statement's rank. Read is whether a value is read. `sums` is null for the forward loop.
/// Lowers a tensor to an operand of a loop.
template <int R, bool Read, class T, int Rank, class Backend, class Sums>
auto lower(const tensor<T, Rank, Backend>& x, Sums* sums) {
  if constexpr (Rank < R) {
    return spread_operand<T, Read>{{x.data()}, sums ? sums->partial_for(x) : row<compute_type<T>>{}};
  } else {
    const auto [dx, accumulates] = sums ? sums->whole_for(x) : std::pair<T*, bool>{};
    return whole_operand<T, Read>{{x.data()}, {dx}, accumulates};
  }
}
/// Lowers a table to an operand of a loop.
template <int R, bool Read, int K, class X, class Sums>
auto lower(const coefficients<K, X>& c, Sums* sums) {
  using T = typename X::value_type;
  return table_operand<T, K>{{c.x.data()}, sums ? sums->partial_for(c.x, K) : row<compute_type<T>>{}};
}
/// Lowers a constant to an operand of a loop.
template <int R, bool Read, class T, class Sums>
auto lower(const constant<T>& c, Sums*) {
  return constant_operand<compute_type<T>>{c.c};
}

/// An elementwise operation on expressions. Op has a name, and two functions of elements or vecs: forward(x...), and
/// backward(dy, x..., y), which returns adjoints(dx...). `static constexpr bool linear = true` if backward reads no
/// value.
template <class Op, class... A>
struct fused : lazy_expression {
  using value_type = std::common_type_t<typename A::value_type...>;
  static constexpr int rank = std::max({A::rank...});
  static constexpr auto name = Op::name;
  static constexpr bool reads_result = false;  ///< the backward loop computes the result again
  list<A...> in;                               ///< the operands
  static_assert((std::same_as<typename A::value_type, value_type> && ...),
                "iapt: the operands of one statement differ in their type of number (float, double)");

  /// Stores the operands; computes nothing.
  explicit fused(A... a) : in{{std::move(a)}...} {}
  /// Visits every tensor of the expression.
  template <class Visitor>
  void visit(Visitor visitor) const {
    in.apply([&](const auto&... a) { (a.visit(visitor), ...); });
  }
  /// The same expression, but operands that are statements of their own (structured operations) are evaluated.
  template <class Context>
  auto materialize(Context& ctx) const {
    return in.apply([&](const auto&... a) {
      return fused<Op, decltype(a.materialize_operand(ctx))...>{a.materialize_operand(ctx)...};
    });
  }
  /// As an operand of another elementwise operation, it stays in the same loop.
  template <class Context>
  auto materialize_operand(Context& ctx) const {
    return materialize(ctx);
  }
  /// The same expression without the values that no gradient reads.
  fused saved_for_backward(bool read = false) const {
    return in.apply([&](const auto&... a) { return fused{a.saved_for_backward(read || !linear())...}; });
  }
  /// Extents of the result.
  /// @throws shape_error if the extents of the operands differ
  extents<rank> shape() const {
    extents<rank> n{};
    visit([&](const auto& x, auto fits) {
      if constexpr (fits && std::remove_cvref_t<decltype(x)>::rank == rank) n = x.shape();
    });
    index_t spread = -1;
    visit([&](const auto& x, auto fits) {
      if (!fits) return;
      const auto& m = x.shape();
      constexpr bool repeated = std::remove_cvref_t<decltype(x)>::rank < rank;
      if (!std::equal(m.rbegin(), m.rend(), n.rbegin()) || (repeated && spread >= 0 && spread != x.size()))
        throw shape_error(std::string(name) + ": extents differ: " + to_text(m) + " in a statement of " + to_text(n));
      if (repeated) spread = x.size();
    });
    return n;
  }
  /// Computes the result into y.
  template <class Backend, class Y>
  void forward(Backend& backend, const Y& y) const {
    const auto [rows, columns] = loop_shape(backend, false);
    using sums = row_sums<value_type, Backend>;
    const auto e = lower<rank, true>(*this, static_cast<sums*>(nullptr));
    backend.for_each(rows, columns, forward_loop<decltype(e), value_type>{e, {y.write()}, columns});
  }
  /// Delivers the adjoints of all operands in one loop.
  template <class Backend, class Y>
  void backward(Backend& backend, const Y& y) const {
    const auto [rows, columns] = loop_shape(backend, true);
    row_sums<value_type, Backend> sums(backend, rows, columns);
    const auto e = lower<rank, false>(*this, &sums);
    const index_t chunk = sums.empty() ? 1 : chunk_rows;
    backend.for_each((rows + chunk - 1) / chunk, columns,
                     backward_loop<decltype(e), value_type>{e, {y.gradient().data()}, rows, columns, chunk});
    sums.finish();
  }
  /// Whether the backward of Op reads no value.
  static constexpr bool linear() {
    return requires { Op::linear; };
  }

 private:
  // Rows and columns of the loop. It has one row unless an operand is repeated over rows, the adjoint of a table is a
  // sum over rows, or the backend loops by rows.
  template <class Backend>
  std::pair<index_t, index_t> loop_shape(const Backend& backend, bool backward) const {
    const auto n = shape();
    const index_t size = element_count(n);
    index_t columns = size, repeated = -1;
    if constexpr (rank > 0 && requires { backend.template loops_by_rows<value_type>(size); })
      if (backend.template loops_by_rows<value_type>(n.back())) columns = n.back();
    visit([&](const auto& x, auto fits) {
      if (fits && std::remove_cvref_t<decltype(x)>::rank < rank) repeated = x.size();
      if constexpr (!fits && rank > 0)
        if (backward && x.tracked()) columns = n.back();
    });
    if (repeated >= 0) columns = repeated;  // also without rows: the sum over them is zero
    return {columns ? size / columns : 0, columns};
  }
};
/// Lowers an operation. Braces lower the operands from left to right, the order in which the loop delivers adjoints.
template <int R, bool Read, class Op, class... A, class Sums>
auto lower(const fused<Op, A...>& e, Sums* sums) {
  constexpr bool read = Read || !fused<Op, A...>::linear();
  return e.in.apply([&](const auto&... a) {
    return applied_operation<Op, decltype(lower<R, read>(a, sums))...>{{{lower<R, read>(a, sums)}...}, any_tracked(e)};
  });
}

/// Value type of the first expression among the operands.
template <class X, class... Rest>
auto value_type_among() {
  if constexpr (expression<X>)
    return std::type_identity<typename X::value_type>{};
  else
    return value_type_among<Rest...>();
}
/// An operand as an expression: itself, or a scalar as a constant of type T.
template <class T, class X>
auto as_expression(const X& x) {
  if constexpr (expression<X>)
    return x;
  else
    return constant<T>(static_cast<compute_type<T>>(x));
}
/// The elementwise operation Op on expressions and scalars; at least one operand is an expression.
template <class Op, class... X>
requires(expression<X> || ...) auto fuse(const X&... x) {
  using T = typename decltype(value_type_among<X...>())::type;
  return fused<Op, decltype(as_expression<T>(x))...>(as_expression<T>(x)...);
}

/// A function object for an elementwise operation: `inline constexpr elementwise<silu_fn> silu;`.
template <class Op>
struct elementwise {
  /// Returns a lazy expression: y = Op(x...) for each element.
  template <class... X>
  requires(expression<X> || ...) constexpr auto operator()(const X&... x) const { return fuse<Op>(x...); }
};

}  // namespace iapt
