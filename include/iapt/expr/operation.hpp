// SPDX-License-Identifier: Apache-2.0
// Structured operations: statements that are not elementwise (products, row operations, attention).
#pragma once
#include <array>
#include <concepts>
#include <string>
#include <type_traits>
#include <utility>

#include "iapt/core/tensor.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Whether an operation says which operands its backward reads.
template <class Op, class... A>
concept reads_some = requires(const Op& op, const A&... a) {
  op.reads(a...);
};

/// Whether an operation computes two results in one go; one that holds something would not know of the other's.
template <class Op, class Backend, class Y, class... A>
concept computes_both = std::is_empty_v<Op> && requires(const Op& op, Backend& backend, const Y& y, const A&... a) {
  op.forward_both(backend, y, a..., y, a...);
};

/// Type of the result's numbers: the operands' own, unless the operation names another.
template <class Op, class T>
struct result_of {
  using type = T;  ///< the operands'
};
/// What the operation says.
template <class Op, class T>
requires requires { typename Op::template result_type<T>; }
struct result_of<Op, T> {
  using type = typename Op::template result_type<T>;  ///< the operation's
};

/// One structured operation on operands. Op says what is computed:
///   - `name`, for messages, and `rank` of the result;
///   - `shape(x...)`, the extents of the result; throws shape_error if those of the operands do not fit;
///   - `forward(backend, y, x...)`, which may keep in Op what the backward needs;
///   - if two can be computed in one go, and Op holds nothing: `forward_both(backend, y, x..., z, w...)`, for a context
///     that gets both at once;
///   - `backward(backend, y, x...)`, which finds dy in `y.gradient()` and delivers to `x.adjoint()`;
///   - if y itself is read by the backward: `static constexpr bool reads_result = true`;
///   - if not every operand is: `reads(x...)`, one bool each;
///   - if the result's numbers are of another type than the operands': `result_type<T>`.
template <class Op, class... A>
struct operation : lazy_expression {
  using operand_type = std::common_type_t<typename std::remove_cvref_t<A>::value_type...>;  ///< of an operand's number
  using value_type = typename result_of<Op, operand_type>::type;                            ///< of a result's number
  static constexpr int rank = Op::rank;
  static constexpr auto name = Op::name;
  static constexpr bool reads_result = requires { Op::reads_result; };  ///< whether backward reads y
  Op op;                                                                ///< what is computed
  list<A...> in;                                                        ///< the operands
  static_assert((std::same_as<typename std::remove_cvref_t<A>::value_type, operand_type> && ...),
                "iapt: the operands of one statement differ in their type of number (float, double)");

  /// Computes nothing.
  explicit operation(Op op, A... a) : op(std::move(op)), in{{std::move(a)}...} {}
  /// Visits every tensor below.
  template <class Visitor>
  void visit(Visitor visitor) const {
    in.apply([&](const auto&... a) { (a.visit(visitor), ...); });
  }
  /// The same operation on evaluated operands.
  template <class Context>
  auto materialize(Context& ctx) const {
    return in.apply([&](const auto&... a) { return operation<Op, decltype(ctx(a))...>{op, ctx(a)...}; });
  }
  /// Inside another statement it becomes one of its own first.
  template <class Context>
  auto materialize_operand(Context& ctx) const {
    return ctx(*this);
  }
  /// The same without the values that no gradient reads.
  operation saved_for_backward() const {
    std::array<bool, sizeof...(A)> read;
    if constexpr (reads_some<Op, A...>)
      read = in.apply([&](const auto&... a) { return op.reads(a...); });
    else
      read.fill(true);
    return saved_for_backward(read, std::index_sequence_for<A...>{});
  }
  /// Extents of the result.
  /// @throws shape_error if those of the operands do not fit
  extents<rank> shape() const {
    return in.apply([&](const auto&... a) { return op.shape(a...); });
  }
  /// Computes the result into y.
  template <class Backend, class Y>
  void forward(Backend& backend, const Y& y) {
    in.apply([&](const auto&... a) { op.forward(backend, y, a...); });
  }
  /// Computes its result and another's in one go, where the operation can: `forward_both(backend, y, x..., z, w...)`.
  template <class Backend, class Y>
  requires computes_both<Op, Backend, Y, A...>
  void forward(Backend& backend, const Y& y, operation& other, const Y& z) {
    in.apply([&](const auto&... a) {
      other.in.apply([&](const auto&... b) { op.forward_both(backend, y, a..., z, b...); });
    });
  }
  /// Delivers the operands' adjoints.
  template <class Backend, class Y>
  void backward(Backend& backend, const Y& y) const {
    in.apply([&](const auto&... a) { op.backward(backend, y, a...); });
  }

 private:
  template <std::size_t... I>
  operation saved_for_backward(const std::array<bool, sizeof...(A)>& read, std::index_sequence<I...>) const {
    return operation{op, at<I>(in).saved_for_backward(read[I])...};
  }
};

/// The structured operation `op` on expressions.
template <class Op, expression... X>
auto operate(Op op, const X&... x) {
  return operation<Op, X...>{std::move(op), x...};
}

}  // namespace iapt
