// SPDX-License-Identifier: Apache-2.0
// Structured operations: statements that are not elementwise (matmuls, row operations, attention).
#pragma once
#include <array>
#include <concepts>
#include <string>
#include <type_traits>
#include <utility>

#include "iapt/core/tensor.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Whether an operation declares which operands its backward reads.
template <class Op, class... A>
concept reads_some = requires(const Op& op, const A&... a) {
  op.reads(a...);
};

/// Whether an operation computes two results in one call. It must be stateless: the call reaches only one state.
template <class Op, class Backend, class Y, class... A>
concept computes_both = std::is_empty_v<Op> && requires(const Op& op, Backend& backend, const Y& y, const A&... a) {
  op.forward_both(backend, y, a..., y, a...);
};

/// Element type of the result: that of the operands, unless the operation names another.
template <class Op, class T>
struct result_of {
  using type = T;  ///< element type of the operands
};
/// The element type that the operation names.
template <class Op, class T>
requires requires { typename Op::template result_type<T>; }
struct result_of<Op, T> {
  using type = typename Op::template result_type<T>;  ///< the operation's result type
};

/// One structured operation on operands. Op defines the computation:
///   - `name`, for messages, and `rank` of the result;
///   - `shape(x...)`, the extents of the result; throws shape_error if the extents of the operands do not fit;
///   - `forward(backend, y, x...)`, which may store in Op what the backward reads;
///   - optional, if Op has no state: `forward_both(backend, y, x..., z, w...)`, which computes two results in one call,
///     for a context that evaluates two statements together;
///   - `backward(backend, y, x...)`, which reads dy from `y.gradient()` and writes to `x.adjoint()`;
///   - optional, if the backward reads y: `static constexpr bool reads_result = true`;
///   - optional, if the backward does not read every operand: `reads(x...)`, one bool for each operand;
///   - optional, if the result's element type is not that of the operands: `result_type<T>`.
template <class Op, class... A>
struct operation : lazy_expression {
  using operand_type = std::common_type_t<typename std::remove_cvref_t<A>::value_type...>;  ///< operands' element type
  using value_type = typename result_of<Op, operand_type>::type;
  static constexpr int rank = Op::rank;
  static constexpr auto name = Op::name;
  static constexpr bool reads_result = requires { Op::reads_result; };  ///< whether the backward reads y
  Op op;                                                                ///< the computation
  list<A...> in;                                                        ///< the operands
  static_assert((std::same_as<typename std::remove_cvref_t<A>::value_type, operand_type> && ...),
                "iapt: the operands of one statement differ in their type of number (float, double)");

  /// Stores the operands; computes nothing.
  explicit operation(Op op, A... a) : op(std::move(op)), in{{std::move(a)}...} {}
  /// Visits every tensor of the operands.
  template <class Visitor>
  void visit(Visitor visitor) const {
    in.apply([&](const auto&... a) { (a.visit(visitor), ...); });
  }
  /// The same operation on evaluated operands.
  template <class Context>
  auto materialize(Context& ctx) const {
    return in.apply([&](const auto&... a) { return operation<Op, decltype(ctx(a))...>{op, ctx(a)...}; });
  }
  /// As an operand of another statement, it is evaluated first, as a statement of its own.
  template <class Context>
  auto materialize_operand(Context& ctx) const {
    return ctx(*this);
  }
  /// The same operation without the values that no gradient reads.
  operation saved_for_backward() const {
    std::array<bool, sizeof...(A)> read;
    if constexpr (reads_some<Op, A...>)
      read = in.apply([&](const auto&... a) { return op.reads(a...); });
    else
      read.fill(true);
    return saved_for_backward(read, std::index_sequence_for<A...>{});
  }
  /// Extents of the result.
  /// @throws shape_error if the extents of the operands do not fit
  extents<rank> shape() const {
    return in.apply([&](const auto&... a) { return op.shape(a...); });
  }
  /// Computes the result into y.
  template <class Backend, class Y>
  void forward(Backend& backend, const Y& y) {
    in.apply([&](const auto&... a) { op.forward(backend, y, a...); });
  }
  /// Computes its own and another's result in one call, if the operation has forward_both().
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
