// SPDX-License-Identifier: Apache-2.0
// What the programs with a model share, on every device: flags of the same name, warnings. A program includes what
// it needs of the library and no more, for a compiler reads it once for each device and type of number.
#pragma once
#include <iapt/io/load_causal_lm.hpp>
#include <iostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace program {

/// Says what is odd, and done all the same.
inline void warn(const std::string& text) { std::cerr << "warning: " + text + "\n"; }

/// Flags that programs with a model have.
struct common_flags {
  std::string model, device = "eigen", dtype;
  int threads = 0;
  void add(CLI::App& app);
};
/// And those that train no model.
struct inference_flags : common_flags {
  bool batch_invariant = false, expand_weights = false;
  void add(CLI::App& app);
  /// The model, its weights as the file has them where the machine is no slower for it.
  template <class T, class Backend>
  auto load(Backend& backend) const {
    const bool stored = Backend::streams_quantized && !expand_weights;
    return iapt::load_causal_lm<T>(
        model, backend, {.weights = stored ? iapt::weights_as::stored : iapt::weights_as::expanded, .warn = warn});
  }
};
/// And those that take an adapter (support/adapted_model.hpp).
struct adapted_flags : inference_flags {
  std::string adapter;
  bool merge = false;
  void add(CLI::App& app);
};

/// Warns of sequences that are longer than the model was made for. It reads them, but may well make nothing of them.
template <class Model>
void warn_if_too_long(const Model& lm, iapt::index_t tokens, const std::string& what) {
  if (const auto most = lm.config.max_positions; most > 0 && tokens > most)
    warn(what + ": " + std::to_string(tokens) + " tokens; the model was made for " + std::to_string(most) +
         " positions");
}

}  // namespace program
