// SPDX-License-Identifier: Apache-2.0
// A method whose type is known at run time only, and a batch in which every sequence has its own.
// Shapes: N rows of B sequences, G key/value heads, E numbers in a head, P soft tokens.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "iapt/autograd/tape.hpp"
#include "iapt/model/causal_lm.hpp"
#include "iapt/ops/bgmv.hpp"

namespace iapt {

/// A method at work on a backbone of type T, whatever it is: a method itself, through which nothing is trained, and
/// what a batch of many tenants needs of it.
template <class T, class Backend>
class any_method {
 public:
  using matrix = tensor<T, 2, Backend>;  ///< rows of numbers
  virtual ~any_method() = default;
  /// Unique in the process, from 1 on; 0 stands for the base model.
  std::uint64_t id() const { return id_; }
  /// P; 0 where it writes none.
  virtual index_t soft_tokens() const = 0;
  /// Where the soft tokens stand.
  virtual placement where() const = 0;
  /// Rows that soft tokens must be written from, at least; 1 where none are.
  virtual index_t shortest_instruction() const = 0;
  /// Whether all sequences have the same soft tokens.
  virtual bool is_static_prompt() const = 0;
  /// Whether it adds to the results of linear maps.
  virtual bool has_delta() const = 0;
  /// Keys and values of a layer's soft tokens (B·P, G·E), or (P, G·E) where they are shared.
  virtual key_values<T, Backend> prefix(inference<Backend>& ctx, int number, const decoder_layer<T, Backend>& layer,
                                        const matrix& states, const std::vector<row_span>& rows,
                                        const matrix& cos_sin) const = 0;
  /// What it adds at a site.   x (N, in) -> (N, out), or an empty handle
  virtual matrix delta(inference<Backend>& ctx, target_module where, const matrix& x) const = 0;
  /// Whether all that it adds are low-rank products.
  virtual bool is_low_rank() const = 0;
  /// These matrices at a site; of rank 0 where it adds nothing.
  virtual low_rank_map<compute_type<T>> low_rank(target_module where) const = 0;

 private:
  inline static std::atomic<std::uint64_t> last_id_ = 0;
  std::uint64_t id_ = ++last_id_;
};

/// A method of a known type as one of any.
template <class T, class Backend, class Method>
class any_method_of final : public any_method<T, Backend> {
 public:
  using typename any_method<T, Backend>::matrix;
  /// Takes it over.
  explicit any_method_of(Method method) : method_(std::move(method)) {
    static_assert(!has_other_hooks, "a batch of many methods has the hooks prefix and delta alone");
  }
  index_t soft_tokens() const override { return soft_token_count(method_); }
  placement where() const override { return stands_late(method_) ? placement::late : placement::front; }
  index_t shortest_instruction() const override {
    if constexpr (requires { method_.shortest_instruction(); }) return method_.shortest_instruction();
    return 1;
  }
  bool is_static_prompt() const override { return iapt::is_static_prompt(method_); }
  bool has_delta() const override {
    return requires(inference<Backend> & ctx, target_module s, const matrix& x) { method_.delta(ctx, s, x); };
  }
  key_values<T, Backend> prefix(inference<Backend>& ctx, int number, const decoder_layer<T, Backend>& layer,
                                const matrix& states, const std::vector<row_span>& rows,
                                const matrix& cos_sin) const override {
    if constexpr (writes_soft_tokens<Method>)
      return method_.prefix(ctx, number, layer, states, rows, cos_sin);
    else
      return {};
  }
  matrix delta(inference<Backend>& ctx, target_module where, const matrix& x) const override {
    if constexpr (requires { method_.delta(ctx, where, x); })
      return method_.delta(ctx, where, x);
    else
      return {};
  }
  bool is_low_rank() const override {
    return requires(target_module s) { method_.low_rank(s); };
  }
  low_rank_map<compute_type<T>> low_rank(target_module where) const override {
    if constexpr (requires { method_.low_rank(where); })
      return method_.low_rank(where);
    else
      return {};
  }

 private:
  static constexpr bool has_other_hooks = requires(const Method& m, target_module where) { m.scale(where); }
  || requires(const Method& m, target_module where) { m.bias(where); }
  || requires(const Method& m, inference<Backend>& ctx, const matrix& x) { m.input(ctx, x); }
  || requires(const Method& m, inference<Backend>& ctx, const matrix& x) { m.after(ctx, 0, sublayer::attention, x, x); }
  || requires { requires Method::reads_raw_states; };
  Method method_;
};

/// A method for a batch of many tenants; null is the base model.
template <class T, class Backend>
using method_ptr = std::shared_ptr<const any_method<T, Backend>>;
/// A method of a known type, for a backbone of type T, among others.
template <class T, class Backend, class Method>
method_ptr<T, Backend> erase_method(const causal_lm<T, Backend>&, Method method) {
  return std::make_shared<const any_method_of<T, Backend, Method>>(std::move(method));
}

/// The low-rank maps of several methods at all sites: BGMV computes a site's products in two kernels, for any number
/// of methods.
template <class T, class Backend>
class lora_batch {
 public:
  using matrix = tensor<T, 2, Backend>;              ///< rows of numbers
  using method_type = const any_method<T, Backend>;  ///< null: adds nothing

  /// Of so many layers; row i of the pass has the method numbered which[i].
  lora_batch(Backend& backend, int layers, const std::vector<method_type*>& methods,
             const std::vector<std::int32_t>& which)
      : methods_(index_t(methods.size())), which_(from_host(backend, extents<1>{index_t(which.size())}, which)) {
    std::vector<map_type> maps;
    for (int l = 0; l < layers; ++l)
      for (std::size_t part = 0; part < projection_names.size(); ++part) {
        place& here = places_.emplace_back();
        for (method_type* method : methods) {
          maps.push_back(method ? method->low_rank({l, projection(part)}) : map_type());
          if (!maps.back().rank) continue;
          if (!here.max_rank) here.in = maps.back().in, here.out = maps.back().out;
          here.alike = here.alike && here.in == maps.back().in && here.out == maps.back().out;
          here.max_rank = std::max(here.max_rank, maps.back().rank);
        }
      }
    maps_ = std::make_shared<buffer<map_type, Backend>>(backend, index_t(maps.size()));
    backend.upload(maps_->write(), maps.data(), maps_->size());
  }
  /// What they add at a site.   x (N, in) -> (N, out), or an empty handle
  /// @throws shape_error if a method's matrices are of another model's sizes
  matrix delta(target_module where, const matrix& x) const {
    const std::size_t number = std::size_t(where.layer) * projection_names.size() + std::size_t(where.part);
    const place& here = places_[number];
    if (!here.max_rank) return {};
    if (!here.alike || here.in != x.size(1))
      throw shape_error("an adapter's matrices for " + name_of(where) + " do not fit the model's rows, " +
                        to_text(x.shape()));
    return bgmv(x.backend(), x, {maps_->data() + index_t(number) * methods_, which_.data(), here.max_rank}, here.out);
  }

 private:
  using map_type = low_rank_map<compute_type<T>>;
  struct place {
    index_t max_rank = 0, in = 0, out = 0;
    bool alike = true;  // whether all maps are of these sizes
  };
  index_t methods_;
  tensor<std::int32_t, 1, Backend> which_;
  std::vector<place> places_;
  std::shared_ptr<buffer<map_type, Backend>> maps_;  // by site, then by method
};

/// The methods of one pass. Sequences of one method lie side by side, so that each of its products is one for all of
/// them. Nothing is trained through it.
template <class T, class Backend>
class mixed_method {
 public:
  using matrix = tensor<T, 2, Backend>;  ///< rows of numbers

  /// Rows and soft tokens of the sequences that have one method.
  struct part {
    const any_method<T, Backend>* method;     ///< theirs
    row_span rows;                            ///< of the pass
    row_span soft;                            ///< among the pass's soft tokens
    std::vector<row_span> instructions = {};  ///< rows that their soft tokens are written from
    std::optional<row_indices<Backend>> stored_rows =
        {};                      ///< rows of the cache that they read, if not rows of the batch
    bool in_lora_batch = false;  ///< whether lora_batch computes what it adds
  };
  std::vector<part> parts = {};                     ///< in the order of their rows
  index_t soft_rows = 0;                            ///< soft tokens of the pass
  const kv_cache<T, Backend>* cache = nullptr;      ///< that kept rows are of
  std::optional<lora_batch<T, Backend>> lora = {};  ///< the low-rank products that plan_lora_batch() found

  /// Prepares BGMV for the parts of few rows whose methods add low-rank products alone. A batch-invariant backend does
  /// without: there a product of few rows has the same bits as one of many.
  void plan_lora_batch(Backend& backend, int layers) {
    constexpr index_t max_rows = 16;  // beyond these a matrix product for each method is faster
    if constexpr (requires { backend.batch_invariant(); })
      if (backend.batch_invariant()) return;
    bool any = false;
    for (part& p : parts) any |= p.in_lora_batch = p.method && p.method->is_low_rank() && p.rows.count() <= max_rows;
    if (!any) return;
    std::vector<const any_method<T, Backend>*> methods;
    std::vector<std::int32_t> which;
    for (const part& p : parts) {
      which.insert(which.end(), std::size_t(p.rows.count()), std::int32_t(methods.size()));
      methods.push_back(p.in_lora_batch ? p.method : nullptr);
    }
    lora.emplace(backend, layers, methods, which);
  }

  /// Not asked: a pass of many methods is planned sequence by sequence.
  index_t soft_tokens() const { return 0; }
  /// Not asked.
  placement where() const { return placement::front; }
  /// All soft tokens of a layer, part by part.
  key_values<T, Backend> prefix(inference<Backend>& ctx, int number, const decoder_layer<T, Backend>& layer,
                                const matrix& states, const std::vector<row_span>&, const matrix& cos_sin) const {
    const extents<2> shape{soft_rows, layer.attention.layout.kv_heads * layer.attention.layout.head_size};
    key_values<T, Backend> all{matrix(ctx.backend(), shape), matrix(ctx.backend(), shape)};
    for (const part& p : parts) {
      if (p.soft.begin == p.soft.end) continue;
      const auto own = p.method->prefix(
          ctx, number, layer, p.stored_rows ? ctx(gather(cache->hidden_states(number), *p.stored_rows)) : states,
          p.instructions, cos_sin.slice(p.soft.begin, p.soft.end));
      put(all.keys, p.soft, own.keys), put(all.values, p.soft, own.values);
    }
    return all;
  }
  /// What the methods add at a site.   x (N, in) -> (N, out), or an empty handle
  matrix delta(inference<Backend>& ctx, target_module where, const matrix& x) const {
    matrix all = lora ? lora->delta(where, x) : matrix();
    for (const part& p : parts) {
      if (!p.method || p.in_lora_batch || !p.method->has_delta()) continue;
      const bool alone = p.rows.begin == 0 && p.rows.end == x.size(0);
      const matrix own = p.method->delta(ctx, where, alone ? x : x.slice(p.rows.begin, p.rows.end));
      if (!own) continue;
      if (alone) return own;
      if (!all) {
        all = matrix(ctx.backend(), {x.size(0), own.size(1)});
        ctx.backend().zero(all.write(), all.size());
      }
      put(all, p.rows, own);
    }
    return all;
  }

 private:
  static void put(const matrix& to, row_span rows, const matrix& from) {
    to.backend().copy(to.write() + rows.begin * to.size(1), from.data(), from.size());
  }
};

}  // namespace iapt
