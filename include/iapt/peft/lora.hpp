// SPDX-License-Identifier: Apache-2.0
// LoRA, low-rank adaptation: adds a product of two low-rank matrices to the results of chosen linear maps.
// Shapes: N tokens, r rank; a target module has `in` inputs and `out` outputs.
#pragma once
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/core/random.hpp"
#include "iapt/model/causal_lm.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/ops/bgmv.hpp"
#include "iapt/ops/cast.hpp"
#include "iapt/peft/option.hpp"
#include "iapt/peft/target_modules.hpp"

namespace iapt {

/// Ranks, scales and target modules of LoRA, named as in PEFT's LoraConfig.
struct lora_options {
  index_t rank = 8;                                   ///< r
  double alpha = 16;                                  ///< the product is scaled by alpha / r
  bool rank_stabilised = false;                       ///< the product is scaled by alpha / √r instead
  std::vector<std::string> targets = {"all-linear"};  ///< target modules: "q_proj" in every layer, or a full name
  numbers_by_name<index_t> ranks = {};                ///< other ranks, by pattern of modules; the first match counts
  numbers_by_name<double> alphas = {};                ///< other alphas, in the same way
  std::uint64_t seed = 0;                             ///< seed of the initial values

  /// Calls f(option, value) for each option of files and command lines.
  template <class Options, class F>
  static void visit(Options& o, F f) {
    f(option{"r", "rank", "of the products", 1, 65536}, o.rank);
    f(option{"lora_alpha", "alpha", "the products count alpha / rank times", 1e-6, 1e6}, o.alpha);
    f(option{"use_rslora", "rank-stabilised", "the products count alpha / sqrt(rank) times"}, o.rank_stabilised);
    f(option{"target_modules", "targets",
             "linear maps, by commas: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or all-linear"},
      o.targets);
    f(option{"rank_pattern", "", "other ranks", 1, 65536}, o.ranks);
    f(option{"alpha_pattern", "", "other alphas", 1e-6, 1e6}, o.alphas);
  }
  /// The alpha of a target module.
  double alpha_of(target_module where) const { return first_fitting(alphas, name_of(where), alpha); }
  /// Factor of the product at a target module with this rank.
  double scale(target_module where, index_t rank) const {
    return alpha_of(where) / (rank_stabilised ? std::sqrt(double(rank)) : double(rank));
  }
  /// The rank at a target module; 0 if it is not adapted.
  index_t rank_of(target_module where) const {
    const std::string module = name_of(where);
    if (!any_names(targets, module)) return 0;
    return first_fitting(ranks, module, rank);
  }
  /// Whether a pattern of ranks or alphas matches a module: the full name, or an end of it that begins after a dot. A
  /// pattern is a regular expression. Supported are names, with "^" before them, "." for any character and "\\." for a
  /// dot.
  /// @throws shape_error for any other pattern
  /// @par Source PEFT's get_pattern_key
  static bool fits(std::string_view pattern, std::string_view module) {
    const bool from_start = pattern.starts_with('^');
    std::string_view rest = pattern.substr(from_start);
    for (std::size_t i = 0; i < rest.size(); ++i) {
      const auto c = static_cast<unsigned char>(rest[i]);
      if (!std::isalnum(c) && c != '_' && c != '-' && c != '.' && !rest.substr(i).starts_with("\\."))
        throw shape_error("lora: the pattern \"" + std::string(pattern) +
                          "\" is a regular expression that is not supported; name each module instead");
    }
    std::size_t left = module.size();
    while (!rest.empty()) {
      const bool dot = rest.ends_with("\\."), any = !dot && rest.back() == '.';
      if (left == 0 || !(any || module[left - 1] == rest.back())) return false;
      rest.remove_suffix(dot ? 2 : 1);
      --left;
    }
    return left == 0 || (!from_start && module[left - 1] == '.');
  }

 private:
  template <class V>
  static V first_fitting(const numbers_by_name<V>& numbers, std::string_view module, V otherwise) {
    for (const auto& [pattern, number] : numbers)
      if (fits(pattern, module)) return number;
    return otherwise;
  }
};

/// The method: y + scale · (x Aᵀ) Bᵀ at each target module.
/// @par Source E. Hu et al. 2021, "LoRA"; scale alpha / √r: D. Kalajdzievski 2023
template <class T, class Backend>
class lora_method {
 public:
  using value_type = T;
  using backend_type = Backend;                                  ///< backend of its tensors
  using options_type = lora_options;                             ///< its options
  static constexpr hook_set hooks{hook::delta, hook::low_rank};  ///< what it changes
  static constexpr auto name = "lora";                           ///< name on command lines
  static constexpr auto peft_type = "LORA";                      ///< name in PEFT's files
  /// Settings in PEFT's files that change nothing once the adapter is trained.
  static constexpr std::array harmless{
      known_setting{"lora_dropout"},        known_setting{"init_lora_weights", "true"},
      known_setting{"bias", "\"none\""},    known_setting{"init_lora_weights", "\"gaussian\""},
      known_setting{"layers_to_transform"}, known_setting{"init_lora_weights", "\"orthogonal\""},
      known_setting{"eva_config"},          known_setting{"init_lora_weights", "\"eva\""},
      known_setting{"layers_pattern"},      known_setting{"exclude_modules"},
      known_setting{"megatron_core"},       known_setting{"qalora_group_size"}};

  /// The two matrices of a target module.
  struct factors {
    tensor<T, 2, Backend> down = {};  ///< A (r, in); empty if the module is not adapted
    tensor<T, 2, Backend> up = {};    ///< B (out, r)
    double scale = 0;                 ///< factor of their product
  };
  lora_options options;                             ///< ranks, scales and target modules
  std::vector<std::array<factors, 7>> layers = {};  ///< matrices of each layer, by projection

  /// The initial method: A has variance 1/(3·in), as in PEFT, and B is zero, so the results are the base model's.
  /// @throws shape_error if an option is out of bounds or a target names no linear map
  template <class S>
  static lora_method make(const causal_lm<S, Backend>& lm, const lora_options& options) {
    check_bounds(options);
    lora_method method{options};
    std::uint64_t stream = 0;
    std::vector<std::string> modules;
    method.for_each_target(lm, [&](target_module where, factors& f, index_t out, index_t in) {
      ++stream;  // counts all modules, so a module's initial values do not depend on the targets
      modules.push_back(name_of(where));
      const index_t rank = options.rank_of(where);
      if (!rank) return;
      f = {random_normal<T>(lm.backend(), extents<2>{rank, in}, 1 / std::sqrt(3 * double(in)),
                            random_stream(options.seed, stream)),
           filled<T>(lm.backend(), extents<2>{out, rank}, 0), options.scale(where, rank)};
      f.down.track(), f.up.track();
    });
    require_modules(name, options.targets, modules);
    auto& targets = method.options.targets;
    if (std::find(targets.begin(), targets.end(), "all-linear") != targets.end())
      targets.assign(projection_names.begin(), projection_names.end());  // PEFT takes only names in a list
    return method;
  }
  /// Reads the method from a file. Its target modules are those that the file has matrices for.
  /// @throws io_error if the matrices do not fit the model
  /// @throws shape_error if there are none, or the options do not have their ranks
  template <class S, class File>
  static lora_method read(const causal_lm<S, Backend>& lm, lora_options options, const File& file) {
    std::set<index_t> ranks{options.rank};  // the tensors must have one of these ranks
    for (const auto& [pattern, rank] : options.ranks) ranks.insert(rank);
    lora_method method{options};
    method.options.targets.clear(), method.options.ranks.clear(), method.options.alphas.clear();
    method.for_each_target(lm, [&](target_module where, factors& f, index_t out, index_t in) {
      const std::string down = file_name(where, "A"), up = file_name(where, "B");
      if (!file.has(down) && !file.has(up)) return;
      const index_t rank = file.rows(down);
      if (!ranks.contains(rank))
        throw shape_error("lora: \"" + down + "\" has rank " + std::to_string(rank) +
                          ", which neither r nor rank_pattern says");
      f = {from_host(lm.backend(), extents<2>{rank, in}, file.template read<T>(down, {rank, in})),
           from_host(lm.backend(), extents<2>{out, rank}, file.template read<T>(up, {out, rank})),
           options.scale(where, rank)};
      f.down.track(), f.up.track();
      method.options.targets.push_back(name_of(where));
      if (rank != options.rank) method.options.ranks.emplace_back(name_of(where), rank);
      if (const double alpha = options.alpha_of(where); alpha != options.alpha)
        method.options.alphas.emplace_back(name_of(where), alpha);
    });
    if (method.options.targets.empty()) throw shape_error("lora: there is no matrix for any linear map of the model");
    return method;
  }
  /// Adds all tensors that a file must have.
  template <class File>
  void store(File& file) const {
    visit([&](const std::string& name, const tensor<T, 2, Backend>& x) { file.add(name, x); });
  }
  /// The trainable tensors.
  parameter_list<T, Backend> parameters() const {
    parameter_list<T, Backend> list;
    visit([&](const std::string& name, const tensor<T, 2, Backend>& x) { add_parameter(list, name, x); });
    return list;
  }

  /// What it adds to the result of a linear map.   x (N, in) -> (N, out), or an empty handle
  template <class Context, class S>
  tensor<S, 2, Backend> delta(Context& ctx, target_module where, const tensor<S, 2, Backend>& x) const {
    const factors& f = layers[std::size_t(where.layer)][std::size_t(where.part)];
    if (!f.down) return {};
    const auto narrow = ctx(matmul(cast<T>(x), transposed(f.down)) * T(f.scale));
    return ctx(cast<S>(matmul(narrow, transposed(f.up))));
  }
  /// The two matrices of a target module for BGMV; rank 0 if it is not adapted.
  low_rank_map<T> low_rank(target_module where) const {
    const factors& f = layers[std::size_t(where.layer)][std::size_t(where.part)];
    if (!f.down) return {};
    return {f.down.data(), f.up.data(), f.down.size(0), f.down.size(1), f.up.size(0), T(f.scale)};
  }

 private:
  static std::string file_name(target_module where, const char* which) {
    return "base_model.model." + name_of(where) + ".lora_" + which + ".weight";
  }
  // Calls f(target module, factors, out, in) for each linear map of a model.
  template <class S, class F>
  void for_each_target(const causal_lm<S, Backend>& lm, F f) {
    layers.resize(std::size_t(lm.config.layers));
    lm.each_linear([&](target_module where, const linear<S, Backend>& map) {
      f(where, layers[std::size_t(where.layer)][std::size_t(where.part)], map.weight.size(0), map.weight.size(1));
    });
  }
  // Calls f(name, tensor) for each matrix.
  template <class F>
  void visit(F f) const {
    for (std::size_t l = 0; l < layers.size(); ++l)
      for (std::size_t part = 0; part < layers[l].size(); ++part)
        if (const factors& one = layers[l][part]; one.down)
          f(file_name({int(l), projection(part)}, "A"), one.down),
              f(file_name({int(l), projection(part)}, "B"), one.up);
  }
};

/// The initial LoRA for a base model.
/// @throws shape_error if an option is out of bounds or a target names no linear map
template <class S, class Backend>
lora_method<compute_type<S>, Backend> make_lora(const causal_lm<S, Backend>& lm, const lora_options& options = {}) {
  return lora_method<compute_type<S>, Backend>::make(lm, options);
}

/// The model with the products added to its weights: it computes what the unmerged method computes, except for
/// rounding, at the base model's cost, for this one adapter. Weights that an adapter changes get memory of their own;
/// the others are shared. In bfloat16 a weight loses changes that are small beside it, which may be much of what was
/// learnt.
template <class Model, class T, class Backend>
Model merged(Model lm, const lora_method<T, Backend>& method) {
  using S = typename Model::value_type;
  const inference<Backend> ctx(lm.backend());
  lm.each_linear([&](target_module where, linear<S, Backend>& map) {
    if (const auto& f = method.layers[std::size_t(where.layer)][std::size_t(where.part)]; f.down)
      map.weight = ctx(cast<S>(cast<T>(map.weight.expanded()) + matmul(f.up, f.down) * T(f.scale)));
  });
  return lm;
}

}  // namespace iapt
