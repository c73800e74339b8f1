// SPDX-License-Identifier: Apache-2.0
// The group that runs a row kernel where one thread does it alone.
#pragma once
#include "iapt/expr/scalar_math.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// One thread that goes through the columns pack by pack (Pack = T: one by one). Its sums have a fixed order.
template <class T, class Pack>
struct lone_group {
  T* scratch = nullptr;  ///< memory of the group's own, for a kernel that asks for it (scratch())

  /// Calls f(j) for every column 0..n-1.
  template <class F>
  IAPT_DEVICE void each(index_t n, F f) const {
    index_t j = 0;
    if constexpr (!std::same_as<T, Pack>)
      for (; j + Pack::width <= n; j += Pack::width) f(vec_index<Pack>{j});
    for (; j < n; ++j) f(vec_index<T>{j});
  }
  /// Calls f(j) for every column 0..n-1, one by one.
  template <class F>
  IAPT_DEVICE void each_one(index_t n, F f) const {
    for (index_t j = 0; j < n; ++j) f(vec_index<T>{j});
  }
  /// Σ f(j) over every column.
  template <class F>
  IAPT_DEVICE T sum(index_t n, F f) const {
    index_t j = 0;
    T total(0);
    if constexpr (!std::same_as<T, Pack>) {
      Pack lanes(T(0));
      for (; j + Pack::width <= n; j += Pack::width) lanes = lanes + f(vec_index<Pack>{j});
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
    if constexpr (!std::same_as<T, Pack>) {
      Pack lanes(start);
      for (; j + Pack::width <= n; j += Pack::width) lanes = maximum(lanes, f(vec_index<Pack>{j}));
      if (j) greatest = lanes.max();
    }
    for (; j < n; ++j) {
      const T x = f(vec_index<T>{j});
      greatest = x > greatest ? x : greatest;
    }
    return greatest;
  }
  /// Σ of what each member has of its own.
  IAPT_DEVICE T total(T own) const { return own; }
  /// How many members there are, and which one this is.
  IAPT_DEVICE int size() const { return 1; }
  IAPT_DEVICE int member() const { return 0; }  ///< from 0 on
  /// own[i] = Σ of what each of `width` neighbours has there.
  template <int N>
  IAPT_DEVICE void strand_sums(T (&)[N], int) const {}
  /// Does something once for the whole group: after all that it did before, and before all that follows.
  template <class F>
  IAPT_DEVICE void once(F f) const {
    f();
  }
  /// What any member wrote before is seen by all members after.
  IAPT_DEVICE void barrier() const {}
};

}  // namespace iapt
