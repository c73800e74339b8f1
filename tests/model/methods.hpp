// SPDX-License-Identifier: Apache-2.0
// Methods that are not IAPT, so that every hook and placement is seen alone, and a batch for them.
#pragma once
#include "support/hooks.hpp"
#include "support/small_model.hpp"

namespace iapt::test {

using lm_type = causal_lm<double, test_backend>;
using cache_type = kv_cache<double, test_backend>;
inline constexpr index_t width = 24, vocabulary = 31;  // D and V of the small model

/// Every hook but those of soft tokens; the embedded tokens are scaled column by column.
struct everything : all_hooks {
  static constexpr hook_set hooks = all_hooks::hooks | hook_set{hook::input};
  row_tensor gain;
  template <class Context>
  matrix input(Context& ctx, const matrix& x) const {
    return ctx(x * gain);
  }
};
/// Two soft tokens with keys and values of their own, the same in every layer, beside the other hooks.
struct prompted : all_hooks {
  static constexpr hook_set hooks = all_hooks::hooks | hook_set{hook::prefix};
  placement place = placement::front;
  matrix keys, values;
  index_t soft_tokens() const { return 2; }
  placement where() const { return place; }
  template <class Context>
  key_values<double, test_backend> prefix(Context& ctx, int, const decoder_layer<double, test_backend>&,
                                          const matrix& states, const std::vector<row_span>& rows,
                                          const matrix& cos_sin) const {
    std::vector<std::int32_t> repeated;
    for (std::size_t b = 0; b < rows.size(); ++b) repeated.push_back(0), repeated.push_back(1);
    const row_indices<test_backend> which(states.backend(), repeated);
    return {ctx(rope(gather(keys, which), cos_sin)), ctx(gather(values, which))};
  }
};

/// A method with hooks on seven sites, one of each part, and behind three half layers.
template <class Method>
Method hooked(test_backend& backend) {
  Method method;
  const auto site_of = [&](int layer, projection part, index_t in, index_t out) {
    hook_target(backend, method, {layer, part}, in, out, 100 + 10 * std::uint64_t(part));
  };
  site_of(0, projection::query, width, 24), site_of(1, projection::key, width, 12);
  site_of(1, projection::value, width, 12), site_of(2, projection::output, 24, width);
  site_of(0, projection::gate, width, 20), site_of(1, projection::up, width, 20);
  site_of(2, projection::down, 20, width);
  hook_half(backend, method, 0, sublayer::attention, width, 200);
  hook_half(backend, method, 1, sublayer::feed_forward, width, 210);
  hook_half(backend, method, 2, sublayer::attention, width, 220);
  return method;
}
inline everything with_everything(test_backend& backend) {
  auto method = hooked<everything>(backend);
  method.gain = tracked<double>(backend, random({width}, 300));
  return method;
}
inline prompted with_soft_tokens(test_backend& backend, placement where) {
  auto method = hooked<prompted>(backend);
  method.place = where;
  method.keys = tracked<double>(backend, random({2, 12}, 310));
  method.values = tracked<double>(backend, random({2, 12}, 311));
  return method;
}

/// Three sequences of different lengths, with responses.
inline const std::vector<std::pair<std::size_t, std::size_t>> lengths{{2, 4}, {7, 2}, {4, 5}};
inline std::vector<token_id> instruction(std::size_t b) { return small_tokens(lengths[b].first, 10 + b); }
inline std::vector<token_id> response(std::size_t b) { return small_tokens(lengths[b].second, 20 + b); }
inline packed_batch batch_of(const std::vector<std::size_t>& which) {
  packed_batch batch;
  for (std::size_t b : which) batch.add(instruction(b), response(b));
  return batch;
}

}  // namespace iapt::test
