// SPDX-License-Identifier: Apache-2.0
// What the programs with a model share: flags of the same name everywhere, adapters of any type, stop tokens.
#pragma once
#include <iapt/iapt.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "command_line.hpp"

namespace program {

using backend = iapt::eigen_backend;
using model = iapt::language_model<float, backend>;

/// Flags that programs with a model have.
struct common_flags {
  std::string model;
  int threads = 0;
  void add(CLI::App& app) {
    app.add_option("--model", model, "a .gguf file or a Hugging Face folder")->required()->check(not_empty());
    app.add_option("--threads", threads, "threads to use; 0: all")->check(between<int>(0, 1024))->capture_default_str();
  }
};

/// Which types of generators this program knows, by output space: calls f(std::type_identity<Generator>).
/// @throws iapt::error naming what is not known
template <class F>
auto with_generator(const std::string& output, F f) {
  if (output == "hidden") return f(std::type_identity<iapt::hidden_generator<float, backend>>{});
  if (output == "hidden_gains") return f(std::type_identity<iapt::hidden_gains_generator<float, backend>>{});
  if (output == "key_value") return f(std::type_identity<iapt::key_value_generator<float, backend>>{});
  throw iapt::error("there is no output space \"" + output + "\"; choose hidden, hidden_gains or key_value");
}

/// Loads an adapter, or none where the path is empty, and calls f with the method.
template <class F>
auto with_adapter(const model& lm, const std::string& path, F f) {
  if (path.empty()) return f(iapt::bare{});
  const auto folder = iapt::adapter_folder(path);
  return with_generator(iapt::read_adapter_description(folder).output,
                        [&](auto type) { return f(iapt::load_adapter<typename decltype(type)::type>(lm, folder)); });
}

/// The tokens that end an answer: the model's end token and, where its chat template is known, that of a turn.
/// @throws iapt::io_error if there is neither
inline std::vector<iapt::token_id> stop_tokens(const model& lm) {
  std::vector<iapt::token_id> stop;
  try {
    stop.push_back(lm.chat().end_of_turn(lm.tokenizer()));
  } catch (const iapt::io_error&) {}  // not a chat model
  if (const auto end = lm.tokenizer().eos()) stop.push_back(*end);
  if (stop.empty()) stop.push_back(lm.end_token());  // which says that there is none
  return stop;
}

/// Warns of sequences that are longer than the model was made for. It reads them, but may well make nothing of them.
inline void warn_if_too_long(const model& lm, iapt::extent tokens, const std::string& what) {
  if (const auto most = lm.config.max_positions; most > 0 && tokens > most)
    std::cerr << "warning: " << what << ": " << tokens << " tokens; the model was made for " << most << " positions\n";
}

}  // namespace program
