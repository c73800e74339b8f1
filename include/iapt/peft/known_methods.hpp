// SPDX-License-Identifier: Apache-2.0
// The methods that adapter folders and programs support. A new method is one line here.
#pragma once
#include <type_traits>

#include "iapt/peft/ia3.hpp"
#include "iapt/peft/iapt/method.hpp"
#include "iapt/peft/lora.hpp"
#include "iapt/peft/method.hpp"
#include "iapt/peft/p_tuning_v2.hpp"

namespace iapt {

/// A list of method types. It selects the type of a method that is known at run time only.
template <adaptation_method First, adaptation_method... Rest>
struct method_list {
  /// Calls f(std::type_identity<Method>{}) for each type.
  template <class F>
  static void each(F f) {
    f(std::type_identity<First>{}), (f(std::type_identity<Rest>{}), ...);
  }
  /// Calls f(std::type_identity<Method>{}) for the first type that suits. If there is none, calls none(), which must
  /// throw.
  template <class Suits, class F, class None>
  static auto first(Suits suits, F f, None none) {
    if constexpr (sizeof...(Rest) > 0)
      if (!suits(std::type_identity<First>{})) return method_list<Rest...>::first(suits, f, none);
    if (!suits(std::type_identity<First>{})) none();
    return f(std::type_identity<First>{});
  }
};

/// All methods. Of the variants of one method, the first is the default.
template <class T, class Backend>
using known_methods = method_list<iapt_method<key_value_generator<T, Backend>>,     //
                                  iapt_method<hidden_generator<T, Backend>>,        //
                                  iapt_method<hidden_gains_generator<T, Backend>>,  //
                                  lora_method<T, Backend>,                          //
                                  p_tuning_v2_method<T, Backend>,                   //
                                  ia3_method<T, Backend>>;

}  // namespace iapt
