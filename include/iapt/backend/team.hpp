// SPDX-License-Identifier: Apache-2.0
// The team that runs a team kernel with one thread.
#pragma once
#include "iapt/expr/scalar_math.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// A team of one thread, which processes the columns vec by vec (Vec = T: one by one). Sums have a fixed order.
template <class T, class Vec>
struct serial_team {
  T* scratch = nullptr;  ///< memory of the team, for a kernel that has scratch()

  /// Calls f(j) for every column 0..n-1.
  template <class F>
  IAPT_DEVICE void for_each(index_t n, F f) const {
    index_t j = 0;
    if constexpr (!std::same_as<T, Vec>)
      for (; j + Vec::width <= n; j += Vec::width) f(vec_index<Vec>{j});
    for (; j < n; ++j) f(vec_index<T>{j});
  }
  /// Calls f(j) for every column 0..n-1, one by one.
  template <class F>
  IAPT_DEVICE void for_each_element(index_t n, F f) const {
    for (index_t j = 0; j < n; ++j) f(vec_index<T>{j});
  }
  /// Σ f(j) over every column.
  template <class F>
  IAPT_DEVICE T sum(index_t n, F f) const {
    index_t j = 0;
    T total(0);
    if constexpr (!std::same_as<T, Vec>) {
      Vec lanes(T(0));
      for (; j + Vec::width <= n; j += Vec::width) lanes = lanes + f(vec_index<Vec>{j});
      if (j) total = lanes.sum();
    }
    for (; j < n; ++j) total = total + f(vec_index<T>{j});
    return total;
  }
  /// The greatest f(j) over every column, at least `start`.
  template <class F>
  IAPT_DEVICE T max(index_t n, T start, F f) const {
    index_t j = 0;
    T greatest = start;
    if constexpr (!std::same_as<T, Vec>) {
      Vec lanes(start);
      for (; j + Vec::width <= n; j += Vec::width) lanes = maximum(lanes, f(vec_index<Vec>{j}));
      if (j) greatest = lanes.max();
    }
    for (; j < n; ++j) {
      const T x = f(vec_index<T>{j});
      greatest = x > greatest ? x : greatest;
    }
    return greatest;
  }
  /// Sum of `own` over all threads.
  IAPT_DEVICE T total(T own) const { return own; }
  /// Number of threads of the team.
  IAPT_DEVICE int size() const { return 1; }
  IAPT_DEVICE int thread_rank() const { return 0; }  ///< index of this thread
  /// Replaces own[i] by its sum over `width` neighbouring threads.
  template <int N>
  IAPT_DEVICE void subgroup_sums(T (&)[N], int) const {}
  /// Calls f() in one thread, after everything that the team did before, and before everything that follows.
  template <class F>
  IAPT_DEVICE void single(F f) const {
    f();
  }
  /// Makes earlier writes of each thread visible to all threads.
  IAPT_DEVICE void barrier() const {}
};

}  // namespace iapt
