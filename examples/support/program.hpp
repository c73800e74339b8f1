// SPDX-License-Identifier: Apache-2.0
// What all programs with a model share, on every device: common flags and warnings. A program includes only the
// headers that it needs, because it is compiled once for each device and element type.
#pragma once
#include <iapt/io/load_causal_lm.hpp>
#include <iostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace program {

/// Prints a warning; the program continues.
inline void warn(const std::string& text) { std::cerr << "warning: " + text + "\n"; }

/// Flags of all programs with a model.
struct common_flags {
  std::string model, device = "eigen", dtype;
  int threads = 0;
  void add(CLI::App& app);
};
/// Flags of programs that do not train.
struct inference_flags : common_flags {
  bool batch_invariant = false, expand_weights = false;
  void add(CLI::App& app);
  /// Loads the model. Weights keep the file's format if the backend is no slower with it.
  template <class T, class Backend>
  auto load(Backend& backend) const {
    const bool stored = Backend::streams_quantized && !expand_weights;
    return iapt::load_causal_lm<T>(
        model, backend, {.weights = stored ? iapt::weights_as::stored : iapt::weights_as::expanded, .warn = warn});
  }
};
/// Flags of programs that load an adapter (support/adapted_model.hpp).
struct adapted_flags : inference_flags {
  std::string adapter;
  bool merge = false;
  void add(CLI::App& app);
};

/// Warns of sequences that are longer than the model was trained for. It computes them, but the results may be useless.
template <class Model>
void warn_if_too_long(const Model& lm, iapt::index_t tokens, const std::string& what) {
  if (const auto most = lm.config.max_positions; most > 0 && tokens > most)
    warn(what + ": " + std::to_string(tokens) + " tokens; the model was made for " + std::to_string(most) +
         " positions");
}

}  // namespace program
