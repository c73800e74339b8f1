// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
// What one request, one client or one method can do to the others: no more than is said.
#include <map>

#include "iapt/peft/known_methods.hpp"
#include "iapt/serve/beams.hpp"
#include "iapt/serve/engine.hpp"
#include "iapt/serve/generate.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::serve_engine_bounds {
namespace {

using engine_type = engine<double, test_backend>;
using method_type = method_ptr<double, test_backend>;
using request_type = engine_type::request_type;

constexpr cache_size room{.sequences = 8, .blocks = 200, .block_size = 4, .max_blocks_per_seq = 25};

/// What a request heard.
struct heard {
  std::vector<token_id> answer = {};
  std::vector<finish_reason> ends = {};

  request_type request(std::vector<token_id> prompt, index_t max_new, method_type method = {}) {
    return {.prompt = std::move(prompt),
            .options = {.max_new = max_new},
            .method = std::move(method),
            .on_token = [this](const chosen_token& one) { return answer.push_back(one.token), true; },
            .on_finish = [this](finish_reason why) { ends.push_back(why); }};
  }
};

/// A method that needs its prompt in one piece.
auto small_iapt(const causal_lm<double, test_backend>& lm, placement where = placement::front) {
  return moved(make_iapt<key_value_generator<double, test_backend>>(
                   lm, {.soft_tokens = 2, .bottleneck = 4, .where = where, .start = prompt_start::random, .seed = 3}),
               0.2);
}

/// Fails from so many passes on.
struct failing_method {
  static constexpr hook_set hooks{hook::delta};
  using matrix = tensor<double, 2, test_backend>;
  std::shared_ptr<int> left;
  bool of_memory = false;
  template <class Context>
  matrix delta(Context&, target_module where, const matrix&) const {
    if (where.layer == 1 && where.part == projection::query && (*left)-- <= 0) {
      if (of_memory) throw std::bad_alloc();
      throw numeric_error("a fault of its own");
    }
    return {};
  }
};

/// Fails as it begins to read a prompt.
template <class Method>
struct failing_input : Method {
  static constexpr hook_set hooks = Method::hooks | hook_set{hook::input};
  using matrix = tensor<double, 2, test_backend>;
  template <class Context>
  matrix input(Context&, const matrix&) const {
    throw numeric_error("a fault of its own");
  }
};
/// Its summands are of another model.
struct bias_that_does_not_fit {
  static constexpr hook_set hooks{hook::bias};
  template <class Context>
  tensor<double, 1, test_backend> bias(Context& ctx, target_module) const {
    return filled<double>(ctx.backend(), extents<1>{2}, 1);
  }
};

}  // namespace

TEST_CASE("a long prompt may follow one that is cancelled on its way through the layers", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = small_iapt(lm);
  const auto shared = erase_method(lm, method);
  engine_type engine(lm, {.cache = room, .max_prefill_tokens = 8});
  heard first, second;
  bool cancelled = false;
  auto request = first.request(small_tokens(30, 1), 3, shared);
  request.is_cancelled = [&] { return cancelled; };
  engine.submit(std::move(request));
  const auto prompt = small_tokens(29, 2);
  engine.submit(second.request(prompt, 3, shared));
  CHECK(engine.step());  // a layer of the first
  cancelled = true;
  while (engine.step()) {}
  CHECK(first.ends == std::vector{finish_reason::cancelled});
  CHECK(second.answer == generate(lm, method, {prompt}, {.max_new = 3})[0]);
}

TEST_CASE("a long prompt that is read in one piece stalls nobody", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  for (const placement where : {placement::front, placement::late}) {
    const auto method = small_iapt(lm, where);
    const auto shared = erase_method(lm, method);
    engine_type engine(lm, {.cache = room, .max_prefill_tokens = 8});
    heard stream, second, waits;
    engine.submit(stream.request(small_tokens(3, 1), 40));
    while (stream.answer.size() < 2) REQUIRE(engine.step());
    const auto long_prompt = small_tokens(23, 2), longer = small_tokens(60, 3);
    std::map<std::size_t, heard> others;
    engine.submit(others[0].request(long_prompt, 3, shared));
    engine.submit(others[2].request(small_tokens(5, 4), 3, shared));
    const auto most_until_read = [&](const heard& one) {
      index_t most = 0;
      while (one.answer.empty()) {
        const std::size_t before = stream.answer.size();
        REQUIRE(engine.step());
        CHECK(stream.answer.size() == before + 1);
        most = std::max(most, engine.last_step().prefill);
      }
      return most;
    };
    CHECK(most_until_read(others[0]) <= 8);
    engine.submit(others[1].request(longer, 3, shared));
    CHECK(most_until_read(others[1]) == 20);  // one layer of 60 rows, of three
    while (engine.step()) {}
    CHECK(stream.answer == generate(lm, no_method{}, {small_tokens(3, 1)}, {.max_new = 40})[0]);
    CHECK(others[0].answer == generate(lm, method, {long_prompt}, {.max_new = 3})[0]);
    CHECK(others[1].answer == generate(lm, method, {longer}, {.max_new = 3})[0]);
    CHECK(others[2].answer == generate(lm, method, {small_tokens(5, 4)}, {.max_new = 3})[0]);
    CHECK(engine.cache().free_blocks() + engine.cache().evictable_blocks() == room.blocks);
  }
}

TEST_CASE("a long prompt may be cancelled or give way while it is read", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = small_iapt(lm);
  cache_size tight = room;
  tight.blocks = 16;
  engine_type engine(lm, {.cache = tight, .max_prefill_tokens = 4, .prefix_caching = false});
  heard stream, gives_way, cancelled;
  bool is_cancelled = false;
  engine.submit(stream.request(small_tokens(3, 1), 30));
  REQUIRE(engine.step());
  engine.submit(gives_way.request(small_tokens(40, 2), 2, erase_method(lm, method)));
  auto request = cancelled.request(small_tokens(30, 3), 2, erase_method(lm, method));
  request.is_cancelled = [&] { return is_cancelled; };
  engine.submit(std::move(request));
  for (int i = 0; i < 200 && gives_way.ends.empty(); ++i) engine.step();
  CHECK(gives_way.answer == generate(lm, method, {small_tokens(40, 2)}, {.max_new = 2})[0]);
  engine.step();
  is_cancelled = true;
  while (engine.step()) {}
  CHECK(cancelled.ends.size() == 1);
  CHECK(stream.answer == generate(lm, no_method{}, {small_tokens(3, 1)}, {.max_new = 30})[0]);
  CHECK(engine.cache().free_blocks() == tight.blocks);
}

TEST_CASE("a method that throws fails its own requests alone", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto lora = moved(make_lora(lm, {.rank = 2, .seed = 1}), 0.2);
  for (const int passes : {0, 3}) {
    CAPTURE(passes);
    std::vector<std::string> why;
    engine_type engine(lm, {.cache = room, .max_prefill_tokens = 4, .on_failure = [&](const std::string& text) {
                              why.push_back(text);
                            }});
    const auto failing = erase_method(lm, failing_method{std::make_shared<int>(passes)});
    heard plain, adapted, bad, worse, late;
    engine.submit(plain.request(small_tokens(9, 1), 20));
    engine.submit(bad.request(small_tokens(6, 2), 20, failing));
    engine.submit(adapted.request(small_tokens(5, 3), 20, erase_method(lm, lora)));
    engine.submit(worse.request(small_tokens(7, 4), 20, failing));
    while (bad.ends.empty() || worse.ends.empty()) REQUIRE(engine.step());
    CHECK(why.size() >= 1);
    CHECK(why[0] == "a fault of its own");
    // From here on the method is read apart: nobody has to begin anew for it.
    const std::size_t preempted = engine.preemptions();
    engine.submit(late.request(small_tokens(7, 4), 20, failing));
    while (engine.step()) {}
    CHECK(engine.preemptions() == preempted);
    CHECK(bad.ends == std::vector{finish_reason::failed});
    CHECK(worse.ends == std::vector{finish_reason::failed});
    CHECK(late.ends == std::vector{finish_reason::failed});
    CHECK(plain.answer == generate(lm, no_method{}, {small_tokens(9, 1)}, {.max_new = 20})[0]);
    CHECK(adapted.answer == generate(lm, lora, {small_tokens(5, 3)}, {.max_new = 20})[0]);
    CHECK(engine.cache().free_blocks() + engine.cache().evictable_blocks() == room.blocks);
  }
}

TEST_CASE("a long prompt in a tight memory leaves room for its beams", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = small_iapt(lm);
  const auto shared = erase_method(lm, method);
  cache_size tight = room;
  tight.blocks = 7;
  engine_type engine(lm, {.cache = tight, .max_prefill_tokens = 3});
  heard stream, searched;
  engine.submit(stream.request(small_tokens(6, 1), 12));
  REQUIRE(engine.step());
  auto request = searched.request(small_tokens(11, 2), 2, shared);
  request.options.beams = 2;
  engine.submit(std::move(request));
  for (int passes = 0; engine.step(); ++passes) REQUIRE(passes < 300);
  const std::vector<generation_options> options{{.max_new = 2, .beams = 2}};
  CHECK(searched.answer == generate_with_beams(lm, shared, {small_tokens(11, 2)}, options)[0]);
  CHECK(stream.answer == generate(lm, no_method{}, {small_tokens(6, 1)}, {.max_new = 12})[0]);
  CHECK(engine.cache().free_blocks() + engine.cache().evictable_blocks() == tight.blocks);
}

TEST_CASE("a hook that fails, or whose result does not fit, ends its own requests alone", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto check = [&](method_type failing, const std::string& message) {
    std::vector<std::string> why;
    engine_type engine(lm, {.cache = room, .max_prefill_tokens = 4, .on_failure = [&](const std::string& text) {
                              why.push_back(text);
                            }});
    heard plain, bad;
    engine.submit(plain.request(small_tokens(5, 1), 9));
    engine.submit(bad.request(small_tokens(17, 2), 9, std::move(failing)));
    for (int passes = 0; engine.step(); ++passes) REQUIRE(passes < 300);
    CHECK(bad.ends == std::vector{finish_reason::failed});
    REQUIRE(!why.empty());
    CHECK(why.back().find(message) != std::string::npos);
    CHECK(plain.answer == generate(lm, no_method{}, {small_tokens(5, 1)}, {.max_new = 9})[0]);
    CHECK(engine.cache().free_blocks() + engine.cache().evictable_blocks() == room.blocks);
  };
  const auto iapt = small_iapt(lm);
  check(erase_method(lm, failing_input<std::remove_const_t<decltype(iapt)>>{iapt}), "a fault of its own");
  check(erase_method(lm, bias_that_does_not_fit{}), ", 2)");
}

TEST_CASE("a method that memory was missing for is read with the others again", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto left = std::make_shared<int>(0);
  const auto method = erase_method(lm, failing_method{left, true});
  engine_type engine(lm, {.cache = room});
  heard bad, good;
  engine.submit(bad.request(small_tokens(6, 2), 2, method));
  while (engine.step()) {}
  CHECK(bad.ends == std::vector{finish_reason::failed});
  *left = 1000;
  engine.submit(good.request(small_tokens(6, 2), 2, method));
  while (engine.step()) {}
  CHECK(good.ends == std::vector{finish_reason::length});
  heard plain, again;
  engine.submit(plain.request(small_tokens(5, 1), 4));
  engine.submit(again.request(small_tokens(6, 3), 4, method));
  engine.step();
  CHECK(engine.last_step().prefill == 11);
  engine.step();
  CHECK(engine.last_step().decode == 2);
  engine.end_all(finish_reason::cancelled);
}

TEST_CASE("a client has no more places than it may, and keeps nobody waiting", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  engine_type engine(lm, {.cache = room, .max_seqs_per_client = 2});
  std::map<std::size_t, heard> greedy;
  for (std::size_t i = 0; i < 5; ++i) {
    auto request = greedy[i].request(small_tokens(3, i), 6);
    request.client = 1;
    engine.submit(std::move(request));
  }
  heard other;
  auto request = other.request(small_tokens(3, 9), 6);
  request.client = 2;
  engine.submit(std::move(request));
  REQUIRE(engine.step());
  CHECK(engine.running() == 3);
  CHECK(engine.waiting() == 3);
  CHECK(other.answer.size() == 1);
  while (engine.step()) CHECK(engine.running() <= 3);
  for (auto& [i, one] : greedy) CHECK(one.ends == std::vector{finish_reason::length});
  request = other.request({1}, 2);
  request.options.beams = 3;
  CHECK(message_of<error>([&] { engine.submit(request); }).find("places for 2 sequences of a client") !=
        std::string::npos);
}

TEST_CASE("a client whose prompts fill the memory keeps nobody waiting", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  engine_type engine(lm, {.cache = {.sequences = 8, .blocks = 6, .block_size = 4, .max_blocks_per_seq = 5}});
  std::map<std::size_t, heard> long_ones;
  for (std::size_t i = 0; i < 3; ++i) {
    auto request = long_ones[i].request(small_tokens(15, i), 2);
    request.client = 1;
    engine.submit(std::move(request));
  }
  heard other;
  auto request = other.request(small_tokens(3, 9), 1);
  request.client = 2;
  engine.submit(std::move(request));
  REQUIRE(engine.step());
  CHECK(other.answer.size() == 1);
  while (engine.step()) continue;
  for (auto& [i, one] : long_ones) CHECK(one.ends == std::vector{finish_reason::length});
}

}  // namespace iapt::test::serve_engine_bounds
