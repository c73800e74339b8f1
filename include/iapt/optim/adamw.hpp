// SPDX-License-Identifier: Apache-2.0
// AdamW with clipping, for two groups of parameters that each have settings of their own.
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

/// What a group of parameters can have of its own.
struct group_settings {
  double learning_rate = 1e-3;  ///< η, before the schedule's factor
  double weight_decay = 0;      ///< λ, decoupled: times the learning rate
  double clip_norm = 1;         ///< the gradient of the group is made at most this long; 0: it is left as it is
};

/// Settings of AdamW. The first three are the weights'.
struct adamw_options {
  double learning_rate = 1e-3;                      ///< η, before the schedule's factor
  double weight_decay = 0;                          ///< λ, decoupled: times the learning rate
  double clip_norm = 1;                             ///< longest gradient of the group; 0: no limit
  std::optional<group_settings> coefficients = {};  ///< the activations' coefficients; empty: as the weights
  double beta1 = 0.9;                               ///< how slowly the mean of the gradient moves
  double beta2 = 0.999;                             ///< how slowly the mean of its square moves
  double epsilon = 1e-8;                            ///< keeps the quotient finite
};

/// One number for each group.
template <class Number>
struct per_group {
  Number weights{};       ///< of parameter_group::weights
  Number coefficients{};  ///< of parameter_group::coefficients
  /// The one of a group.
  const Number& of(parameter_group group) const { return group == parameter_group::weights ? weights : coefficients; }
  /// The one of a group, to change it.
  Number& of(parameter_group group) { return group == parameter_group::weights ? weights : coefficients; }
};

/// What AdamW remembers about one parameter, on the host.
template <class T>
struct adamw_moments {
  std::vector<T> first;    ///< running mean of the gradient
  std::vector<T> second;   ///< running mean of its square
  std::int64_t steps = 0;  ///< how often it was updated
};

/// The optimiser. It changes parameters in place, through the handles in the list.
/// @par Source Loshchilov and Hutter 2019, "Decoupled weight decay regularization"
template <class T, class Backend>
class adamw {
 public:
  /// Factors of the learning rates for one step; a group without one is left alone and its gradients are discarded.
  using factors = per_group<std::optional<double>>;

  /// Begins with means of zero.
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
  /// @return each group's gradient norm, before clipping
  /// @throws numeric_error if a gradient is not finite; nothing is changed then
  per_group<double> step(double factor = 1) { return step(factors{factor, factor}); }

  /// The same with a factor for each group. A parameter that has no gradient is passed over: its value, its means and
  /// its count of steps stay, as in PyTorch.
  /// @return each group's gradient norm, before clipping; 0 for a group without a factor
  /// @throws numeric_error if a gradient that would be used is not finite; nothing is changed then
  per_group<double> step(factors factor) {
    const per_group<double> norms = measure(factor);
    for (slot& one : slots_) {
      const auto group = one.parameter.group;
      if (factor.of(group) && one.parameter.values.has_gradient()) update(one, *factor.of(group), norms.of(group));
    }
    clear_gradients();
    return norms;
  }

  /// Forgets all gradients.
  void clear_gradients() {
    for (const slot& one : slots_) one.parameter.values.clear_gradient();
  }

  /// The parameters, in their order.
  parameter_list<T, Backend> parameters() const {
    parameter_list<T, Backend> list;
    for (const slot& one : slots_) list.push_back(one.parameter);
    return list;
  }
  /// What is remembered about each parameter, in their order: with the parameters, everything that a run needs in
  /// order to go on.
  std::vector<adamw_moments<T>> state() const {
    std::vector<adamw_moments<T>> all;
    for (const slot& one : slots_) all.push_back({to_host(one.first), to_host(one.second), one.steps});
    return all;
  }
  /// Goes on from a state.
  /// @throws shape_error if it belongs to other parameters; nothing is changed then
  void restore(const std::vector<adamw_moments<T>>& state) {
    bool fits = state.size() == slots_.size();
    for (std::size_t i = 0; fits && i < state.size(); ++i)
      fits = extent(state[i].first.size()) == slots_[i].first.size() && state[i].second.size() == state[i].first.size();
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

  // Gradient norms. Each chunk is summed on the backend; the few sums of the chunks are added here, in order and in
  // double precision. One wait for the device.
  per_group<double> measure(const factors& factor) const {
    const auto counts = [&](const slot& one) {
      return factor.of(one.parameter.group) && one.parameter.values.has_gradient()
                 ? square_sum_chunk<T>::chunks(one.first.size())
                 : 0;
    };
    extent total = 0;
    for (const slot& one : slots_) total += counts(one);
    per_group<double> squares;
    if (!total) return squares;
    Backend& backend = slots_[0].first.backend();
    const tensor<T, 1, Backend> sums(backend, {total});
    T* next = sums.write();
    for (const slot& one : slots_) {
      const extent chunks = counts(one), size = one.first.size();
      if (!chunks) continue;
      backend.groups(chunks, std::min(size, square_sum_chunk<T>::chunk),
                     square_sum_chunk<T>{one.parameter.values.gradient().data(), next, size});
      next += chunks;
    }
    const std::vector<T> found = to_host(sums);
    auto at = found.begin();
    for (const slot& one : slots_) {
      double& square = squares.of(one.parameter.group);
      for (extent k = counts(one); k > 0; --k) square += double(*at++);
      if (!std::isfinite(square))
        throw numeric_error("adamw: the gradient of \"" + one.parameter.name +
                            "\" is not finite, so no parameter was changed; the learning rate is probably too high");
    }
    return {std::sqrt(squares.weights), std::sqrt(squares.coefficients)};
  }

  void update(slot& one, double factor, double norm) {
    const group_settings& s = settings_.of(one.parameter.group);
    const double rate = s.learning_rate * factor, t = double(++one.steps);
    // The 1e-6 is PyTorch's, so that runs can be compared.
    const double scale = s.clip_norm > 0 ? std::min(1.0, s.clip_norm / (norm + 1e-6)) : 1;
    const auto& p = one.parameter.values;
    p.backend().grid(1, p.size(),
                     adamw_loop<T>{{p.gradient().data()},
                                   {one.first.write()},
                                   {one.second.write()},
                                   {p.write()},
                                   T(scale),
                                   T(1 - options_.beta1),
                                   T(options_.beta2),
                                   T(1 - options_.beta2),
                                   T(1 - rate * s.weight_decay),
                                   T(rate / (1 - std::pow(options_.beta1, t))),
                                   T(1 / std::sqrt(1 - std::pow(options_.beta2, t))),
                                   T(options_.epsilon)});
  }

  adamw_options options_;
  per_group<group_settings> settings_;
  std::vector<slot> slots_;
};

}  // namespace iapt
