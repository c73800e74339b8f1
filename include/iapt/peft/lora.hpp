// SPDX-License-Identifier: Apache-2.0
// Low-rank adaptation: a product of two thin matrices beside chosen linear maps.
// Shapes: N rows, r rank; a site has `in` columns and `out` results.
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

/// Sizes and sites of LoRA, in the terms of PEFT's LoraConfig.
struct lora_options {
  index_t rank = 8;                                   ///< r
  double alpha = 16;                                  ///< the product counts alpha / r times
  bool rank_stabilised = false;                       ///< alpha / √r times instead
  std::vector<std::string> targets = {"all-linear"};  ///< sites: "q_proj" in every layer, or one by its whole name
  numbers_by_name<index_t> ranks = {};                ///< of sites whose rank differs, by patterns; the first counts
  numbers_by_name<double> alphas = {};                ///< of sites whose alpha differs, the same
  std::uint64_t seed = 0;                             ///< of the starting values

  /// f(option, value) for each that files and command lines know.
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
  /// The alpha of a site.
  double alpha_of(target_module where) const { return first_fitting(alphas, name_of(where), alpha); }
  /// Factor of a site's product, which is of this rank.
  double scale(target_module where, index_t rank) const {
    return alpha_of(where) / (rank_stabilised ? std::sqrt(double(rank)) : double(rank));
  }
  /// The rank at a site; 0 where it is left alone.
  index_t rank_of(target_module where) const {
    const std::string module = name_of(where);
    if (!any_names(targets, module)) return 0;
    return first_fitting(ranks, module, rank);
  }
  /// Whether a pattern of ranks or alphas fits a module: its whole name, or the end of it from a dot on. A pattern is a
  /// regular expression; those are understood that are names, with "^" before them, "." for any character and "\\." for
  /// a dot.
  /// @throws shape_error if it is another one
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

/// The method: y + scale · (x Aᵀ) Bᵀ at each chosen site.
/// @par Source E. Hu et al. 2021, "LoRA"; scale alpha / √r: D. Kalajdzievski 2023
template <class T, class Backend>
class lora_method {
 public:
  using value_type = T;
  using backend_type = Backend;              ///< machine it runs on
  using options_type = lora_options;         ///< what is chosen at run time
  static constexpr hook_set hooks{hook::delta, hook::low_rank};  ///< what it changes
  static constexpr auto name = "lora";       ///< on command lines
  static constexpr auto peft_type = "LORA";  ///< in PEFT's files
  /// In PEFT's files, and no matter once it is trained.
  static constexpr std::array harmless{
      known_setting{"lora_dropout"},        known_setting{"init_lora_weights", "true"},
      known_setting{"bias", "\"none\""},    known_setting{"init_lora_weights", "\"gaussian\""},
      known_setting{"layers_to_transform"}, known_setting{"init_lora_weights", "\"orthogonal\""},
      known_setting{"eva_config"},          known_setting{"init_lora_weights", "\"eva\""},
      known_setting{"layers_pattern"},      known_setting{"exclude_modules"},
      known_setting{"megatron_core"},       known_setting{"qalora_group_size"}};

  /// The two matrices of a site.
  struct factors {
    tensor<T, 2, Backend> down = {};  ///< A (r, in); empty where the site is left alone
    tensor<T, 2, Backend> up = {};    ///< B (out, r)
    double scale = 0;                 ///< of their product
  };
  lora_options options;                             ///< sizes and sites
  std::vector<std::array<factors, 7>> layers = {};  ///< by projection

  /// A method at its start: A of variance 1/(3·in), as PEFT's has, B zero, so that the model is the base model.
  /// @throws shape_error if the options make no method or no site
  template <class S>
  static lora_method make(const causal_lm<S, Backend>& lm, const lora_options& options) {
    check_bounds(options);
    lora_method method{options};
    std::uint64_t stream = 0;
    std::vector<std::string> modules;
    method.for_each_target(lm, [&](target_module where, factors& f, index_t out, index_t in) {
      ++stream;  // of every site, so that a site starts the same whatever the others are
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
      targets.assign(projection_names.begin(), projection_names.end());  // in a list PEFT knows names alone
    return method;
  }
  /// The method that a file holds: its sites are those that the file has matrices for.
  /// @throws io_error if the matrices do not fit the model
  /// @throws shape_error if there are none, or their ranks are not those of the options
  template <class S, class File>
  static lora_method read(const causal_lm<S, Backend>& lm, lora_options options, const File& file) {
    std::set<index_t> ranks{options.rank};  // patterns say which module has which; the tensors say it, too
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
  /// Adds all that a file must hold.
  template <class File>
  void store(File& file) const {
    visit([&](const std::string& name, const tensor<T, 2, Backend>& x) { file.add(name, x); });
  }
  /// What is trained.
  parameter_list<T, Backend> parameters() const {
    parameter_list<T, Backend> list;
    visit([&](const std::string& name, const tensor<T, 2, Backend>& x) { add_parameter(list, name, x); });
    return list;
  }

  /// What it adds at a site.   x (N, in) -> (N, out), or an empty handle
  template <class Context, class S>
  tensor<S, 2, Backend> delta(Context& ctx, target_module where, const tensor<S, 2, Backend>& x) const {
    const factors& f = layers[std::size_t(where.layer)][std::size_t(where.part)];
    if (!f.down) return {};
    const auto narrow = ctx(matmul(cast<T>(x), transposed(f.down)) * T(f.scale));
    return ctx(cast<S>(matmul(narrow, transposed(f.up))));
  }
  /// The two matrices of a site, as one pair among others; of rank 0 where it is left alone.
  low_rank_map<T> low_rank(target_module where) const {
    const factors& f = layers[std::size_t(where.layer)][std::size_t(where.part)];
    if (!f.down) return {};
    return {f.down.data(), f.up.data(), f.down.size(0), f.down.size(1), f.up.size(0), T(f.scale)};
  }

 private:
  static std::string file_name(target_module where, const char* which) {
    return "base_model.model." + name_of(where) + ".lora_" + which + ".weight";
  }
  // f(site, factors, out, in) for each linear map of a model.
  template <class S, class F>
  void for_each_target(const causal_lm<S, Backend>& lm, F f) {
    layers.resize(std::size_t(lm.config.layers));
    for (int l = 0; l < int(lm.config.layers); ++l)
      lm.layers[std::size_t(l)].each_linear([&](projection part, const linear<S, Backend>& map) {
        f(target_module{l, part}, layers[std::size_t(l)][std::size_t(part)], map.weight.size(0), map.weight.size(1));
      });
  }
  // f(name, tensor) for each matrix.
  template <class F>
  void visit(F f) const {
    for (std::size_t l = 0; l < layers.size(); ++l)
      for (std::size_t part = 0; part < layers[l].size(); ++part)
        if (const factors& one = layers[l][part]; one.down)
          f(file_name({int(l), projection(part)}, "A"), one.down),
              f(file_name({int(l), projection(part)}, "B"), one.up);
  }
};

/// LoRA at its start, for a backbone.
/// @throws shape_error if the options make no method or no site
template <class S, class Backend>
lora_method<compute_type<S>, Backend> make_lora(const causal_lm<S, Backend>& lm, const lora_options& options = {}) {
  return lora_method<compute_type<S>, Backend>::make(lm, options);
}

/// The model with the products added to its weights: what the unmerged method computes, to rounding, at the base
/// model's cost, for this one adapter. Weights that an adapter changes take memory of their own; the others are shared.
/// In bfloat16 a weight loses what is small beside it, which may be much of what was learnt.
template <class Model, class T, class Backend>
Model merged(Model lm, const lora_method<T, Backend>& method) {
  using S = typename Model::value_type;
  const inference<Backend> ctx(lm.backend());
  for (std::size_t l = 0; l < lm.layers.size(); ++l)
    lm.layers[l].each_linear([&](projection part, linear<S, Backend>& map) {
      if (const auto& f = method.layers[l][std::size_t(part)]; f.down)
        map.weight = ctx(cast<S>(cast<T>(map.weight.expanded()) + matmul(f.up, f.down) * T(f.scale)));
    });
  return lm;
}

}  // namespace iapt
