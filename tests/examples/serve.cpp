// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The server from outside, by curl: OpenAI's interface, what it refuses, clients that leave, and its end.
#include <set>
#include <thread>

#include "iapt/backend/eigen/backend.hpp"
#include "iapt/io/adapter.hpp"
#include "support/moved.hpp"
#include "support/raw_client.hpp"
#include "support/running_server.hpp"

namespace iapt::test::examples_serve {

using namespace std::chrono_literals;

TEST_CASE("serve: OpenAI's interface, tenants that come, what is refused", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  const auto adapters = folder.path() / "adapters";
  std::filesystem::create_directories(adapters);
  folder.write("adapters/broken/adapter_config.json", "{");
  const auto keys = folder.write("keys.json", R"({"one": ["late", "broken"], "all": "*"})");
  running_server server(*given.program,
                        given.arguments(adapters) + " --max-body 64 --max-tokens 100 --api-keys " + word(keys));
  const auto ask = [&](const std::string& path, const std::string& body = "", const std::string& key = "all") {
    return server.ask(path, body, "-H 'Authorization: Bearer " + key + "'");
  };
  CHECK(server.ask("/healthz").status == 200);
  CHECK(server.ask("/v1/models").status == 401);
  CHECK(ask("/v1/models", "", "none").status == 401);
  CHECK(server.ask("/v1/completions", completion(bare_model, 1)).status == 401);

  // The base model: the same as `generate` gives.
  const reply whole = ask("/v1/completions", completion(bare_model, 4, R"(, "logprobs": 1)"));
  CHECK(whole.status == 200);
  CHECK(whole.object()["choices"][0]["text"] == " Paris.\n\n");
  CHECK(whole.object()["choices"][0]["finish_reason"] == "length");
  CHECK(whole.object()["choices"][0]["logprobs"]["token_logprobs"][0] == Approx(-0.258).margin(0.001));
  CHECK(whole.object()["usage"] == json({{"prompt_tokens", 5}, {"completion_tokens", 4}, {"total_tokens", 9}}));
  const reply stopped = ask("/v1/completions", completion(bare_model, 8, R"(, "stop": ["ris"])"));
  CHECK(stopped.object()["choices"][0]["text"] == " Pa");
  CHECK(stopped.object()["choices"][0]["finish_reason"] == "stop");

  // Several prompts, several answers to each, and a beam search.
  const auto texts = [](const reply& all) {
    std::vector<std::string> found;
    const json object = all.object();
    for (const json& choice : object["choices"]) {
      CHECK(choice["index"] == found.size());
      found.push_back(choice["text"]);
    }
    return found;
  };
  const auto several = [&](const std::string& prompts, const std::string& more) {
    return ask("/v1/completions",
               R"({"model": ")" + bare_model + R"(", "max_tokens": 4, "prompt": )" + prompts + more + "}");
  };
  const std::string france = "\"The capital of France is\"", italy = "\"The capital of Italy is\"";
  const reply both = several("[" + france + ", " + italy + "]", R"(, "temperature": 0)");
  CHECK(texts(both) == std::vector<std::string>{" Paris.\n\n", texts(several(italy, R"(, "temperature": 0)"))[0]});
  CHECK(both.object()["usage"] == json({{"prompt_tokens", 10}, {"completion_tokens", 8}, {"total_tokens", 18}}));
  const reply drawn = several(france, R"(, "n": 3, "seed": 5, "temperature": 1.5)");
  CHECK(drawn.object()["usage"]["prompt_tokens"] == 5);
  for (int i = 0; i < 3; ++i)
    CHECK(texts(several(france, R"(, "temperature": 1.5, "seed": )" + std::to_string(5 + i)))[0] == texts(drawn)[i]);
  std::vector<std::string> pieces(3);
  for (const json& part : events(several(france, R"(, "n": 3, "seed": 5, "temperature": 1.5, "stream": true)").body))
    pieces.at(part["choices"][0]["index"]) += part["choices"][0]["text"];
  CHECK(pieces == texts(drawn));
  CHECK(texts(several(france, R"(, "use_beam_search": true, "best_of": 3)")).size() == 1);
  CHECK(several(france, R"(, "use_beam_search": true, "best_of": 33)").param() == "best_of");
  CHECK(several(france, R"(, "n": 97)").param() == "n");
  CHECK(texts(several(france, R"(, "temperature": 0, "stop_token_ids": [30])"))[0] == " Paris");  // "."

  const std::string chat = R"({"model": ")" + bare_model +
                           R"(", "messages": [{"role": "user", "content": "Say hello."}], "temperature": 0,
                              "max_tokens": 5)";
  const reply said = ask("/v1/chat/completions", chat + "}");
  CHECK(said.status == 200);
  const reply streamed =
      ask("/v1/chat/completions", chat + R"(, "stream": true, "stream_options": {"include_usage": true}})");
  CHECK_THAT(streamed.head, has_text("text/event-stream"));
  std::string text;
  const auto parts = events(streamed.body);
  for (const json& part : parts)
    if (!part["choices"].empty()) text += part["choices"][0]["delta"].value("content", "");
  CHECK(text == said.object()["choices"][0]["message"]["content"]);
  CHECK(parts.back()["usage"] == said.object()["usage"]);

  // Tenants.
  CHECK(ask("/v1/completions", completion("late", 1)).status == 404);
  {
    iapt::eigen_backend backend({.threads = 1});
    const auto lm = iapt::load_causal_lm<float>(*given.model, backend);
    auto method =
        iapt::make_iapt<iapt::key_value_generator<float, iapt::eigen_backend>>(lm, {.soft_tokens = 3,
                                                                                    .bottleneck = 4,
                                                                                    .where = iapt::placement::late,
                                                                                    .start = iapt::prompt_start::random,
                                                                                    .seed = 7});
    iapt::save_adapter(method, lm, adapters / "late");
  }
  CHECK(ask("/v1/completions", completion("late", 2), "one").status == 200);
  CHECK(server.metric("adapters_loaded") == 1);
  const json listed = ask("/v1/models").object()["data"];
  REQUIRE(listed.size() == 3);
  CHECK(listed[0]["id"] == bare_model);
  CHECK(ask("/v1/models", "", "one").object()["data"].size() == 2);
  CHECK(ask("/v1/models/late", "", "one").object()["id"] == "late");
  CHECK(ask("/v1/completions", completion(bare_model, 1), "one").status == 404);
  const reply broken = ask("/v1/completions", completion("broken", 1));
  CHECK(broken.status == 422);
  CHECK_THAT(broken.body, has_text("broken/adapter_config.json: byte"));

  // What is wrong.
  for (const char* name : {"nobody", "../adapters/late", ".", "late/", "late\\u0000"}) {
    CAPTURE(name);
    const reply unknown = ask("/v1/completions", completion(name, 1));
    CHECK(unknown.status == 404);
    CHECK(unknown.param() == "model");
  }
  CHECK(ask("/v1/completions", "{").status == 400);
  CHECK(ask("/v1/completions", std::string(60000, '[')).status == 400);
  CHECK(ask("/v1/chat/completions", R"({"model": "x", "messages": [{"role": "user", "content": [{"type": )" +
                                        std::string(30000, '[') + std::string(30000, ']') + "}]}]}")
            .status == 400);
  CHECK(ask("/v1/completions", completion(bare_model, 1, R"(, "n": 0)")).param() == "n");
  CHECK(ask("/v1/completions", completion(bare_model, 1, R"(, "top_p": 2)")).param() == "top_p");
  CHECK(ask("/v1/completions", completion(bare_model, 101)).param() == "max_tokens");
  CHECK(ask("/v1/completions", completion(bare_model, 100000)).object()["error"]["code"] == "context_length_exceeded");
  CHECK(ask("/v1/completions", std::string(65537, ' ')).status == 413);
  const std::string key = "-H 'Authorization: Bearer all' ", more = key + "-H 'Transfer-Encoding: chunked'";
  CHECK(server.ask("/v1/completions", std::string(65537, ' '), more).status == 413);
  CHECK(server.ask("/v1/completions", "", key + "-F a=b").status == 415);
  CHECK(ask("/v1/embeddings", "{}").status == 404);
  CHECK(server.ask("/v1/models", "", "-X DELETE").status == 405);
  CHECK_THAT(ask("/nowhere").body, has_text(R"({"error":{"message":"there is no such page")"));

  CHECK(server.metric("http_responses_total{status=\"401\"}") == 3);
  CHECK(server.reaches("cache_blocks_free", server.metric("cache_blocks")));
  server.terminate();
  CHECK(server.wait() == 0);
}

TEST_CASE("serve: a full queue, clients that leave, and the end", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  running_server server(*given.program,
                        given.arguments(folder.path()) + " --max-running 1 --max-queue 0 --drain-timeout 600");
  reply left;
  std::jthread client(
      [&] { left = server.ask("/v1/completions", endless(4000, R"(, "stream": true)"), "-N --max-time 3"); });
  REQUIRE(server.reaches("requests_running", 1));
  const reply busy = server.ask("/v1/completions", completion(bare_model, 1));
  CHECK(busy.status == 429);
  CHECK_THAT(busy.head, has_text("Retry-After: 1"));
  client.join();
  CHECK_THAT(left.body, has_text("data: {") && !has_text("[DONE]"));
  CHECK(server.reaches("requests_running", 0));  // it has gone, and so has its answer
  std::jthread other([&] { left = server.ask("/v1/completions", endless(4000), "--max-time 3"); });
  REQUIRE(server.reaches("requests_running", 1));
  other.join();
  CHECK(server.reaches("requests_running", 0));
  CHECK(server.reaches("cache_blocks_free", server.metric("cache_blocks")));

  // The end waits for what was asked, and refuses what is asked now: connections, and requests on those that there are.
  reply last;
  std::jthread draining([&] { last = server.ask("/v1/completions", endless(100, R"(, "stream": true)"), "-N"); });
  REQUIRE(server.reaches("requests_running", 1));
  raw_client connected(server.port());
  server.terminate();
  int status = 200;
  for (int i = 0; i < 100 && status != 0; ++i) status = server.ask("/healthz").status;
  CHECK(status == 0);  // curl finds nobody
  connected.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(connected.receive(), starts_with("HTTP/1.1 503 ") && has_text("Connection: close"));
  draining.join();
  CHECK(events(last.body).back()["choices"][0]["finish_reason"] == "length");
  CHECK(server.wait() == 0);
}

TEST_CASE("serve: a client that leaves while its request waits gives its place to another", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  running_server server(*given.program, given.arguments(folder.path()) + " --max-running 1 --max-queue 1");
  // The one place is taken all the while, so that what waits never has a first token.
  std::jthread working(
      [&] { server.ask("/v1/completions", endless(4000, R"(, "stream": true)"), "-N --max-time 60"); });
  REQUIRE(server.reaches("requests_running", 1));
  for (const char* how : {"", R"(, "stream": true)"}) {
    CAPTURE(how);
    for (int i = 0; i < 2; ++i) {  // the second takes the place of the first
      int status = -1;
      std::jthread client([&] { status = server.ask("/v1/completions", endless(4000, how), "--max-time 3").status; });
      CHECK(server.reaches("requests_waiting", 1));
      CHECK(server.ask("/v1/completions", completion(bare_model, 1)).status == 429);
      client.join();
      CHECK(status == 0);  // curl went without an answer
      for (int left = 40; left > 0 && server.metric("requests_waiting") > 0; --left) std::this_thread::sleep_for(50ms);
      CHECK(server.metric("requests_waiting") == 0);
      CHECK(server.metric("requests_running") == 1);
    }
  }
  CHECK(server.metric("http_responses_total{status=\"499\"}") == 4);
  server.kill();
}

TEST_CASE("serve: an answer that takes too long is an error, whole or in pieces", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  const running_server server(*given.program, given.arguments(folder.path()) + " --timeout 1");
  const reply whole = server.ask("/v1/completions", endless(4000));
  CHECK(whole.status == 503);
  CHECK(whole.object()["error"]["code"] == "timeout");
  const reply streamed = server.ask("/v1/completions", endless(4000, R"(, "stream": true)"), "-N");
  CHECK(streamed.status == 200);
  CHECK_THAT(streamed.body,
             has_text(R"(data: {"error":{"message":"the time for this request is over")") && !has_text("[DONE]"));
  CHECK(server.reaches("cache_blocks_free", server.metric("cache_blocks")));
}

TEST_CASE("serve: each tenant gets what `generate` gives alone, while all others are served", "[examples][model]") {
  const server_parts given;
  const auto alone = require_program("generate");
  if (!given || !alone) return;
  const temporary_folder folder;
  {
    eigen_backend backend({.threads = 1});
    const auto lm = load_causal_lm<float>(*given.model, backend);
    const auto save = [&](auto method, const char* name) { save_adapter(method, lm, folder.path() / name); };
    for (const placement where : {placement::front, placement::late}) {
      const iapt_options options{.soft_tokens = 3, .bottleneck = 4, .where = where, .start = prompt_start::random};
      save(moved(make_iapt<key_value_generator<float, eigen_backend>>(lm, options), 0.05),
           where == placement::front ? "front" : "late");
    }
    save(moved(make_lora(lm, {.rank = 2}), 0.02), "lora");
    save(make_p_tuning_v2(lm, {.soft_tokens = 4, .start = prefix_start::random, .seed = 1}), "prefix");
  }
  const std::vector<std::string> tenants{bare_model, "front", "late", "lora", "prefix"};
  const std::string prompt = "The capital of France is";  // which completion() asks
  std::vector<std::string> expected;
  for (const std::string& tenant : tenants) {
    const std::string adapter = tenant == bare_model ? "" : " --adapter " + word(folder.path() / tenant);
    const outcome found = shell(word(*alone) + " --threads 1 --model " + word(*given.model) + adapter + " --prompt " +
                                word(prompt) + " --max-new 24");
    CAPTURE(tenant, found.text);
    REQUIRE(found.status == 0);
    expected.push_back(found.text.substr(0, found.text.size() - 1));  // the end of the line
  }
  CHECK(std::set(expected.begin(), expected.end()).size() == tenants.size());  // or nobody would see a mistake

  running_server server(*given.program, given.arguments(folder.path()));
  std::jthread other([&] { server.ask("/v1/completions", endless(4000, R"(, "stream": true)"), "-N --max-time 60"); });
  REQUIRE(server.reaches("requests_running", 1));
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> found(tenants.size());
    {
      std::vector<std::jthread> clients;
      for (std::size_t i = 0; i < tenants.size(); ++i)
        clients.emplace_back([&, i] {
          const json whole = server.ask("/v1/completions", completion(tenants[i], 24)).object();
          if (whole.contains("choices")) found[i] = whole["choices"][0]["text"];
        });
    }
    CHECK(found == expected);
  }
  server.kill();
}

}  // namespace iapt::test::examples_serve
