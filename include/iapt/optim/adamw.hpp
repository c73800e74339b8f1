// SPDX-License-Identifier: Apache-2.0
// AdamW with gradient clipping, for two groups of parameters that each have settings of their own.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/tensor.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/optim/adamw_loops.hpp"

namespace iapt {

/// Settings that a parameter group may have of its own.
struct group_settings {
  double learning_rate = 1e-3;  ///< η, before the schedule's factor
  double weight_decay = 0;      ///< λ, decoupled: times the learning rate
  double clip_norm = 1;         ///< largest norm of the group's gradient, to which it is scaled down; 0: no limit
};

/// Settings of AdamW. The first three are those of the weights.
struct adamw_options {
  double learning_rate = 1e-3;                      ///< η, before the schedule's factor
  double weight_decay = 0;                          ///< λ, decoupled: times the learning rate
  double clip_norm = 1;                             ///< largest norm of the weights' gradient; 0: no limit
  std::optional<group_settings> coefficients = {};  ///< those of the coefficients; empty: as the weights
  double beta1 = 0.9;                               ///< decay of the running mean of the gradient
  double beta2 = 0.999;                             ///< decay of the running mean of its square
  double epsilon = 1e-8;                            ///< keeps the denominator above 0
};

/// One value for each parameter group.
template <class Number>
struct per_group {
  Number weights{};       ///< value of parameter_group::weights
  Number coefficients{};  ///< value of parameter_group::coefficients
  /// The value of a group.
  const Number& of(parameter_group group) const { return group == parameter_group::weights ? weights : coefficients; }
  /// The value of a group, to change it.
  Number& of(parameter_group group) { return group == parameter_group::weights ? weights : coefficients; }
};

/// The optimizer state of one parameter, on the host.
template <class T>
struct adamw_moments {
  std::vector<T> first;    ///< running mean of the gradient
  std::vector<T> second;   ///< running mean of its square
  std::int64_t steps = 0;  ///< number of its updates
};

/// The optimizer. It changes parameters in place, through the handles in the list.
/// @par Source Loshchilov and Hutter 2019, "Decoupled weight decay regularization"
template <class T, class Backend>
class adamw {
 public:
  /// Factors of the learning rates for one step. A group without a factor is not updated, and its gradients are
  /// discarded.
  using factors = per_group<std::optional<double>>;

  /// Starts with running means of zero.
  /// @throws error for a setting that is out of its range
  explicit adamw(parameter_list<T, Backend> parameters, adamw_options options = {}) : options_(options) {
    const group_settings weights{options.learning_rate, options.weight_decay, options.clip_norm};
    settings_ = {weights, options.coefficients.value_or(weights)};
    check(settings_.weights), check(settings_.coefficients);
    if (!(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1 && options.epsilon > 0))
      throw error("adamw: betas must be in [0, 1) and epsilon above 0");
    for (auto& p : parameters) {
      Backend& backend = p.values.backend();
      slot one{std::move(p), tensor<T, 1, Backend>(backend, {p.values.size()}),
               tensor<T, 1, Backend>(backend, {p.values.size()}), 0};
      backend.zero(one.first.write(), one.first.size());
      backend.zero(one.second.write(), one.second.size());
      slots_.push_back(std::move(one));
    }
  }

  /// Updates all parameters that have a gradient, with both learning rates times `factor`, and clears the gradients.
  /// @return each group's gradient norm before clipping
  /// @throws numeric_error if a gradient is not finite, or so large after clipping that T cannot hold its square; then
  /// no parameter is changed, and the gradients are cleared
  per_group<double> step(double factor = 1) { return step(factors{factor, factor}); }

  /// The same with a factor for each group. A parameter without a gradient is skipped: its value, its running means and
  /// its number of updates stay, as in PyTorch.
  /// @return each group's gradient norm before clipping; 0 for a group without a factor
  /// @throws numeric_error if a gradient that would be used is not finite, or so large after clipping that T cannot
  /// hold its square; then no parameter is changed, and the gradients are cleared
  per_group<double> step(factors factor) {
    if (!measuring_) measure(factor);
    per_group<double> norms;
    try {
      norms = gradient_norms();
      require_squarable(norms.weights, settings_.weights);
      require_squarable(norms.coefficients, settings_.coefficients);
    } catch (const numeric_error&) {
      clear_gradients();
      throw;
    }
    update(factor, norms);
    clear_gradients();
    return norms;
  }
  /// Enqueues what step(factor) begins with, the sums of the squared gradients. A caller that waits for another result
  /// then waits for both at once. Gradients and factors must not change between the two calls.
  void measure(factors factor) {
    measuring_ = false;
    if (slots_.empty()) return;
    Backend& backend = slots_[0].first.backend();
    std::vector<adamw_piece<T>> pieces;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const slot& one = slots_[i];
      const auto& p = one.parameter.values;
      if (!factor.of(one.parameter.group) || !p.has_gradient()) continue;
      const T* const g = p.gradient().data();
      T *const m = one.first.write(), *const v = one.second.write(), *const values = p.write();
      for (index_t from = 0; from < p.size(); from += adamw_piece<T>::most)
        pieces.push_back(
            {g + from, m + from, v + from, values + from, std::min(p.size() - from, adamw_piece<T>::most), index_t(i)});
    }
    if (pieces != pieces_) {  // they rarely change from step to step
      const auto table = from_host(backend, extents<1>{index_t(pieces.size())}, pieces);
      const tensor<double, 1, Backend> sums(backend, {table.size()});
      pieces_ = std::move(pieces), table_ = table, sums_ = sums;
    }
    if (!pieces_.empty())
      backend.for_each_team(table_.size(), adamw_piece<T>::most, square_sum<T>{table_.data(), sums_.write()});
    measuring_ = true;
  }

  /// Discards all gradients.
  void clear_gradients() {
    measuring_ = false;
    for (const slot& one : slots_) one.parameter.values.clear_gradient();
  }

  /// The parameters, in order.
  parameter_list<T, Backend> parameters() const {
    parameter_list<T, Backend> list;
    for (const slot& one : slots_) list.push_back(one.parameter);
    return list;
  }
  /// The optimizer state of each parameter, in order. With the parameters it is all that a run needs to resume.
  std::vector<adamw_moments<T>> state() const {
    std::vector<adamw_moments<T>> all;
    for (const slot& one : slots_) all.push_back({to_host(one.first), to_host(one.second), one.steps});
    return all;
  }
  /// Restores a state.
  /// @throws shape_error if it belongs to other parameters; then nothing is changed
  void restore(const std::vector<adamw_moments<T>>& state) {
    bool fits = state.size() == slots_.size();
    for (std::size_t i = 0; fits && i < state.size(); ++i)
      fits =
          index_t(state[i].first.size()) == slots_[i].first.size() && state[i].second.size() == state[i].first.size();
    if (!fits) throw shape_error("adamw: the state to restore belongs to other parameters");
    for (std::size_t i = 0; i < state.size(); ++i) {
      upload(slots_[i].first, state[i].first);
      upload(slots_[i].second, state[i].second);
      slots_[i].steps = state[i].steps;
    }
  }

 private:
  struct slot {
    named_parameter<T, Backend> parameter;
    tensor<T, 1, Backend> first, second;
    std::int64_t steps;
  };

  static void check(const group_settings& s) {
    constexpr double most = std::numeric_limits<double>::max();
    if (!(s.learning_rate >= 0 && s.learning_rate <= most && s.weight_decay >= 0 && s.weight_decay <= most &&
          s.clip_norm >= 0))
      throw error("adamw: learning rate, weight decay and clip norm must be finite and not negative; found " +
                  std::to_string(s.learning_rate) + ", " + std::to_string(s.weight_decay) + ", " +
                  std::to_string(s.clip_norm));
  }

  // Otherwise the mean of the squares would be infinite, and the parameter would never change again.
  static void require_squarable(double norm, const group_settings& s) {
    const double clipped = s.clip_norm > 0 ? std::min(norm, s.clip_norm) : norm;
    if (clipped > std::sqrt(double(std::numeric_limits<T>::max())))
      throw numeric_error("adamw: a gradient of length " + std::to_string(norm) +
                          " is too long to be squared, so no parameter was changed; set a smaller clip norm");
  }
  // The norms, from the sums that measure() enqueued. The few sums of the pieces are added here, in order.
  per_group<double> gradient_norms() {
    measuring_ = false;
    per_group<double> squares;
    if (pieces_.empty()) return squares;
    const std::vector<double> sums = to_host(sums_);
    for (std::size_t k = 0; k < sums.size(); ++k) {
      const named_parameter<T, Backend>& parameter = slots_[pieces_[k].parameter].parameter;
      squares.of(parameter.group) += sums[k];
      if (!std::isfinite(squares.of(parameter.group)))
        throw numeric_error("adamw: the gradient of \"" + parameter.name +
                            "\" is not finite, so no parameter was changed; the learning rate is probably too high");
    }
    return {std::sqrt(squares.weights), std::sqrt(squares.coefficients)};
  }

  void update(const factors& factor, const per_group<double>& norms) {
    if (pieces_.empty()) return;
    std::vector<adamw_factors<T>> all(slots_.size());
    for (std::size_t k = 0; k < pieces_.size(); ++k) {
      const std::size_t i = std::size_t(pieces_[k].parameter);
      if (k == 0 || pieces_[k - 1].parameter != pieces_[k].parameter) all[i] = factors_of(slots_[i], factor, norms);
    }
    Backend& backend = slots_[0].first.backend();
    const auto table = from_host(backend, extents<1>{index_t(all.size())}, all);
    backend.for_each_team(table_.size(), adamw_piece<T>::most, adamw_update<T>{table_.data(), table.data()});
  }
  adamw_factors<T> factors_of(slot& one, const factors& factor, const per_group<double>& norms) {
    const parameter_group group = one.parameter.group;
    const group_settings& s = settings_.of(group);
    const double rate = s.learning_rate * *factor.of(group), t = double(++one.steps);
    // PyTorch adds 1e-6 as well, so runs can be compared.
    const double scale = s.clip_norm > 0 ? std::min(1.0, s.clip_norm / (norms.of(group) + 1e-6)) : 1;
    return {T(scale),
            T(1 - options_.beta1),
            T(options_.beta2),
            T(1 - options_.beta2),
            T(1 - rate * s.weight_decay),
            T(rate / (1 - std::pow(options_.beta1, t))),
            T(1 / std::sqrt(1 - std::pow(options_.beta2, t))),
            T(options_.epsilon)};
  }

  adamw_options options_;
  per_group<group_settings> settings_;
  std::vector<slot> slots_;
  bool measuring_ = false;                    // whether measure() was called and step() was not
  std::vector<adamw_piece<T>> pieces_;        // pieces of the parameters that are updated
  tensor<adamw_piece<T>, 1, Backend> table_;  // the pieces on the backend
  tensor<double, 1, Backend> sums_;           // sum of squared gradients of each piece
};

}  // namespace iapt
