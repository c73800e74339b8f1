// SPDX-License-Identifier: Apache-2.0
// Self-attention pooling: each soft token is a weighted mean of its sequence's rows.
// Shapes: N rows of B segments, R columns, P soft tokens.
#pragma once
#include <cmath>

#include "iapt/expr/scalar_math.hpp"
#include "iapt/ops/segments.hpp"

namespace iapt {

/// Team kernel: k = b·P + p; weights a = softmax of scores[:, p] over segment b, z = Σ_i a_i u_i.
template <class T>
struct attention_pool_row {
  using value_type = T;
  const T *u,                  ///< rows (N, R)
      *scores;                 ///< scores (N, P)
  const std::int32_t* bounds;  ///< bounds of the segments (2B)
  T* z;                        ///< result (B·P, R)
  compute_type<T>* weights;    ///< softmax of the scores (N, P)
  index_t columns,             ///< R
      tokens;                  ///< P
  /// Computes soft token k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const index_t begin = bounds[k / tokens * 2], end = bounds[k / tokens * 2 + 1], p = k % tokens;
    const column<const T> score{scores + begin * tokens + p, tokens};
    const column<compute_type<T>> weight{weights + begin * tokens + p, tokens};
    using C = compute_type<T>;
    const C top = team.max(end - begin, lowest<C>, [&](auto i) { return score[i]; });
    const C total = team.sum(end - begin, [&](auto i) {
      using std::exp;
      const auto w = exp(score[i] - top);
      weight.store(i, w);
      return w;
    });
    team.for_each(end - begin, [&](auto i) { weight.store(i, weight[i] * (1 / total)); });
    team.barrier();
    const row<T> out{z + k * columns};
    team.for_each(columns, [&](auto j) {
      auto total = row<const T>{u + begin * columns}[j] * weights[begin * tokens + p];
      for (index_t i = begin + 1; i < end; ++i)
        total = total + row<const T>{u + i * columns}[j] * weights[i * tokens + p];
      out[j] = total;
    });
  }
};
/// Team kernel: level[k] = ⟨z_k, dz_k⟩ of soft token k.
template <class T>
struct attention_pool_level {
  using value_type = T;
  const T *z,              ///< result (B·P, R)
      *dz;                 ///< its adjoint (B·P, R)
  compute_type<T>* level;  ///< result (B·P)
  index_t columns;         ///< R
  /// Computes soft token k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const row<const T> mean{z + k * columns}, d{dz + k * columns};
    const auto s = team.sum(columns, [&](auto j) { return d[j] * mean[j]; });
    team.single([&] { level[k] = s; });
  }
};
/// Team kernel: adjoints of rows and scores; one team computes one row of a segment.
template <class T>
struct attention_pool_adjoint {
  using value_type = T;
  const T* u;                      ///< rows (N, R)
  const compute_type<T>* weights;  ///< softmax of the scores (N, P)
  const T* dz;                     ///< adjoint of the result (B·P, R)
  const compute_type<T>* level;    ///< ⟨z, dz⟩ (B·P)
  const std::int32_t* bounds;      ///< bounds of the segments (2B)
  T *du,                           ///< adjoint of the rows (N, R), or null
      *dscores;                    ///< adjoint of the scores (N, P), or null
  index_t columns,                 ///< R
      tokens,                      ///< P
      longest;                     ///< rows of the longest segment
  /// Row k % longest of segment k / longest, if the segment has it. Both adjoints are added to what is there.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const index_t segment = k / longest, i = bounds[segment * 2] + k % longest;
    if (i >= bounds[segment * 2 + 1]) return;
    const row<const T> x{u + i * columns};
    for (index_t p = 0; dscores && p < tokens; ++p) {
      const row<const T> d{dz + (segment * tokens + p) * columns};
      const auto slope = team.sum(columns, [&](auto j) { return d[j] * x[j]; });
      team.single([&] {
        T& to = dscores[i * tokens + p];
        to = to + weights[i * tokens + p] * (slope - level[segment * tokens + p]);
      });
    }
    if (du) {
      const row<T> to{du + i * columns};
      team.for_each(columns, [&](auto j) {
        auto total = to(j);
        for (index_t p = 0; p < tokens; ++p)
          total = total + row<const T>{dz + (segment * tokens + p) * columns}[j] * weights[i * tokens + p];
        to[j] = total;
      });
    }
  }
};

/// z[b, p] = Σ_i a_ip u_i over the rows of segment b, a_·p = softmax of scores[·, p] over them.
/// @par Gradient du_i = Σ_p a_ip dz_p,  dscores_ip = a_ip (⟨u_i, dz_p⟩ − ⟨z_p, dz_p⟩)
/// @par Source   self-attention pooling, sister papers of IAPT, ACL 2024
template <class T, class Backend>
struct attention_pool_op {
  static constexpr auto name = "attention_pool";
  static constexpr int rank = 2;
  static constexpr bool reads_result = true;         ///< the gradient computes ⟨z, dz⟩ from z
  std::vector<row_span> segments;                    ///< rows of each sequence (B)
  tensor<compute_type<T>, 2, Backend> weights = {};  ///< softmax of the scores, saved for backward (N, P)
  tensor<std::int32_t, 1, Backend> bounds = {};      ///< bounds of the segments, on the backend

  /// (N, R) and (N, P) -> (B·P, R)
  template <class U, class S>
  extents<2> shape(const U& u, const S& scores) const {
    if (u.size(0) != scores.size(0))
      throw shape_error("attention_pool: rows " + to_text(u.shape()) + " with scores " + to_text(scores.shape()));
    return {index_t(segments.size()) * scores.size(1), u.size(1)};
  }
  /// The adjoint of the scores reads the rows; no gradient reads the scores.
  template <class U, class S>
  std::array<bool, 2> reads(const U&, const S&) const {
    return {true, false};
  }
  /// Computes z.
  template <class Y, class U, class S>
  void forward(Backend& b, const Y& z, const U& u, const S& scores) {
    bounds = span_bounds(b, segments, u.size(0), name);
    weights = tensor<compute_type<T>, 2, Backend>(b, scores.shape());
    b.for_each_team(z.size(0), u.size(0) * u.size(1) / std::max<index_t>(1, segments.size()),
                    attention_pool_row<T>{u.data(), scores.data(), bounds.data(), z.write(), weights.write(), u.size(1),
                                          scores.size(1)});
  }
  /// Computes du and dscores.
  template <class Y, class U, class S>
  void backward(Backend& b, const Y& z, const U& u, const S& scores) const {
    const auto adjoint = [&](const auto& x) {
      const auto [d, accumulates] = x.adjoint();
      if (d && !accumulates) b.zero(d, x.size());
      return d;
    };
    T* du = adjoint(u);
    T* dscores = adjoint(scores);
    buffer<compute_type<T>, Backend> level(b, z.size(0));
    const T* dz = z.gradient().data();
    b.for_each_team(z.size(0), u.size(1), attention_pool_level<T>{z.data(), dz, level.write(), u.size(1)});
    index_t longest = 0;
    for (const row_span& s : segments) longest = std::max(longest, s.count());
    b.for_each_team(index_t(segments.size()) * longest, u.size(1) * scores.size(1),
                    attention_pool_adjoint<T>{u.data(), weights.data(), dz, level.data(), bounds.data(), du, dscores,
                                              u.size(1), scores.size(1), longest});
  }
};

/// u (N, R), scores (N, P) -> (B·P, R), P rows for each segment. Segments share no rows; rows outside of all segments
/// are not read.
/// @throws shape_error (when evaluated) if a segment is empty or exceeds the rows of u
template <expression_of_rank<2> U, expression_of_rank<2> S>
auto attention_pool(const U& u, const S& scores, std::vector<row_span> segments) {
  using tensor_type = decltype(std::declval<U>());
  using T = typename std::remove_cvref_t<tensor_type>::value_type;
  using Backend = typename std::remove_cvref_t<tensor_type>::backend_type;
  return operate(attention_pool_op<T, Backend>{std::move(segments)}, u, scores);
}

}  // namespace iapt
