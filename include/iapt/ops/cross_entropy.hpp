// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of rows of logits.  Shapes: M rows, V tokens in the vocabulary.
#pragma once
#include <cmath>

#include "iapt/ops/gather.hpp"
#include "iapt/ops/reduce.hpp"

namespace iapt {

/// Team kernel: y = log Σ exp(logits) − logits[target].
template <class T>
struct cross_entropy_row {
  using value_type = T;
  const T* logits;              ///< (M, V)
  const std::int32_t* targets;  ///< (M)
  compute_type<T>* y;           ///< losses (M)
  compute_type<T>* log_sum;     ///< log Σ exp of the rows (M)
  index_t columns;              ///< V
  /// Computes row r.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t r) const {
    const row<const T> x{logits + r * columns};
    const auto top = team.max(columns, lowest<compute_type<T>>, [&](auto j) { return x[j]; });
    const auto s = team.sum(columns, [&](auto j) {
      using std::exp;
      return exp(x[j] - top);
    });
    team.single([&] {
      log_sum[r] = top + std::log(s);
      y[r] = log_sum[r] - x.p[targets[r]];
    });
  }
};
/// Team kernel: dlogits (+)= dy · (softmax(logits) − onehot(target)).
template <class T>
struct cross_entropy_adjoint {
  using value_type = T;
  const T* logits;                 ///< (M, V)
  const std::int32_t* targets;     ///< (M)
  const compute_type<T>* dy;       ///< adjoint of the losses (M)
  const compute_type<T>* log_sum;  ///< log Σ exp of the rows (M)
  T* dx;                           ///< (M, V)
  index_t columns;                 ///< V
  bool accumulates;                ///< whether dx is added to what is there
  /// Computes row r.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t r) const {
    const row<const T> x{logits + r * columns};
    const row<T> d{dx + r * columns};
    team.for_each(columns, [&](auto j) {
      using std::exp;
      const auto v = exp(x[j] - log_sum[r]) * dy[r];
      d[j] = accumulates ? v + d(j) : v;
    });
    team.single([&] {  // rounded once if not accumulated: late in training, the two terms are almost equal
      T& target = d.p[targets[r]];
      target = accumulates ? target - dy[r] : (std::exp(x.p[targets[r]] - log_sum[r]) - 1) * dy[r];
    });
  }
};

/// y_i = −log softmax(logits_i)[target_i], in nats.
/// @par Gradient dlogits_i = dy_i · (softmax(logits_i) − onehot(target_i))
template <class Backend>
struct cross_entropy_op {
  static constexpr auto name = "cross_entropy";
  static constexpr int rank = 1;
  template <class T>
  using result_type = compute_type<T>;  ///< losses are not rounded to the type of logits
  row_indices<Backend> targets;         ///< (M)
  std::shared_ptr<void> saved = {};     ///< log Σ exp of the rows, saved for backward

  /// (M, V) -> (M)
  template <class X>
  extents<1> shape(const X& logits) const {
    if (logits.size(0) != index_t(targets.host.size()))
      throw shape_error("cross_entropy: logits of " + to_text(logits.shape()) + " for " +
                        std::to_string(targets.host.size()) + " targets");
    for (std::int32_t t : targets.host)
      if (t < 0 || t >= logits.size(1))
        throw shape_error("cross_entropy: target " + std::to_string(t) + " with logits of " + to_text(logits.shape()));
    return extents<1>{logits.size(0)};
  }
  /// Computes y.
  template <class Y, class X>
  void forward(Backend& b, const Y& y, const X& logits) {
    using T = typename X::value_type;
    auto log_sum = std::make_shared<buffer<compute_type<T>, Backend>>(b, y.size());
    b.for_each_team(
        y.size(), logits.size(1),
        cross_entropy_row<T>{logits.data(), targets.device.data(), y.write(), log_sum->write(), logits.size(1)});
    saved = log_sum;
  }
  /// Computes dlogits.
  template <class Y, class X>
  void backward(Backend& b, const Y& y, const X& logits) const {
    using T = typename X::value_type;
    const auto log_sum = std::static_pointer_cast<buffer<compute_type<T>, Backend>>(saved);
    if (const auto [dx, accumulates] = logits.adjoint(); dx)
      b.for_each_team(y.size(), logits.size(1),
                      cross_entropy_adjoint<T>{logits.data(), targets.device.data(), y.gradient().data(),
                                               log_sum->data(), dx, logits.size(1), accumulates});
  }
};

/// logits (M, V) and M targets -> (M): −log probability of each row's target, in nats.
/// @throws shape_error (when evaluated) if a target is not in the vocabulary, or the number of targets is not M
template <class Backend, expression_of_rank<2> X>
auto token_losses(const X& logits, row_indices<Backend> targets) {
  return operate(cross_entropy_op<Backend>{std::move(targets)}, logits);
}
/// logits (M, V) and M targets -> scalar: Σ of the rows' losses / count, in nats. `count` is M by default; for gradient
/// accumulation, it is the number of tokens of all micro-batches. With a given count, the result for no rows is 0.
/// @throws shape_error if there are no rows and no count, or the count is negative; (when evaluated) if a target is
///         not in the vocabulary, or the number of targets is not M
template <class Backend, expression_of_rank<2> X>
auto cross_entropy(const X& logits, row_indices<Backend> targets, index_t count = 0) {
  if (count < 0) throw shape_error("cross_entropy: " + std::to_string(count) + " rows to divide by");
  if (count == 0) count = index_t(targets.host.size());
  if (count == 0)
    throw shape_error("cross_entropy: the mean over no rows is not defined; give the number of rows to divide by");
  const double scale = 1.0 / double(count);
  return sum(token_losses(logits, std::move(targets))) * scale;
}

}  // namespace iapt
