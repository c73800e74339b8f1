// SPDX-License-Identifier: Apache-2.0
// What the programs with a model share, on every device: flags of the same name, adapters of any type, stop tokens.
#pragma once
#include <iapt/portable.hpp>
#include <iostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace program {

/// Flags that programs with a model have.
struct common_flags {
  std::string model, device = "eigen";
  int threads = 0;
  void add(CLI::App& app);
};

/// Which types of generators this program knows, by output space: calls f(std::type_identity<Generator>).
/// @throws iapt::error naming what is not known
template <class Backend, class F>
auto with_generator(const std::string& output, F f) {
  if (output == "hidden") return f(std::type_identity<iapt::hidden_generator<float, Backend>>{});
  if (output == "hidden_gains") return f(std::type_identity<iapt::hidden_gains_generator<float, Backend>>{});
  if (output == "key_value") return f(std::type_identity<iapt::key_value_generator<float, Backend>>{});
  throw iapt::error("there is no output space \"" + output + "\"; choose hidden, hidden_gains or key_value");
}

/// Loads an adapter, or none where the path is empty, and calls f with the method.
template <class Backend, class F>
auto with_adapter(const iapt::language_model<float, Backend>& lm, const std::string& path, F f) {
  if (path.empty()) return f(iapt::bare{});
  const auto folder = iapt::adapter_folder(path);
  return with_generator<Backend>(iapt::read_adapter_description(folder).output, [&](auto type) {
    return f(iapt::load_adapter<typename decltype(type)::type>(lm, folder));
  });
}

/// The tokens that end an answer: the model's end token and, where its chat template is known, that of a turn.
/// @throws iapt::io_error if there is neither
template <class Model>
std::vector<iapt::token_id> stop_tokens(const Model& lm) {
  std::vector<iapt::token_id> stop;
  try {
    stop.push_back(lm.chat().end_of_turn(lm.tokenizer()));
  } catch (const iapt::io_error&) {}  // not a chat model
  if (const auto end = lm.tokenizer().eos()) stop.push_back(*end);
  if (stop.empty()) stop.push_back(lm.end_token());  // which says that there is none
  return stop;
}

/// Warns of sequences that are longer than the model was made for. It reads them, but may well make nothing of them.
template <class Model>
void warn_if_too_long(const Model& lm, iapt::extent tokens, const std::string& what) {
  if (const auto most = lm.config.max_positions; most > 0 && tokens > most)
    std::cerr << "warning: " << what << ": " << tokens << " tokens; the model was made for " << most << " positions\n";
}

}  // namespace program
