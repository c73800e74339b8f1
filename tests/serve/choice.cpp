// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/choice.hpp"

#include <limits>

#include "support/check.hpp"

namespace iapt::test::serve_choice {

TEST_CASE("the tokens of many requests are those of each alone, on any number of threads", "[serve]") {
  constexpr index_t rows = 9, vocabulary = 50;
  const std::vector<generation_options> options{{},
                                                {.sampling = {.temperature = 1, .seed = 3}},
                                                {.sampling = {.temperature = 2, .top_p = 0.8, .seed = 4}},
                                                {.sampling = {.repetition_penalty = 1.5}},
                                                {.log_probabilities = 3},
                                                {.sampling = {.temperature = 0.7, .top_k = 5}, .log_probabilities = 0},
                                                {.sampling = {.temperature = 1}},
                                                {}};
  const std::vector<token_id> prompt{1, 2, 3}, generated{4, 4};
  for (const int threads : {1, 2, 3, 16}) {
    test_backend backend = with_threads(threads);
    auto values = to_host(random_normal<double>(backend, extents<2>{rows, vocabulary}, 3, random_stream(1)));
    for (const index_t bad : {6, 7}) values[std::size_t(bad * vocabulary)] = std::numeric_limits<double>::quiet_NaN();
    const auto logits = from_host(backend, extents<2>{rows, vocabulary}, values);
    std::vector<token_choice> wanted;
    for (std::size_t i = 0; i < options.size(); ++i)
      wanted.push_back({&options[i], {prompt, generated}, i < 6 ? 5 - index_t(i) : index_t(i)});
    token_chooser choose;
    for (int again = 0; again < 2; ++again) {
      const auto found = choose(logits, wanted);
      REQUIRE(found.size() == options.size());
      for (std::size_t i = 0; i < options.size(); ++i) {
        CAPTURE(threads, i);
        CHECK(found[i].has_value() == (i < 6));
        if (i >= 6) continue;
        const std::span<const double> row(values.data() + wanted[i].row * vocabulary, std::size_t(vocabulary));
        sampler alone;
        CHECK(found[i]->token == alone(row, options[i].sampling, {prompt, generated}));
        REQUIRE(found[i]->log_probabilities.has_value() == options[i].log_probabilities.has_value());
        if (found[i]->log_probabilities)
          CHECK(found[i]->log_probabilities->chosen == log_probabilities(row, found[i]->token, 0).chosen);
      }
    }
    const generation_options wrong{.sampling = {.temperature = -1}};
    wanted[1].options = &wrong;
    CHECK_THROWS_AS(choose(logits, wanted), error);
    CHECK(choose(logits, {}).empty());
  }
}

}  // namespace iapt::test::serve_choice
