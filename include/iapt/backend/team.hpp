// SPDX-License-Identifier: Apache-2.0
// The team that runs a team kernel where one thread does it alone.
#pragma once
#include "iapt/expr/scalar_math.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// One thread that goes through the columns vec by vec (Vec = T: one by one). Its sums have a fixed order.
template <class T, class Vec>
struct serial_team {
  T* scratch = nullptr;  ///< memory of the team's own, for a kernel that asks for it (scratch())

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
  /// The greatest f(j) over every column, or `start`.
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
  /// Σ of what each thread has of its own.
  IAPT_DEVICE T total(T own) const { return own; }
  /// Number of threads of the team, and which of them this is.
  IAPT_DEVICE int size() const { return 1; }
  IAPT_DEVICE int thread_rank() const { return 0; }  ///< from 0 on
  /// own[i] = Σ of what each of `width` neighbours has there.
  template <int N>
  IAPT_DEVICE void subgroup_sums(T (&)[N], int) const {}
  /// Calls f() in one thread: after all that the team did before, and before all that follows.
  template <class F>
  IAPT_DEVICE void single(F f) const {
    f();
  }
  /// What a thread wrote before is seen by all threads after.
  IAPT_DEVICE void barrier() const {}
};

}  // namespace iapt
