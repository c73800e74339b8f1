// SPDX-License-Identifier: Apache-2.0
// A layer of the sizes that a configuration has, from any source of weights.
#pragma once
#include "iapt/model/config.hpp"
#include "iapt/nn/decoder_layer.hpp"

namespace iapt {

/// The extents (out, in) of a layer's linear map.
inline extents<2> extents_of(projection part, const transformer_config& config) {
  const index_t D = config.hidden, F = config.feed_forward, E = config.heads.head_size;
  switch (part) {
    case projection::query:
      return {config.heads.heads * E, D};
    case projection::key:
    case projection::value:
      return {config.heads.kv_heads * E, D};
    case projection::output:
      return {D, config.heads.heads * E};
    case projection::gate:
    case projection::up:
      return {F, D};
    case projection::down:
      break;
  }
  return {D, F};
}
/// Whether a layer's linear map has a bias.
inline bool has_bias(projection part, const transformer_config& config) {
  return part == projection::output             ? config.output_bias
         : half_of(part) == sublayer::attention ? config.qkv_bias
                                                : config.mlp_bias;
}

/// One layer.
/// @param index which one, from 0
/// @param linear called as linear(part, extents, whether it has a bias); returns the linear map
/// @param norm called as norm(norm_part, number of elements); returns the norm
template <class Linear, class Norm>
auto make_layer(const transformer_config& config, index_t index, Linear linear, Norm norm) {
  const auto map = [&](projection part) { return linear(part, extents_of(part, config), has_bias(part, config)); };
  using map_type = decltype(map(projection::query));
  using T = typename decltype(map_type::weight)::value_type;
  using Backend = typename decltype(map_type::weight)::backend_type;
  const index_t D = config.hidden;
  decoder_layer<T, Backend> layer{
      norm(norm_part::attention, D),
      {config.heads, map(projection::query), map(projection::key), map(projection::value), map(projection::output)},
      norm(norm_part::mlp, D),
      {map(projection::gate), map(projection::up), map(projection::down)}};
  if (config.qk_norm) {
    layer.attention.query_norm = norm(norm_part::query, config.heads.head_size);
    layer.attention.key_norm = norm(norm_part::key, config.heads.head_size);
  }
  layer.attention.output.residual_scale = layer.mlp.down.residual_scale = config.residual_scale;
  layer.attention.has_rope = config.layer_has_rope(index);
  return layer;
}

}  // namespace iapt
