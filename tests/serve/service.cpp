// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/service.hpp"

#include <array>
#include <chrono>
#include <thread>

#include "iapt/peft/lora.hpp"
#include "iapt/serve/generate.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::serve_service {
namespace {

using service_type = service<double, test_backend>;
using request_type = service_type::request_type;

/// What a request heard, to be waited for.
struct heard {
  std::vector<token_id> answer = {};
  std::promise<finish_reason> end = {};

  request_type request(std::vector<token_id> prompt, index_t max_new) {
    return {.prompt = std::move(prompt),
            .options = {.max_new = max_new},
            .on_token = [this](const chosen_token& one) { return answer.push_back(one.token), true; },
            .on_finish = [this](finish_reason why) { end.set_value(why); }};
  }
};

constexpr cache_size room{.sequences = 3, .blocks = 24, .block_size = 4, .max_blocks_per_seq = 8};

/// Holds a service's thread between two passes until it goes.
class held_service {
 public:
  explicit held_service(service_type& served)
      : thread_([this, &served] {
          served.between_steps([this] {
            held_.set_value();
            released_.get_future().wait();
          });
        }) {
    held_.get_future().wait();
  }
  ~held_service() {
    released_.set_value();
    thread_.join();
  }

 private:
  std::promise<void> held_, released_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("service: many threads get what each would get alone", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  constexpr std::size_t threads = 8, each = 6;
  std::array<std::vector<token_id>, threads * each> expected;
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] = generate(lm, no_method{}, {small_tokens(3 + i % 7, i)}, {.max_new = 9})[0];
  service_type served(lm, {.engine = {.cache = room}, .max_queue = threads});
  std::array<std::vector<token_id>, threads * each> found;
  std::array<finish_reason, threads * each> ends{};
  std::vector<std::thread> clients;
  for (std::size_t t = 0; t < threads; ++t)
    clients.emplace_back([&, t] {
      for (std::size_t i = t * each; i < (t + 1) * each; ++i) {
        heard one;
        served.submit(one.request(small_tokens(3 + i % 7, i), 9));
        ends[i] = one.end.get_future().get();
        found[i] = one.answer;
        (void)served.load();
      }
    });
  for (auto& client : clients) client.join();
  CHECK(found == expected);
  CHECK(std::count(ends.begin(), ends.end(), finish_reason::length) == threads * each);
  served.drain();
  const service_load load = served.load();
  CHECK(load.waiting + load.running == 0);
  CHECK(load.generated_tokens == threads * each * 9);
  CHECK(load.prompt_tokens > threads * each * 3);
}

TEST_CASE("service: a full queue and a wrong request are refused where they are submitted", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  service_type served(lm, {.engine = {.cache = room}, .max_queue = 2});
  std::array<heard, 7> all;
  CHECK_THROWS_AS(served.submit(all[6].request({}, 3)), shape_error);
  CHECK_THROWS_AS(served.submit(all[6].request({1, 99}, 3)), shape_error);
  CHECK(message_of<error>([&] { served.submit(all[6].request({1}, 40)); }).find("than the 32 that") !=
        std::string::npos);
  {
    const held_service held(served);
    const auto together = [&](std::size_t from, std::size_t to) {
      std::vector<request_type> requests;
      for (std::size_t i = from; i < to; ++i) requests.push_back(all[i].request({1, 2}, 4));
      return requests;
    };
    served.submit(together(0, 4));
    CHECK_THROWS_AS(served.submit(together(4, 6)), queue_full);  // all or none
    CHECK(served.load().waiting == 4);
    served.submit(together(4, 5));
    CHECK_THROWS_AS(served.submit(all[5].request({1, 2}, 4)), queue_full);
    CHECK(served.load().waiting == 5);
  }
  for (std::size_t i = 0; i < 5; ++i) CHECK(all[i].end.get_future().get() == finish_reason::length);
  served.drain();
  CHECK_THROWS_AS(served.submit(all[5].request({1, 2}, 4)), service_draining);
}

TEST_CASE("service: a client may have so many requests, and the others their own", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  service_type served(lm,
                      {.engine = {.cache = room, .max_seqs_per_client = 2}, .max_queue = 4, .max_queue_per_client = 1});
  CHECK(served.max_requests_per_client() == 3);
  std::array<heard, 7> all;
  {
    const held_service held(served);
    const auto submit = [&](std::size_t i, std::uint64_t client) {
      auto request = all[i].request({1, 2}, 4);
      request.client = client;
      served.submit(std::move(request));
    };
    for (std::size_t i = 0; i < 3; ++i) submit(i, 1);
    CHECK(message_of<queue_full>([&] { submit(6, 1); }).find("of this client") != std::string::npos);
    for (std::size_t i = 3; i < 6; ++i) submit(i, 2);
    CHECK(message_of<queue_full>([&] { submit(6, 2); }).find("of this client") != std::string::npos);
  }
  for (std::size_t i = 0; i < 6; ++i) CHECK(all[i].end.get_future().get() == finish_reason::length);
  served.submit(all[6].request({1, 2}, 4));
  CHECK(all[6].end.get_future().get() == finish_reason::length);
}

TEST_CASE("service: a listener that throws fails its own request", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  service_type served(lm, {.engine = {.cache = room}});
  std::array<heard, 3> all;
  auto asks = all[0].request({1, 2}, 4);
  asks.is_cancelled = []() -> bool { throw error("nobody knows"); };
  auto reads = all[1].request({1, 2}, 4);
  reads.on_prompt_token = [](const chosen_token&) { throw error("cannot take it"); };
  served.submit(std::move(asks));
  served.submit(std::move(reads));
  served.submit(all[2].request({1, 2}, 4));
  CHECK(all[0].end.get_future().get() == finish_reason::failed);
  CHECK(all[1].end.get_future().get() == finish_reason::failed);
  CHECK(all[2].end.get_future().get() == finish_reason::length);
}

TEST_CASE("service: what nobody wants any more ends, waiting or running, and frees its place", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  service_type served(lm, {.engine = {.cache = room}});
  std::array<heard, 8> all;
  std::atomic<bool> cancelled = false;
  {
    const held_service held(served);
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto request = all[i].request({1, 2}, 30);
      if (i % 2) request.is_cancelled = [&] { return cancelled.load(); };
      if (i == 1)  // one of those at work
        request.on_token = [&](const chosen_token& one) {
          return all[1].answer.push_back(one.token), cancelled = true, true;
        };
      if (i == 2) request.on_token = [](const chosen_token&) -> bool { throw error("a listener that fails"); };
      served.submit(std::move(request));
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    CAPTURE(i);
    CHECK(all[i].end.get_future().get() == (i % 2    ? finish_reason::cancelled
                                            : i == 2 ? finish_reason::failed
                                                     : finish_reason::length));
  }
  CHECK(all[1].answer.size() == 1);
  CHECK(all[7].answer.empty());
  served.drain();
  CHECK(served.load().waiting == 0);
}

TEST_CASE("service: draining answers what was taken, an end cancels it", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  std::array<heard, 12> all;
  {
    service_type served(lm, {.engine = {.cache = room}});
    for (std::size_t i = 0; i < 6; ++i) served.submit(all[i].request({1, 2}, 20));
    served.drain();
    CHECK(served.draining());
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(all[i].end.get_future().get() == finish_reason::length);
      CHECK(all[i].answer.size() == 20);
    }
  }
  {
    service_type served(lm, {.engine = {.cache = room}});
    const held_service held(served);
    for (std::size_t i = 6; i < 12; ++i) {
      auto request = all[i].request({1, 2}, 30);
      request.on_token = [](const chosen_token&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return true;
      };
      served.submit(std::move(request));
    }
  }
  for (std::size_t i = 6; i < 12; ++i) CHECK(all[i].end.get_future().get() == finish_reason::cancelled);
}

TEST_CASE("service: a pass that fails fails its requests, and the next ones are served", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  std::string failure;
  service_type served(lm, {.engine = {.cache = room}, .on_failure = [&](const std::string& why) { failure = why; }});
  // An adapter of another model's sizes, which no reader would let pass.
  auto broken = make_lora(lm, {.rank = 1, .targets = {"v_proj"}});
  broken.layers[0][2].down = tensor<double, 2, test_backend>(backend, {1, 5});
  heard bad, good;
  auto request = bad.request({1, 2}, 4);
  request.method = erase_method(lm, broken);
  served.submit(std::move(request));
  CHECK(bad.end.get_future().get() == finish_reason::failed);
  served.submit(good.request({1, 2}, 4));
  CHECK(good.end.get_future().get() == finish_reason::length);
  served.drain();
  CHECK_FALSE(failure.empty());
  CHECK_THROWS_AS(served.between_steps([] { throw io_error("no"); }), io_error);
}

TEST_CASE("a cache within a number of bytes", "[serve]") {
  transformer_config config{.vocabulary = 31, .hidden = 24, .layers = 3, .heads = {4, 2, 6}, .feed_forward = 20};
  const std::size_t block = 3 * 2 * 12 * 64 * sizeof(float);
  CHECK(cache_within<float>(config, 10 * block + 5, 4).blocks == 10);
  CHECK(cache_within<float>(config, 10 * block, 4).max_blocks_per_seq == 10);
  CHECK(cache_within<float>(config, 10 * block, 4, true).blocks == 5);  // G·E is D / 2 here
  CHECK(cache_within<float>(config, 10 * block, 4, true).store_hidden_states);
  config.max_positions = 100;
  CHECK(cache_within<float>(config, 10 * block, 4).max_blocks_per_seq == 2);
  CHECK_THROWS_AS(cache_within<float>(config, block - 1, 4), error);
}

}  // namespace iapt::test::serve_service
