// SPDX-License-Identifier: Apache-2.0
// The toy, trained, with all that can be seen of the run.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "iapt/train/trainer.hpp"
#include "support/temporary_folder.hpp"
#include "train/toy.hpp"

namespace iapt::test {

/// A run and everything that can be seen of it.
template <class T>
struct toy_run {
  int threads = 1;
  test_backend backend = with_threads(threads);
  toy_model<T> model{backend};
  toy_method<T> method{backend};
  std::vector<example> train_set = counting(25, 1), dev_set = counting(12, 2);
  std::vector<std::string> said = {}, saved = {};
  std::vector<progress_state> states = {};
  index_t interrupt_after = -1;
  std::function<void()> before_commit = {}, after_commit = {}, after_step = {};  // of an adapter, of a step

  train_result operator()(const train_options& options) {
    train_callbacks calls;
    calls.save = [&](const std::filesystem::path& folder) {
      saved.push_back(folder.filename().string());
      std::ostringstream text;
      text.precision(17);
      for (T x : method.values()) text << x << '\n';
      constexpr std::array files{"values"};
      atomic_folder writer(folder, files);
      write_text_file(writer.partial() / files[0], text.str());
      if (before_commit) before_commit();
      writer.commit();
      if (after_commit) after_commit();
    };
    calls.require_replaceable = [](const std::filesystem::path& folder) { require_replaceable(folder, "values"); };
    calls.say = [&](const std::string& text) { said.push_back(text); };
    calls.progress = [&](const progress_state& state) {
      states.push_back(state);
      if (after_step) after_step();
    };
    calls.interrupted = [&] { return interrupt_after >= 0 && states.back().step >= interrupt_after; };
    return trainer(backend, model, method, std::span<const example>(train_set), std::span<const example>(dev_set),
                   options, calls)
        .run();
  }
};
/// What the runs of the tests have in common.
inline train_options settings(const std::filesystem::path& out = {}) {
  return {.epochs = 3,
          .batch = 4,
          .seed = 5,
          .optimizer = {.learning_rate = 0.05, .coefficients = group_settings{.learning_rate = 0.01}},
          .eval_every = 3,
          .out = out};
}
/// What a run left in its folder, for comparison.
inline std::map<std::string, std::string> files(const std::filesystem::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) all[std::filesystem::relative(entry.path(), folder).string()] = contents(entry.path());
  return all;
}

}  // namespace iapt::test
