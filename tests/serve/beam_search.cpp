// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/beam_search.hpp"

#include <nlohmann/json.hpp>

#include "data/byte_tokenizer.hpp"
#include "iapt/io/adapter.hpp"
#include "iapt/peft/known_methods.hpp"
#include "iapt/serve/beams.hpp"
#include "iapt/serve/generate.hpp"
#include "support/model.hpp"
#include "support/small_model.hpp"

namespace iapt::test::serve_beam_search {
namespace {

using tokens = std::vector<token_id>;

/// A model whose logits depend on the last token alone: log p of the next one, by rows.
beam_search searched(const generation_options& options, const std::vector<std::vector<double>>& log_p) {
  beam_search search(options);
  sampler sample;
  while (!search.done()) {
    std::vector<double> rows;
    for (const auto& one : search.living()) {
      const auto& row = log_p[std::size_t(one.tokens.empty() ? 0 : one.tokens.back())];
      rows.insert(rows.end(), row.begin(), row.end());
    }
    search.step(sample, std::span<const double>(rows), tokens{0});
  }
  return search;
}
std::vector<std::vector<double>> log_of(std::vector<std::vector<double>> p) {
  for (auto& row : p)
    for (double& x : row) x = std::log(x);
  return p;
}

}  // namespace

TEST_CASE("a beam finds what the likeliest first token hides", "[serve]") {
  // After 0 comes 1 or 2; what follows 2 is certain. Token 3 ends.
  const auto log_p = log_of({{.1, .5, .3, .1}, {.25, .25, .25, .25}, {.02, .02, .02, .94}, {.25, .25, .25, .25}});
  const auto best = [&](index_t beams, double penalty) {
    const generation_options options{.max_new = 4, .stop = {3}, .beams = beams, .length_penalty = penalty};
    return searched(options, log_p).best();
  };
  CHECK(best(2, 1).tokens == tokens{2});
  CHECK(best(2, 1).stopped);
  CHECK(best(2, 1).score == Approx(std::log(.3 * .94) / 2));
  CHECK(best(1, 1).tokens != tokens{2});
  CHECK(best(4, 0).tokens == tokens{2});
  CHECK(best(2, 0).score == Approx(std::log(.3 * .94)));
  CHECK(best(4, 9).tokens.size() >= 3);  // dividing by 4^9 asks for all the length there is
}

TEST_CASE("an end that is not among the best of its step does not count", "[serve]") {
  // Tokens 12 and 13 end. The second end would make two, which nothing that lives then beats for a while.
  std::vector<std::vector<double>> p(14, std::vector<double>(14, 1e-9));
  p[0][12] = .4, p[0][1] = .3, p[0][13] = .2, p[0][2] = .1;
  for (std::size_t token = 3; token < 12; ++token) p[1][token] = p[2][token] = 1. / 9, p[token][token] = 1;
  const auto found = searched({.max_new = 10, .stop = {12, 13}, .beams = 2}, log_of(p)).best();
  CHECK(found.tokens.size() == 10);
  CHECK_FALSE(found.stopped);
}

TEST_CASE("options of beams that make no sense are refused", "[serve]") {
  const auto refused = [](const generation_options& options) { return message_of<error>([&] { options.check(); }); };
  CHECK(refused({.beams = 0}).find("beams") != std::string::npos);
  CHECK(refused({.beams = 65}).find("64") != std::string::npos);
  CHECK(refused({.sampling = {.temperature = 1}, .beams = 2}).find("temperature") != std::string::npos);
  CHECK(refused({.beams = 2, .length_penalty = INFINITY}).find("length_penalty") != std::string::npos);
  CHECK(refused({.beams = 64}) == "nothing thrown");
}

TEST_CASE("an engine's beams are those of a search that reads everything anew", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  std::size_t preemptions = 0;
  const auto check = [&](const auto& method) {
    const std::vector<tokens> prompts{small_tokens(21, 1), small_tokens(16, 2), small_tokens(5, 3),
                                      small_tokens(16, 4)};
    std::vector<generation_options> options;
    for (const index_t beams : {3, 2, 1, 4})
      options.push_back({.max_new = 11, .stop = {4, 9, 17}, .beams = beams, .length_penalty = 0.5});
    std::vector<tokens> expected;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      beam_search search(options[i]);
      sampler sample;
      while (!search.done()) {
        std::vector<double> rows;
        for (const auto& one : search.living()) {
          packed_batch batch;
          tokens response = one.tokens;
          response.push_back(0);  // whose row nobody reads
          batch.add(prompts[i], response);
          batch.logit_rows = {std::int32_t(batch.tokens.size() - 1)};
          const auto row = logits(lm, batch, method);
          rows.insert(rows.end(), row.begin(), row.end());
        }
        search.step(sample, std::span<const double>(rows), prompts[i]);
      }
      expected.push_back(search.best().tokens);
    }
    CHECK(generate_with_beams(lm, erase_method(lm, method), prompts, options) == expected);
    // Where memory is short, one preempts the other.
    engine<double, test_backend> server(
        lm,
        {.cache = {.sequences = 6, .blocks = 25, .block_size = 4, .max_blocks_per_seq = 10}, .max_prefill_tokens = 6});
    std::vector<tokens> found(prompts.size());
    for (std::size_t i = 0; i < prompts.size(); ++i)
      server.submit({.prompt = prompts[i],
                     .options = options[i],
                     .method = erase_method(lm, method),
                     .on_token = [&found, i](const chosen_token& one) { return found[i].push_back(one.token), true; }});
    for (std::size_t passes = 0; server.step();) REQUIRE(++passes < 1000);
    CHECK(found == expected);
    preemptions += server.preemptions();
    CHECK(server.cache().free_blocks() + server.cache().evictable_blocks() == 25);
  };
  check(no_method{});
  check(moved(make_lora(lm, {.rank = 2, .seed = 1}), 0.2));
  check(make_p_tuning_v2(lm, {.soft_tokens = 3, .start = prefix_start::random, .seed = 4}));
  for (const placement where : {placement::front, placement::late})
    check(moved(make_iapt<key_value_generator<double, test_backend>>(
                    lm, {.soft_tokens = 2, .bottleneck = 4, .where = where, .start = prompt_start::random}),
                0.2));
  CHECK(preemptions > 0);
}

TEST_CASE("a search that gave its blocks back waits until there are as many again", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  engine<double, test_backend> server(
      lm, {.cache = {.sequences = 6, .blocks = 40, .block_size = 4, .max_blocks_per_seq = 20}});
  for (const index_t beams : {1, 1, 4})
    server.submit({.prompt = small_tokens(16, std::uint64_t(beams)),
                   .options = {.max_new = beams > 1 ? 28 : 50, .beams = beams}});
  index_t rows = 0;
  for (std::size_t passes = 0; server.step(); rows += server.last_step().decode) REQUIRE(++passes < 1000);
  CHECK(server.preemptions() > 0);  // 17 blocks for each of the long ones, 32 for the beams
  CHECK(server.preemptions() < 3);
  CHECK(rows < 2 * 50 + 3 * 4 * 28);
}

TEST_CASE("beams are transformers', with PEFT's adapters too", "[serve]") {
  test_backend backend = with_threads(1);
  const auto cases = nlohmann::json::parse(read_text_file(test_data("beams.json")));
  REQUIRE(cases.size() > 40);
  for (const auto& one : cases) {
    CAPTURE(one.dump());
    const auto path = test_data("models/" + one["model"].get<std::string>());
    const language_model<double, test_backend> lm{load_backbone<double>(path, backend), byte_tokenizer(), path};
    const std::vector<tokens> prompts{one["prompt"].get<tokens>()};
    const std::vector<generation_options> options{{.max_new = one["max_new"],
                                                   .stop = one["stop"].get<tokens>(),
                                                   .beams = one["beams"],
                                                   .length_penalty = one["length_penalty"]}};
    const auto check = [&](const auto& method) {
      CHECK(generate_with_beams(lm, erase_method(lm, method), prompts, options)[0] == one["tokens"].get<tokens>());
    };
    if (one["adapter"].is_null())
      check(no_method{});
    else
      with_adapter(lm, test_data("adapters/" + one["adapter"].get<std::string>()), check);
  }
}

}  // namespace iapt::test::serve_beam_search
