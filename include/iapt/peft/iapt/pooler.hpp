// SPDX-License-Identifier: Apache-2.0
// Poolers: from the tokens of an instruction to one row for each soft token.
// Shapes: N tokens, R bottleneck, P soft tokens of each of B sequences.
#pragma once
#include <string>
#include <vector>

#include "iapt/core/random.hpp"
#include "iapt/ops/attention_pool.hpp"
#include "iapt/ops/matmul.hpp"
#include "iapt/ops/span_pool.hpp"
#include "iapt/peft/iapt/layer_file.hpp"
#include "iapt/peft/iapt/options.hpp"

namespace iapt {

/// Each soft token is a sum of the tokens, weighted by a softmax of learned scores.
/// @par Source self-attention pooling, sister papers of IAPT, ACL 2024
template <class T, class Backend>
struct self_attention_pooler {
  static constexpr auto name = "self_attention";  ///< name in files
  static constexpr bool needs_rows = false;       ///< whether an instruction must have P tokens
  tensor<T, 2, Backend> scores;                   ///< (R, P)

  /// Initial values: random, with variance 1/R.
  static self_attention_pooler make(Backend& backend, const iapt_options& o, random_stream stream) {
    return {random_normal<T>(backend, extents<2>{o.bottleneck, o.soft_tokens}, 1 / std::sqrt(double(o.bottleneck)),
                             stream)};
  }
  /// Reads the tensor from a file.
  template <class File>
  static self_attention_pooler read(const layer_file<T, Backend, File>& from, const iapt_options& o) {
    return {from("pool", extents<2>{o.bottleneck, o.soft_tokens})};
  }
  /// u (N, R) -> (B·P, R)
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& u, const std::vector<row_span>& rows,
                                   index_t) const {
    return ctx(attention_pool(u, matmul(u, scores), rows));
  }
  /// Calls f(name, tensor, role) for each tensor.
  template <class F>
  void visit(F f) {
    f("pool", scores, tensor_role::weights);
  }
};

/// Base of poolers without parameters.
template <class T, class Backend, class Derived>
struct parameter_free_pooler {
  /// Has no initial values.
  static Derived make(Backend&, const iapt_options&, random_stream) { return {}; }
  /// Has nothing to read from a file.
  template <class File>
  static Derived read(const layer_file<T, Backend, File>&, const iapt_options&) {
    return {};
  }
  /// Has no tensors.
  template <class F>
  void visit(F) {}
};

/// Spans that cut n rows into P parts: part i is rows ⌊i·n/P⌋ to ⌈(i+1)·n/P⌉−1.
inline std::vector<row_span> parts(const std::vector<row_span>& rows, index_t soft_tokens) {
  std::vector<row_span> spans;
  for (const row_span& s : rows)
    for (index_t i = 0; i < soft_tokens; ++i)
      spans.push_back(
          {s.begin + i * s.count() / soft_tokens, s.begin + ((i + 1) * s.count() + soft_tokens - 1) / soft_tokens});
  return spans;
}
/// Indices of P rows of each span: its first rows, or its last ones.
/// @throws shape_error if a span has fewer rows
inline std::vector<std::int32_t> end_rows(const std::vector<row_span>& rows, index_t soft_tokens, bool last) {
  std::vector<std::int32_t> numbers;
  for (const row_span& s : rows) {
    if (s.count() < soft_tokens)
      throw shape_error("pooler: an instruction of " + std::to_string(s.count()) + " rows for " +
                        std::to_string(soft_tokens) + " soft tokens; use another pooler or fewer soft tokens");
    for (index_t i = 0; i < soft_tokens; ++i)
      numbers.push_back(std::int32_t((last ? s.end - soft_tokens : s.begin) + i));
  }
  return numbers;
}

/// Soft token i is the mean of the i-th part of the tokens.
template <class T, class Backend>
struct mean_pooler : parameter_free_pooler<T, Backend, mean_pooler<T, Backend>> {
  static constexpr auto name = "mean";       ///< name in files
  static constexpr bool needs_rows = false;  ///< whether an instruction must have P tokens
  /// u (N, R) -> (B·P, R)
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& u, const std::vector<row_span>& rows,
                                   index_t soft_tokens) const {
    return ctx(span_mean(u, parts(rows, soft_tokens)));
  }
};
/// Soft token i is the elementwise maximum of the i-th part of the tokens.
template <class T, class Backend>
struct max_pooler : parameter_free_pooler<T, Backend, max_pooler<T, Backend>> {
  static constexpr auto name = "max";        ///< name in files
  static constexpr bool needs_rows = false;  ///< whether an instruction must have P tokens
  /// u (N, R) -> (B·P, R)
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& u, const std::vector<row_span>& rows,
                                   index_t soft_tokens) const {
    return ctx(span_max(u, parts(rows, soft_tokens)));
  }
};
/// The soft tokens are the first P tokens.
template <class T, class Backend>
struct first_pooler : parameter_free_pooler<T, Backend, first_pooler<T, Backend>> {
  static constexpr auto name = "first";     ///< name in files
  static constexpr bool needs_rows = true;  ///< whether an instruction must have P tokens
  /// u (N, R) -> (B·P, R)
  /// @throws shape_error if an instruction has fewer than P tokens
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& u, const std::vector<row_span>& rows,
                                   index_t soft_tokens) const {
    return ctx(gather(u, row_indices<Backend>(ctx.backend(), end_rows(rows, soft_tokens, false))));
  }
};
/// The soft tokens are the last P tokens.
template <class T, class Backend>
struct last_pooler : parameter_free_pooler<T, Backend, last_pooler<T, Backend>> {
  static constexpr auto name = "last";      ///< name in files
  static constexpr bool needs_rows = true;  ///< whether an instruction must have P tokens
  /// u (N, R) -> (B·P, R)
  /// @throws shape_error if an instruction has fewer than P tokens
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& u, const std::vector<row_span>& rows,
                                   index_t soft_tokens) const {
    return ctx(gather(u, row_indices<Backend>(ctx.backend(), end_rows(rows, soft_tokens, true))));
  }
};

}  // namespace iapt
