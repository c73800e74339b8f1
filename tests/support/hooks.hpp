// SPDX-License-Identifier: Apache-2.0
// Methods made of single hooks of the transformer: method_of<delta_hook, scale_hook> has these two and lacks the
// others.
#pragma once
#include <map>
#include <utility>

#include "iapt/nn/hooks.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/matmul.hpp"
#include "support/backends.hpp"

namespace iapt::test {

using matrix = tensor<double, 2, test_backend>;
using row_tensor = tensor<double, 1, test_backend>;

/// Tensors of some sites or half layers.
template <class Part, int Rank>
using chosen = std::map<std::pair<int, Part>, tensor<double, Rank, test_backend>>;
/// One of them, or an empty handle.
template <class Part, int Rank>
tensor<double, Rank, test_backend> find(const chosen<Part, Rank>& all, int layer, Part part) {
  const auto found = all.find({layer, part});
  return found == all.end() ? tensor<double, Rank, test_backend>() : found->second;
}

/// x · downᵀ · upᵀ.
struct delta_hook {
  static constexpr hook_set hooks{hook::delta};
  chosen<projection, 2> downs, ups;
  template <class Context>
  matrix delta(Context& ctx, target_module where, const matrix& x) const {
    const matrix down = find(downs, where.layer, where.part), up = find(ups, where.layer, where.part);
    return down ? ctx(matmul(matmul(x, transposed(down)), transposed(up))) : matrix();
  }
};
/// A factor for each column.
struct scale_hook {
  static constexpr hook_set hooks{hook::scale};
  chosen<projection, 1> scales;
  template <class Context>
  row_tensor scale(Context&, target_module where) const {
    return find(scales, where.layer, where.part);
  }
};
/// A summand for each column.
struct bias_hook {
  static constexpr hook_set hooks{hook::bias};
  chosen<projection, 1> biases;
  template <class Context>
  row_tensor bias(Context&, target_module where) const {
    return find(biases, where.layer, where.part);
  }
};
/// y · gate + x · skip, so that it matters what x and y are.
struct after_hook {
  static constexpr hook_set hooks{hook::after};
  chosen<sublayer, 1> gates, skips;
  template <class Context>
  matrix after(Context& ctx, int layer, sublayer half, const matrix& x, const matrix& y) const {
    const row_tensor gate = find(gates, layer, half), skip = find(skips, layer, half);
    return gate ? ctx(y * gate + x * skip) : y;
  }
};
/// Their sum.
template <class... Hook>
struct method_of : Hook... {
  static constexpr hook_set hooks = (Hook::hooks | ...);
};
using linear_hooks = method_of<delta_hook, scale_hook, bias_hook>;
using all_hooks = method_of<delta_hook, scale_hook, bias_hook, after_hook>;

/// Gives a site random tensors for whatever hooks the method has.
template <class Method>
void hook_target(test_backend& backend, Method& method, target_module where, index_t in, index_t out,
                 std::uint64_t seed) {
  const std::pair key{where.layer, where.part};
  if constexpr (requires { method.downs; }) {
    method.downs[key] = tracked<double>(backend, random({2, in}, seed, 0.3));
    method.ups[key] = tracked<double>(backend, random({out, 2}, seed + 1, 0.3));
  }
  if constexpr (requires { method.scales; }) method.scales[key] = tracked<double>(backend, random({out}, seed + 2));
  if constexpr (requires { method.biases; }) method.biases[key] = tracked<double>(backend, random({out}, seed + 3));
}
/// The same for what follows a half layer.
template <class Method>
void hook_half(test_backend& backend, Method& method, int layer, sublayer half, index_t width, std::uint64_t seed) {
  if constexpr (requires { method.gates; }) {
    method.gates[{layer, half}] = tracked<double>(backend, random({width}, seed));
    method.skips[{layer, half}] = tracked<double>(backend, random({width}, seed + 1, 0.3));
  }
}
/// f(tensor) for all that a method has.
template <class Method, class F>
void each_tensor(const Method& method, F f) {
  const auto all = [&](const auto& some) {
    for (const auto& one : some) f(one.second);
  };
  if constexpr (requires { method.downs; }) all(method.downs), all(method.ups);
  if constexpr (requires { method.scales; }) all(method.scales);
  if constexpr (requires { method.biases; }) all(method.biases);
  if constexpr (requires { method.gates; }) all(method.gates), all(method.skips);
}

}  // namespace iapt::test
