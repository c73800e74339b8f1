// SPDX-License-Identifier: Apache-2.0
// A small layer, and what its parts must give with and without hooks, in plain loops over doubles.
#pragma once
#include <cmath>
#include <functional>

#include "iapt/nn/decoder_layer.hpp"
#include "support/check.hpp"
#include "support/hooks.hpp"

namespace iapt::test {

using linear_map = linear<double, test_backend>;
using view_type = attention_view<double, test_backend>;
inline constexpr index_t small_width = 10, small_inner = 12;  // D, F
inline constexpr head_layout small_heads{4, 2, 6};            // H·E 24, G·E 12

/// A map with a bias.
inline linear_map random_linear(test_backend& backend, index_t out, index_t in, std::uint64_t seed) {
  return {upload_as<double>(backend, random({out, in}, seed, 1 / std::sqrt(double(in)))),
          upload_as<double>(backend, random({out}, seed))};
}
/// A layer whose sizes all differ.
inline decoder_layer<double, test_backend> random_layer(test_backend& b) {
  const auto norm = [&](int seed) {
    return norm_layer<double, test_backend>{upload_as<double>(b, random({small_width}, seed)), 1e-3};
  };
  return {norm(1),
          {small_heads, random_linear(b, 24, small_width, 2), random_linear(b, 12, small_width, 3),
           random_linear(b, 12, small_width, 4), random_linear(b, small_width, 24, 5)},
          norm(6),
          {random_linear(b, small_inner, small_width, 7), random_linear(b, small_inner, small_width, 8),
           random_linear(b, small_width, small_inner, 9)}};
}
/// The linear map of a site.
inline const linear_map& map_of(const decoder_layer<double, test_backend>& layer, projection part) {
  const auto& attention = layer.attention;
  const auto& [gate, up, down] = layer.mlp;
  const linear_map* all[] = {&attention.query, &attention.key, &attention.value, &attention.output, &gate, &up, &down};
  return *all[int(part)];
}
/// Gives all sites of a layer random hooks.
template <class Method>
void hook_layer(const decoder_layer<double, test_backend>& layer, Method& method, int number) {
  for (int part = 0; part < 7; ++part) {
    const matrix weight = map_of(layer, projection(part)).weight.expanded();
    hook_target(weight.backend(), method, {number, projection(part)}, weight.size(1), weight.size(0), 50 + 10 * part);
  }
}

/// A tensor's numbers with their extents.
template <int Rank>
host_array<Rank> on_host(const tensor<double, Rank, test_backend>& x) {
  return {x.shape(), to_host(x)};
}
/// f(x(i, j), i, j) in place of every x(i, j).
template <class F>
host_array<2> changed(host_array<2> x, F f) {
  for (index_t i = 0; i < x.size(0); ++i)
    for (index_t j = 0; j < x.size(1); ++j) x(i, j) = f(x(i, j), i, j);
  return x;
}

/// ((x · wᵀ + own bias) + delta) · scale + bias
template <class Method>
host_array<2> linear_by_loops(const linear_map& map, const host_array<2>& x, const Method& method,
                              target_module where) {
  host_array<2> y = product(x, on_host(map.weight.expanded()), true);
  const auto by_row = [&](const row_tensor& row, auto f) {
    if (!row) return;
    const host_array<1> values = on_host(row);
    y = changed(y, [&](double v, index_t, index_t j) { return f(v, values(j)); });
  };
  by_row(map.bias, std::plus<double>());
  if constexpr (requires { method.downs; })
    if (const matrix down = find(method.downs, where.layer, where.part)) {
      const auto delta =
          product(product(x, on_host(down), true), on_host(find(method.ups, where.layer, where.part)), true);
      y = changed(y, [&](double v, index_t i, index_t j) { return v + delta(i, j); });
    }
  if constexpr (requires { method.scales; })
    by_row(find(method.scales, where.layer, where.part), std::multiplies<double>());
  if constexpr (requires { method.biases; }) by_row(find(method.biases, where.layer, where.part), std::plus<double>());
  return y;
}

/// x · weight / √(mean(x²) + ε)
inline host_array<2> norm_by_loops(const norm_layer<double, test_backend>& norm, const host_array<2>& x) {
  const host_array<1> weight = on_host(norm.weight);
  return changed(x, [&](double v, index_t i, index_t j) {
    double squares = 0;
    for (index_t k = 0; k < x.size(1); ++k) squares += x(i, k) * x(i, k);
    return v * weight(j) / std::sqrt(squares / double(x.size(1)) + norm.epsilon);
  });
}

/// Every head's pairs (j, j + E/2) turned.
inline host_array<2> rope_by_loops(const host_array<2>& x, const host_array<2>& cos_sin) {
  const index_t size = cos_sin.size(1), half = size / 2;
  return changed(x, [&](double v, index_t i, index_t column) {
    const index_t j = column % size;
    return j < half ? v * cos_sin(i, j) - x(i, column + half) * cos_sin(i, j + half)
                    : v * cos_sin(i, j - half) + x(i, column - half) * cos_sin(i, j);
  });
}

/// Result, keys and values of an attention.
struct attended {
  host_array<2> y, keys, values;
};
template <class Method>
attended attention_by_loops(const attention_block<double, test_backend>& block, const host_array<2>& x,
                            const Method& method, int layer, const view_type& view) {
  const auto cos_sin = on_host(view.cos_sin);
  const auto q = rope_by_loops(linear_by_loops(block.query, x, method, {layer, projection::query}), cos_sin);
  const auto k = rope_by_loops(linear_by_loops(block.key, x, method, {layer, projection::key}), cos_sin);
  const auto v = linear_by_loops(block.value, x, method, {layer, projection::value});
  const auto pair_of = [](const key_values<double, test_backend>& kv) {
    return kv.keys ? std::pair(on_host(kv.keys), on_host(kv.values))
                   : std::pair(host_array<2>({0, 0}), host_array<2>({0, 0}));
  };
  const auto past = pair_of(view.past), soft = pair_of(view.prefix.value_or(key_values<double, test_backend>()));
  const index_t heads = block.layout.heads, kv_heads = block.layout.kv_heads, size = block.layout.head_size;
  host_array<2> y(q.shape);
  for (const attention_segment& s : view.pattern.segments())
    for (index_t i = s.begin; i < s.begin + s.count; ++i)
      for (index_t h = 0; h < heads; ++h) {
        const index_t own = h * size, shared = h / (heads / kv_heads) * size;
        std::vector<double> sum(size);
        double total = 0;
        const auto look = [&](const host_array<2>& key, const host_array<2>& value, index_t from, index_t to) {
          for (index_t j = from; j < to; ++j) {
            double score = 0;
            for (index_t e = 0; e < size; ++e) score += q(i, own + e) * key(j, shared + e);
            const double weight = std::exp(score / std::sqrt(double(size)));
            for (index_t e = 0; e < size; ++e) sum[e] += weight * value(j, shared + e);
            total += weight;
          }
        };
        look(past.first, past.second, s.past_begin, s.past_begin + s.past_count);
        look(soft.first, soft.second, s.soft_begin, s.soft_begin + s.soft_count);
        look(k, v, s.begin, i + 1);
        for (index_t e = 0; e < size; ++e) y(i, own + e) = sum[e] / total;
      }
  return {linear_by_loops(block.output, y, method, {layer, projection::output}), k, v};
}

/// down(silu(gate(x)) · up(x))
template <class Method>
host_array<2> mlp_by_loops(const gated_mlp<double, test_backend>& mlp, const host_array<2>& x, const Method& method,
                           int layer) {
  const auto gate = linear_by_loops(mlp.gate, x, method, {layer, projection::gate});
  const auto up = linear_by_loops(mlp.up, x, method, {layer, projection::up});
  const auto inner = changed(gate, [&](double g, index_t i, index_t j) { return g / (1 + std::exp(-g)) * up(i, j); });
  return linear_by_loops(mlp.down, inner, method, {layer, projection::down});
}

/// gradcheck of everything that a method has, and of other tensors; f(context) reads them.
template <class Method, class F, class... Other>
void check_gradients(test_backend& backend, const Method& method, const F& f, const Other&... others) {
  if constexpr (sizeof...(Other) > 0) CHECK(gradcheck(backend, f, others...) <= 1e-7);
  int number = 0;
  each_tensor(method, [&](const auto& x) {
    CAPTURE(number++);
    CHECK(gradcheck(backend, f, x) <= 1e-7);
  });
}

}  // namespace iapt::test
