// SPDX-License-Identifier: Apache-2.0
// The causal language model: embedding, layers, norm, head.
// Shapes: N tokens of B sequences, M logit rows, D hidden size, V vocabulary, P soft tokens.
#pragma once
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "iapt/autograd/tape.hpp"
#include "iapt/model/batch_metadata.hpp"
#include "iapt/nn/hook_contract.hpp"
#include "iapt/ops/weight_matrix.hpp"

namespace iapt {

/// A causal transformer of the Llama architecture. Its weights are constants: a tape records only what depends on a
/// method's parameters. The same code trains (with a tape) and serves (with inference).
template <class T, class Backend>
class causal_lm {
  struct step;

 public:
  using value_type = T;
  using backend_type = Backend;  ///< backend of its tensors

  transformer_config config;                      ///< sizes and switches
  weight_matrix<T, Backend> embedding;            ///< (V, D)
  std::vector<decoder_layer<T, Backend>> layers;  ///< L layers
  norm_layer<T, Backend> final_norm;              ///< norm before the head
  weight_matrix<T, Backend> head;                 ///< (V, D); the embedding itself if they are tied
  bool recompute_layers = false;  ///< whether training stores only each layer's input and computes the layer again;
                                  ///< model and method must then keep their addresses until backward()

  /// The backend of its weights.
  Backend& backend() const { return embedding.backend(); }
  /// Calls f(target_module, linear map) for each linear map of the layers.
  template <class F>
  void each_linear(F f) {
    each_linear_of(*this, f);
  }
  /// The same, for constant maps.
  template <class F>
  void each_linear(F f) const {
    each_linear_of(*this, f);
  }

  /// The logits of the logit rows (M, V).
  /// @throws shape_error if a token is not in the vocabulary or an instruction is too short
  template <class Context, class Method = no_method>
  tensor<T, 2, Backend> operator()(Context& ctx, const packed_batch& batch, const Method& method = {}) const {
    return read_batch(ctx, batch, method, nullptr);
  }
  /// Computes prompts (prefill) into an empty cache, and the logits of the logit rows (M, V).
  /// @throws shape_error as above, or if the cache is not empty or has no room
  template <class Method = no_method>
  tensor<T, 2, Backend> prefill(const packed_batch& batch, kv_cache<T, Backend>& cache,
                                const Method& method = {}) const {
    index_t blocks = 0;
    for (std::size_t b = 0; b < batch.sequences.size(); ++b) {
      cache.require_room(0, index_t(b), batch.sequences[b].count + soft_token_count(method));
      blocks += cache.blocks_for(batch.sequences[b].count + soft_token_count(method));
      if (cache.filled(0, index_t(b)))
        throw shape_error("prefill: sequence " + std::to_string(b) + " of the cache has rows already; take a new one");
    }
    cache.require_blocks(blocks);
    inference<Backend> ctx(backend());
    auto logits = read_batch(ctx, batch, method, &cache);
    for (std::size_t b = 0; b < batch.sequences.size(); ++b)
      cache.next_position(b) = batch.sequences[b].count + soft_token_count(method);
    return logits;
  }
  /// Computes the tokens that `metadata` describes and appends their keys and values to their sequences in the cache.
  /// Those of soft tokens come before the first token that attends to them. Returns logits (M, V).
  /// @throws shape_error if a token is not in the vocabulary, or the cache has no room
  template <class Method = no_method>
  tensor<T, 2, Backend> forward(batch_metadata metadata, kv_cache<T, Backend>& cache, const Method& method = {}) const {
    forward_pass all(*this, std::move(metadata), cache, method);
    all.advance(config.layers);
    const inference<Backend> ctx(backend());
    return logits(ctx, all.states());
  }
  /// A forward pass as in `forward`, but some layers at a time: between two of them, other passes may use other
  /// sequences of the cache. Model, cache and method must outlive it.
  template <class Method>
  class forward_pass {
   public:
    /// Starts before the first layer.
    /// @throws shape_error if a token is not in the vocabulary
    forward_pass(const causal_lm& lm, batch_metadata metadata, kv_cache<T, Backend>& cache, const Method& method)
        : lm_(lm), cache_(cache), method_(method), step_(std::make_shared<step>()) {
      for (const token_id token : metadata.tokens) check_token(token, lm.config);
      for (index_t l = 0; l < lm.config.layers; ++l) step_->past.push_back(cache.layer(l));
      step_->metadata = std::move(metadata);
      step_->table = cache.table();
      inference<Backend> ctx(lm.backend());
      x_ = lm.begin(ctx, *step_, method);
    }
    /// Runs `layers` layers, or those that are left.
    /// @return how many
    /// @throws shape_error if the cache has no room
    index_t advance(index_t layers) {
      inference<Backend> ctx(lm_.backend());
      const index_t first = next_;
      for (; layers > 0 && !done(); --layers) x_ = lm_.run_layer(ctx, *step_, method_, next_++, x_, &cache_);
      return next_ - first;
    }
    /// Whether all layers have run.
    bool done() const { return next_ == lm_.config.layers; }
    /// The last layer's result for the logit rows (M, D); `causal_lm::logits` computes their logits.
    tensor<T, 2, Backend> states() const { return lm_.logit_states(inference<Backend>(lm_.backend()), *step_, x_); }

   private:
    const causal_lm& lm_;
    kv_cache<T, Backend>& cache_;
    const Method& method_;
    std::shared_ptr<step> step_;
    tensor<T, 2, Backend> x_;  // (N, D)
    index_t next_ = 0;         // index of the next layer
  };
  /// The hidden states that enter each layer of the base model (N, D), of all tokens in the batch's order.
  std::vector<tensor<T, 2, Backend>> layer_inputs(const packed_batch& batch) const {
    inference<Backend> ctx(backend());
    const batch_metadata metadata = plan_front(batch, 0);
    std::vector<tensor<T, 2, Backend>> states;
    attention_view<T, Backend> view = view_of(metadata);
    auto x = embed(ctx, row_indices<Backend>(backend(), metadata.tokens), no_method{});
    for (index_t l = 0; l < config.layers; ++l) {
      states.push_back(x);
      x = layers[l](ctx, x, layers[l].attention_norm(ctx, x), no_method{}, int(l), view).y;
    }
    return states;
  }

  /// The embeddings of tokens (N, D), after the method's `input` hook if it has one.
  template <class Context, class Method>
  tensor<T, 2, Backend> embed(Context& ctx, const row_indices<Backend>& tokens, const Method& method) const {
    static_assert(check_hooks<Method, Context, T, Backend>());
    auto x = ctx(gather(embedding, tokens));
    if (config.embedding_scale != 1) x = ctx(x * T(config.embedding_scale));
    if constexpr (declares<Method>(hook::input))
      if (uses(method, hook::input)) return method.input(ctx, x);
    return x;
  }
  /// The last norm and the head.   x (M, D) -> (M, V)
  template <class Context>
  tensor<T, 2, Backend> logits(Context& ctx, const tensor<T, 2, Backend>& x) const {
    if (x.size(0) == 0) return tensor<T, 2, Backend>(backend(), {0, config.vocabulary});
    const auto y = ctx(matmul(final_norm(ctx, x), transposed(head)));
    return config.logit_scale == 1 ? y : ctx(y * T(config.logit_scale));
  }
  /// RoPE frequencies, one for each pair of a head's elements: the angle of position 1.
  std::vector<double> frequencies() const { return rope_frequencies(config.heads.head_size, config.rope); }

 private:
  template <class Model, class F>
  static void each_linear_of(Model& model, F& f) {
    for (std::size_t l = 0; l < model.layers.size(); ++l)
      model.layers[l].each_linear([&](projection part, auto& map) { f(target_module{int(l), part}, map); });
  }
  // One forward pass. A layer that is computed again for the gradient needs it, so it is shared with the tape.
  struct step {
    batch_metadata metadata;                    // tokens, positions, attention segments
    attention_view<T, Backend> view;            // attention inputs that all layers have in common
    tensor<T, 2, Backend> soft_cos_sin;         // cosines and sines of the soft tokens
    std::vector<key_values<T, Backend>> past;   // keys and values of each layer; empty: none
    block_table table;                          // blocks of the past
    std::vector<tensor<T, 2, Backend>> states;  // each layer's generator input, if it is not a state of this pass
  };

  template <class Context, class Method>
  tensor<T, 2, Backend> read_batch(Context& ctx, const packed_batch& batch, const Method& method,
                                   kv_cache<T, Backend>* cache) const {
    const bool late = stands_late(method);
    check(batch, config, late ? 2 : 1);
    auto p = std::make_shared<step>();
    if (late) {
      index_t longest = 0;
      for (const packed_sequence& s : batch.sequences) longest = std::max(longest, s.instruction - 1);
      std::optional<kv_cache<T, Backend>> own;
      if (!cache) own.emplace(backend(), config, index_t(batch.sequences.size()), longest);
      kv_cache<T, Backend>& store = cache ? *cache : *own;
      const batch_metadata context = plan_context(batch);
      p->states = read_context(context, method, store);
      for (index_t l = 0; l < config.layers; ++l) p->past.push_back(store.layer(l));
      p->metadata = plan_late(batch, soft_token_count(method), context, store);
      p->table = store.table();
    } else {
      p->metadata = plan_front(batch, soft_token_count(method), is_static_prompt(method));
    }
    return run(ctx, p, method, cache);
  }

  // Computes the tokens before late soft tokens, which these cannot change. It is the base model and is never recorded,
  // so no backward pass goes through these tokens.
  template <class Method>
  std::vector<tensor<T, 2, Backend>> read_context(const batch_metadata& metadata, const Method& method,
                                                  kv_cache<T, Backend>& cache) const {
    inference<Backend> ctx(backend());
    std::vector<tensor<T, 2, Backend>> states;
    const attention_view<T, Backend> view = view_of(metadata);
    auto x = embed(ctx, row_indices<Backend>(backend(), metadata.tokens), no_method{});
    for (index_t l = 0; l < config.layers; ++l) {
      auto h = layers[l].attention_norm(ctx, x);
      states.push_back(reads_raw_states(method) ? x : h);
      auto result = layers[l](ctx, x, h, no_method{}, int(l), view);
      for (std::size_t b = 0; b < metadata.segments.size(); ++b)
        cache.append(l, index_t(b), result.own, metadata.segments[b].begin, metadata.segments[b].count);
      x = result.y;
    }
    return states;
  }

  // All layers, then the head. Fills the cache if there is one.
  template <class Context, class Method>
  tensor<T, 2, Backend> run(Context& ctx, const std::shared_ptr<step>& p, const Method& method,
                            kv_cache<T, Backend>* cache) const {
    auto x = begin(ctx, *p, method);
    for (index_t l = 0; l < config.layers; ++l) {
      const auto layer_pass = [this, p, &method, l, cache](auto& run, const tensor<T, 2, Backend>& x) {
        return run_layer(run, *p, method, l, x, cache);
      };
      if constexpr (Context::records)
        x = recompute_layers ? ctx.recompute(layer_pass, x) : layer_pass(ctx, x);
      else
        x = layer_pass(ctx, x);
    }
    return logits(ctx, logit_states(ctx, *p, x));
  }
  // What enters the first layer (N, D).
  template <class Context, class Method>
  tensor<T, 2, Backend> begin(Context& ctx, step& p, const Method& method) const {
    p.view = view_of(p.metadata, p.table);
    if (!p.metadata.soft_positions.empty())
      p.soft_cos_sin = rope_cos_sin<T>(backend(), frequencies(), p.metadata.soft_positions);
    return embed(ctx, row_indices<Backend>(backend(), p.metadata.tokens), method);
  }
  // One layer.   x (N, D) -> (N, D)
  template <class Context, class Method>
  tensor<T, 2, Backend> run_layer(Context& ctx, const step& p, const Method& method, index_t l,
                                  const tensor<T, 2, Backend>& x, kv_cache<T, Backend>* cache) const {
    attention_view<T, Backend> view = p.view;
    if (!p.past.empty()) view.past = p.past[l];
    auto h = layers[l].attention_norm(ctx, x);
    if (cache && cache->size().store_hidden_states) store_hidden_states(*cache, l, p.metadata, h);
    if constexpr (writes_soft_tokens<Method>) {
      const auto states = !p.states.empty() ? p.states[l] : reads_raw_states(method) ? x : h;
      if (!p.metadata.soft_positions.empty())
        view.prefix = method.prefix(ctx, int(l), layers[l], states, p.metadata.instructions, p.soft_cos_sin);
    }
    auto result = layers[l](ctx, x, h, method, int(l), view);
    if (cache) fill(*cache, l, p.metadata, view, result.own);
    return result.y;
  }
  // Selects the logit rows: the head is computed for these only.   x (N, D) -> (M, D)
  template <class Context>
  tensor<T, 2, Backend> logit_states(Context&& ctx, const step& p, const tensor<T, 2, Backend>& x) const {
    if (p.metadata.logit_rows.empty()) return tensor<T, 2, Backend>(backend(), {0, config.hidden});
    return ctx(gather(x, row_indices<Backend>(backend(), p.metadata.logit_rows)));
  }

  static void fill(kv_cache<T, Backend>& cache, index_t l, const batch_metadata& metadata,
                   const attention_view<T, Backend>& view, const key_values<T, Backend>& own) {
    for (std::size_t b = 0; b < metadata.segments.size(); ++b) {
      const attention_segment& s = metadata.segments[b];
      const index_t before = rows_before(s);
      cache.append(l, metadata.sequence(b), own, s.begin, before);
      if (s.soft_count) cache.append(l, metadata.sequence(b), *view.prefix, s.soft_begin, s.soft_count);
      cache.append(l, metadata.sequence(b), own, s.begin + before, s.count - before);
    }
  }
  // Stores what a late generator may read in a later step: the states of tokens that attend to no soft token of this
  // pass.
  static void store_hidden_states(kv_cache<T, Backend>& cache, index_t l, const batch_metadata& metadata,
                                  const tensor<T, 2, Backend>& h) {
    for (std::size_t b = 0; b < metadata.segments.size(); ++b)
      cache.store_hidden_states(l, metadata.sequence(b), h, metadata.segments[b].begin,
                                rows_before(metadata.segments[b]));
  }
  static index_t rows_before(const attention_segment& s) {
    return s.soft_count ? std::min(visibility(s, key_kind::soft).first_query(), s.count) : s.count;
  }
  attention_view<T, Backend> view_of(const batch_metadata& metadata, const block_table& table = {}) const {
    return {{metadata.segments, table}, rope_cos_sin<T>(backend(), frequencies(), metadata.positions), {}, {}};
  }
};

}  // namespace iapt
