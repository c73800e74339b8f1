// SPDX-License-Identifier: Apache-2.0
// A model with an adapter of any method.
#pragma once
#include <iapt/io/adapter.hpp>
#include <iapt/serve/any_method.hpp>
#include <string>
#include <type_traits>
#include <utility>

#include "program.hpp"

namespace program {

/// A model and its method; the base model's method without an adapter. The method's type is erased, so a program is
/// compiled once for all methods.
template <class T, class Backend>
struct adapted_model {
  iapt::language_model<T, Backend> lm;
  iapt::method_ptr<T, Backend> method;
};

/// Loads the model and the adapter, or the base model alone if no adapter is named. With --merge the adapter is part of
/// the weights.
/// @throws iapt::error if the adapter's method cannot be merged
template <class T, class Backend>
adapted_model<T, Backend> load_adapted(const adapted_flags& flags, Backend& backend) {
  if (flags.adapter.empty() && flags.merge) throw iapt::error("--merge needs --adapter");
  const auto lm = flags.load<T>(backend);
  const auto base = iapt::erase_method(lm, iapt::no_method{});
  if (flags.adapter.empty()) return {lm, base};
  const iapt::descriptor held = iapt::hold_folder(iapt::adapter_folder(flags.adapter));  // a run may still save there
  return iapt::with_adapter(lm, iapt::adapter_folder(flags.adapter), [&](auto method) -> adapted_model<T, Backend> {
    if constexpr (requires { iapt::merged(lm, method); })
      if (flags.merge) {
        if (std::is_same_v<T, iapt::bfloat16>)
          warn("--merge: weights in bfloat16 lose what is small beside them; --dtype float32 keeps it");
        return {iapt::merged(lm, method), base};
      }
    if (flags.merge)
      throw iapt::error("--merge: an adapter of the method " + std::string(method.name) + " stays apart");
    return {lm, iapt::erase_method(lm, std::move(method))};
  });
}

}  // namespace program
