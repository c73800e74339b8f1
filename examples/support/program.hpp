// SPDX-License-Identifier: Apache-2.0
// What the example programs share: flags of the same name everywhere, and errors on one line.
#pragma once
#include <CLI/CLI.hpp>
#include <iapt/iapt.hpp>
#include <iostream>
#include <string>

namespace program {

using backend = iapt::eigen_backend;
using model = iapt::language_model<float, backend>;

/// Flags that every program has.
struct common_flags {
  std::string model;
  int threads = 0;
  void add(CLI::App& app) {
    app.add_option("--model", model, "a .gguf file or a Hugging Face folder")->required();
    app.add_option("--threads", threads, "threads to use; 0: all")->capture_default_str();
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

/// Runs a program: exit status 1 and one message where it fails, 130 where it was interrupted.
template <class F>
int run(CLI::App& app, int argc, char** argv, F body) {
  try {
    app.parse(argc, argv);
    return body();
  } catch (const CLI::ParseError& failure) { return app.exit(failure); } catch (const std::exception& failure) {
    std::cerr << "iapt: " << failure.what() << '\n';
    return 1;
  }
}

}  // namespace program
