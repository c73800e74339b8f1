// SPDX-License-Identifier: Apache-2.0
// (IA)³: learned vectors that rescale keys, values and the feed-forward's inner activations.
// Shapes: N tokens; a target module has `in` inputs and `out` outputs.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "iapt/core/random.hpp"
#include "iapt/model/causal_lm.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/peft/option.hpp"
#include "iapt/peft/target_modules.hpp"

namespace iapt {

/// The target modules of (IA)³, in the terms of PEFT's IA3Config.
struct ia3_options {
  std::vector<std::string> targets = {"k_proj", "v_proj", "down_proj"};  ///< modules that have a vector
  std::vector<std::string> feed_forward = {"down_proj"};  ///< those of them whose inputs it rescales, not their outputs

  /// f(option, value) for each option of files and command lines.
  template <class Options, class F>
  static void visit(Options& o, F f) {
    f(option{"target_modules", "targets", "linear maps to adapt, separated by commas"}, o.targets);
    f(option{"feedforward_modules", "", "modules whose inputs are rescaled"}, o.feed_forward);
  }
};

/// The method: y = l ⊙ (x Wᵀ + b) for a target module, with a vector l (out); or y = (l ⊙ x) Wᵀ + b with l (in) for a
/// feed-forward module. The only feed-forward module can be down_proj: its inputs are silu(gate) ⊙ up, so l rescales
/// the outputs of up_proj instead, which is the same product.
/// @par Source H. Liu et al. 2022, "Few-shot parameter-efficient fine-tuning is better and cheaper than in-context
/// learning"
template <class T, class Backend>
class ia3_method {
 public:
  using value_type = T;
  using backend_type = Backend;                  ///< where its parameters are
  using options_type = ia3_options;              ///< what is chosen at run time
  using row = tensor<T, 1, Backend>;             ///< an element for each column
  static constexpr hook_set hooks{hook::scale};  ///< what it changes
  static constexpr auto name = "ia3";
  static constexpr auto peft_type = "IA3";  ///< in PEFT's files
  /// Settings in PEFT's files that do not change what is computed.
  static constexpr std::array harmless{known_setting{"init_ia3_weights"}, known_setting{"exclude_modules"},
                                       known_setting{"fan_in_fan_out"}};

  /// The vectors of one layer; empty for a module that is no target.
  struct vectors {
    std::array<row, 7> outputs = {};  ///< (out), by projection
    row inner = {};                   ///< (in) of down_proj
  };
  ia3_options options;               ///< the target modules
  std::vector<vectors> layers = {};  ///< the vectors of each layer

  /// The method at its start: all vectors are ones, so that the model is the base model.
  /// @throws shape_error if a target names no module, or a feed-forward module is not down_proj
  template <class S>
  static ia3_method make(const causal_lm<S, Backend>& lm, const ia3_options& options) {
    ia3_method method{options};
    auto& targets = method.options.targets;
    if (std::find(targets.begin(), targets.end(), "all-linear") != targets.end())
      targets.assign(projection_names.begin(), projection_names.end());  // PEFT knows only names in a list
    std::vector<std::string> modules, inputs;
    method.resize(lm);
    lm.each_linear([&](target_module where, const linear<S, Backend>& map) {
      modules.push_back(name_of(where));
      if (!any_names(targets, modules.back())) return;
      const bool inner = any_names(options.feed_forward, modules.back());
      if (inner) inputs.push_back(modules.back());
      row& l = method.vector(where, inner);
      l = filled<T>(lm.backend(), extents<1>{map.weight.size(inner ? 1 : 0)}, 1);
      l.track();
    });
    require_modules(name, targets, modules);
    // In PEFT's files feed-forward modules are some of the targets, by the same names.
    method.options.feed_forward.clear();
    for (const std::string& target : targets)
      if (std::any_of(inputs.begin(), inputs.end(), [&](const auto& module) { return names_module(target, module); }))
        method.options.feed_forward.push_back(target);
    return method;
  }
  /// The method of a file. Its target modules are those that the file has vectors for, and the shape of a vector says
  /// which kind it is.
  /// @throws io_error if the vectors do not fit the model
  /// @throws shape_error if there are none, or inputs of another module than down_proj are rescaled
  template <class S, class File>
  static ia3_method read(const causal_lm<S, Backend>& lm, const ia3_options& options, const File& file) {
    ia3_method method{options};
    method.options.targets.clear(), method.options.feed_forward.clear();
    method.resize(lm);
    lm.each_linear([&](target_module where, const linear<S, Backend>& map) {
      const std::string module = name_of(where);
      if (!file.has(file_name(module))) return;
      const bool inner = file.rows(file_name(module)) == 1 && map.weight.size(0) != 1;
      const index_t size = map.weight.size(inner ? 1 : 0);
      row& l = method.vector(where, inner);
      l = from_host(lm.backend(), extents<1>{size}, file.template read<T>(file_name(module), file_shape(size, inner)));
      l.track();
      method.options.targets.push_back(module);
      if (inner) method.options.feed_forward.push_back(module);
    });
    if (method.options.targets.empty()) throw shape_error("ia3: there is no vector for any linear map of the model");
    return method;
  }
  /// Adds its vectors to a file.
  template <class File>
  void store(File& file) const {
    visit([&](const std::string& module, const row& l, bool inputs) {
      file.add(file_name(module), file_shape(l.size(), inputs), to_host(l));
    });
  }
  /// What is trained.
  parameter_list<T, Backend> parameters() const {
    parameter_list<T, Backend> list;
    visit([&](const std::string& module, const row& l, bool) { add_parameter(list, file_name(module), l); });
    return list;
  }

  /// hook::scale: (out), or an empty handle
  template <class Context>
  row scale(Context& ctx, target_module where) const {
    const vectors& l = layers[std::size_t(where.layer)];
    const row& own = l.outputs[std::size_t(where.part)];
    if (where.part != projection::up || !l.inner) return own;
    return own ? row(ctx(own * l.inner)) : l.inner;
  }

 private:
  static std::string file_name(const std::string& module) { return "base_model.model." + module + ".ia3_l"; }
  // PEFT stores a vector of outputs as a column and one of inputs as a row, to multiply a weight (out, in).
  static std::vector<index_t> file_shape(index_t size, bool inputs) {
    return inputs ? std::vector<index_t>{1, size} : std::vector<index_t>{size, 1};
  }
  template <class S>
  void resize(const causal_lm<S, Backend>& lm) {
    layers.resize(lm.layers.size());
  }
  // The vector of a module's outputs, or of its inputs.
  row& vector(target_module where, bool inputs) {
    vectors& own = layers[std::size_t(where.layer)];
    if (!inputs) return own.outputs[std::size_t(where.part)];
    if (where.part != projection::down)
      throw shape_error("ia3: the inputs of \"" + name_of(where) + "\" cannot be rescaled, only those of down_proj");
    return own.inner;
  }
  // f(module, vector, whether it rescales inputs) for each vector.
  template <class F>
  void visit(F f) const {
    for (std::size_t l = 0; l < layers.size(); ++l) {
      for (std::size_t part = 0; part < projection_names.size(); ++part)
        if (const row& own = layers[l].outputs[part]) f(name_of({int(l), projection(part)}), own, false);
      if (layers[l].inner) f(name_of({int(l), projection::down}), layers[l].inner, true);
    }
  }
};

/// (IA)³ at its start, on a base model.
/// @throws shape_error if a target names no module, or a feed-forward module is not down_proj
template <class S, class Backend>
ia3_method<compute_type<S>, Backend> make_ia3(const causal_lm<S, Backend>& lm, const ia3_options& options = {}) {
  return ia3_method<compute_type<S>, Backend>::make(lm, options);
}

}  // namespace iapt
