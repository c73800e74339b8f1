// SPDX-License-Identifier: Apache-2.0
// A method at its start, with starting values from the backbone.  Shapes: P soft tokens, D hidden size.
#pragma once
#include <cmath>
#include <vector>

#include "iapt/peft/iapt/method.hpp"

namespace iapt {

/// Scales every row to unit root mean square: the norm that follows a soft token makes its length free, and a long one
/// would hardly learn.
template <class T, class S, class Backend>
tensor<T, 2, Backend> unit_rows(const tensor<S, 2, Backend>& x) {
  const std::vector<S> stored = to_host(x);
  std::vector<T> values(stored.begin(), stored.end());
  const extent columns = x.size(1);
  for (extent r = 0; r < x.size(0); ++r) {
    T* row = values.data() + r * columns;
    double squares = 0;
    for (extent j = 0; j < columns; ++j) squares += double(row[j]) * double(row[j]);
    const double scale = squares > 0 ? 1 / std::sqrt(squares / double(columns)) : 0;
    for (extent j = 0; j < columns; ++j) row[j] = T(double(row[j]) * scale);
  }
  return from_host(x.backend(), x.shape(), values);
}

/// A method at its start, for a backbone whose states it may take. Everything trained is tracked.
/// @throws shape_error if the options make no method or the start text is too short
template <class Generator, class S, class Backend>
iapt_method<Generator> make_iapt(const causal_lm<S, Backend>& lm, const iapt_options& options) {
  using T = typename Generator::value_type;
  options.check();
  iapt_method<Generator> method{options, {}, {}};
  Backend& backend = lm.backend();
  std::vector<tensor<S, 2, Backend>> states;
  if (options.start != prompt_start::random) {
    packed_batch text;
    text.add(options.start_text);
    states = lm.layer_inputs(text);
  }
  const extent from =
      options.start == prompt_start::last ? extent(options.start_text.size()) - 1 - options.soft_tokens : 0;
  for (extent l = 0; l < lm.config.layers; ++l) {
    const auto stream = [&](std::uint64_t part) { return random_stream(options.seed, std::uint64_t(l) * 16 + part); };
    const layer_start<T, S, Backend> start{
        lm.layers[l],
        states.empty() ? tensor<T, 2, Backend>{} : unit_rows<T>(states[l].slice(from, from + options.soft_tokens)),
        stream(2)};
    method.generators.push_back(Generator::make(backend, options, start, stream(0), stream(1)));
    Generator& generator = method.generators.back();
    generator.visit([](const char*, auto& x, tensor_role role) {
      if (x && role != tensor_role::fixed) x.track();
    });
    if (l % options.share == 0) continue;
    std::vector<tensor<T, 2, Backend>> first;  // of this layer's group
    method.generators[l / options.share * options.share].visit([&](const char*, auto& x, tensor_role role) {
      if constexpr (std::same_as<std::remove_cvref_t<decltype(x)>, tensor<T, 2, Backend>>)
        if (role == tensor_role::shared) first.push_back(x);
    });
    std::size_t next = 0;
    generator.visit([&](const char*, auto& x, tensor_role role) {
      if constexpr (std::same_as<std::remove_cvref_t<decltype(x)>, tensor<T, 2, Backend>>)
        if (role == tensor_role::shared) x = first[next++];
    });
  }
  return method;
}

}  // namespace iapt
