// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda
// Short runs of IAPT on a real model: they repeat and resume byte for byte, and threads change rounding only.
#include <map>

#include "iapt/io/adapter.hpp"
#include "iapt/train/trainer.hpp"
#include "support/check.hpp"
#include "support/model.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::train_real_model {
namespace {

using model_type = language_model<float, test_backend>;
using method_type = iapt_method<key_value_generator<float, test_backend>>;

method_type new_method(const model_type& lm) {
  return make_iapt<key_value_generator<float, test_backend>>(
      lm, {.soft_tokens = 4, .bottleneck = 16, .start_text = lm.tokenizer().encode("Read the request and answer it.")});
}
std::vector<example> capitals(const model_type& lm) {
  std::vector<example> all;
  for (const auto& [country, capital] : {std::pair{"France", "Paris"},
                                         {"Norway", "Oslo"},
                                         {"Peru", "Lima"},
                                         {"Kenya", "Nairobi"},
                                         {"Japan", "Tokyo"},
                                         {"Cuba", "Havana"},
                                         {"Egypt", "Cairo"},
                                         {"Austria", "Vienna"},
                                         {"Ghana", "Accra"},
                                         {"Spain", "Madrid"}}) {
    all.push_back({.instruction = lm.tokenizer().encode(std::string("The capital of ") + country + " is"),
                   .response = lm.tokenizer().encode(std::string(" ") + capital + "."),
                   .line = all.size() + 1});
    all.back().response.push_back(*lm.tokenizer().eos());
  }
  return all;
}
/// What a run leaves: trained values, and the last losses.
struct trained {
  std::vector<std::vector<double>> values;
  std::vector<double> losses;
};
std::vector<std::vector<double>> values_of_all(method_type& method) {
  std::vector<std::vector<double>> all;
  for (const auto& p : method.parameters()) all.push_back(values_of(p.values));
  return all;
}
/// Eight examples in batches of two: four steps, with evaluations after the third and the last.
trained train(const model_type& lm, const std::filesystem::path& out, bool resume = false, index_t stop_after = -1) {
  method_type method = new_method(lm);
  const auto examples = capitals(lm);
  const std::span<const example> all(examples);
  index_t step = 0;
  train_callbacks calls;
  calls.save = [&](const std::filesystem::path& folder) { save_adapter(method, lm, folder); };
  calls.progress = [&](const progress_state& state) { step = state.step; };
  calls.interrupted = [&] { return step == stop_after; };
  const auto result =
      trainer(
          lm.backend(), lm, method, all.first(8), all.last(2),
          {.batch = 2, .seed = 3, .optimizer = {.learning_rate = 5e-3}, .eval_every = 3, .out = out, .resume = resume},
          calls)
          .run();
  CHECK(result.steps == (stop_after < 0 ? 4 : stop_after));
  CHECK(result.end == (stop_after < 0 ? train_end::finished : train_end::interrupted));
  return {values_of_all(method), {result.loss, result.dev_loss.value_or(0)}};
}
std::map<std::string, std::string> files(const std::filesystem::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) all[std::filesystem::relative(entry.path(), folder).string()] = contents(entry.path());
  return all;
}
void check_equal_files(const std::filesystem::path& found, const std::filesystem::path& expected) {
  const auto left = files(found), right = files(expected);
  REQUIRE(right.size() == 7);  // best and last of two files, the checkpoint's two, metrics
  CHECK(left.size() == right.size());
  for (const auto& [name, bytes] : right) {
    INFO(name);
    REQUIRE(left.count(name) == 1);
    CHECK((left.at(name) == bytes));  // not shown: they are long
  }
}

}  // namespace

TEST_CASE("runs on a real model repeat, resume, and do not depend on the number of threads", "[model]") {
  const auto path = require_model();
  if (!path) return;
  const temporary_folder folder;
  trained two, one;
  std::vector<std::vector<double>> start;
  {
    test_backend backend = with_threads(2);
    const auto lm = load_causal_lm<float>(*path, backend);
    auto untrained = new_method(lm);
    start = values_of_all(untrained);
    two = train(lm, folder.path() / "whole");
    CHECK((train(lm, folder.path() / "again").values == two.values));
    check_equal_files(folder.path() / "again", folder.path() / "whole");

    train(lm, folder.path() / "parts", false, 2);
    CHECK((train(lm, folder.path() / "parts", true).values == two.values));
    check_equal_files(folder.path() / "parts", folder.path() / "whole");
  }
  {
    test_backend backend = with_threads(1);
    const auto lm = load_causal_lm<float>(*path, backend);
    one = train(lm, folder.path() / "one");
  }
  // AdamW divides each entry by its own size, so an entry whose gradient is nearly nothing follows the rounding: single
  // entries differ by up to 8e-4 of their tensor's largest (6e-3 with Eigen's products), tensors as a whole by 3e-5
  // (3.4e-4), losses by 3e-6 (2e-5). Every tensor was moved by the training, the one that moved least by 4e-3.
  REQUIRE(one.values.size() == two.values.size());
  double rounding = 0, learned = 1;
  for (std::size_t i = 0; i < two.values.size(); ++i) {
    rounding = std::max(rounding, distance(one.values[i], two.values[i]));
    learned = std::min(learned, difference(start[i], two.values[i]));
  }
  CHECK(rounding <= 2e-3);
  CHECK(learned > 1e-3);
  for (int i : {0, 1}) CHECK(one.losses[i] == Approx(two.losses[i]).epsilon(2e-4));
}

}  // namespace iapt::test::train_real_model
