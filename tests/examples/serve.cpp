// SPDX-License-Identifier: Apache-2.0
// The server from outside, by curl: OpenAI's interface, what it refuses, clients that leave, and its end.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "iapt/backend/eigen/backend.hpp"
#include "iapt/io/adapter.hpp"
#include "support/catch.hpp"
#include "support/model.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

using namespace iapt::test;

namespace {

using json = nlohmann::json;
constexpr auto moment = std::chrono::milliseconds(50);

/// An answer of HTTP.
struct reply {
  int status;
  std::string head, body;
  json object() const { return json::parse(body, nullptr, false); }
  /// The parameter that an error names.
  json param() const { return object()["error"]["param"]; }
};

/// A server that runs, on a port of its own.
class running_server {
 public:
  running_server(const std::string& program, const std::string& arguments) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], 1), ::close(ends[0]), ::close(ends[1]);
      ::execl("/bin/sh", "sh", "-c", ("exec " + word(program) + " --port 0 --threads 1 " + arguments).c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    std::string line;
    for (char c; ::read(ends[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(ends[0]);
    CAPTURE(line);
    REQUIRE(line.find("http://") != std::string::npos);
    url_ = line.substr(line.find("http://"));
  }
  ~running_server() {
    if (child_ > 0) ::kill(child_, SIGKILL), ::waitpid(child_, nullptr, 0);
  }
  /// Asks it to end.
  void terminate() const { ::kill(child_, SIGTERM); }
  /// Its exit status, once it has ended.
  int wait() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  /// What it says to a request. A body makes it a POST.
  reply ask(const std::string& path, const std::string& body = "", const std::string& more = "") const {
    const temporary_folder folder;
    const std::string data = body.empty() ? "" : " --data-binary @" + word(folder.write("body", body));
    const outcome found = shell("curl -sSi -H Expect: " + more + data + " " + url_ + path);
    const std::size_t begin = found.text.find("HTTP/1.1 "), end = found.text.find("\r\n\r\n");
    if (begin == std::string::npos || end == std::string::npos) return {0, "", found.text};
    return {std::stoi(found.text.substr(begin + 9, 3)), found.text.substr(begin, end - begin),
            found.text.substr(end + 4)};
  }
  /// One number of its metrics.
  double metric(const std::string& name) const {
    const std::string page = "\n" + ask("/metrics").body;
    const std::size_t at = page.find("\niapt_" + name + " ");
    return at == std::string::npos ? -1 : std::stod(page.substr(at + name.size() + 7));
  }
  /// Waits until one of them has a value.
  bool reaches(const std::string& name, double value) const {
    for (int i = 0; i < 600; ++i, std::this_thread::sleep_for(moment))
      if (metric(name) == value) return true;
    return false;
  }

 private:
  ::pid_t child_ = -1;
  std::string url_;
};

const std::string bare_model = "SmolLM2-135M-Instruct.Q4_1";
/// A greedy completion's body.
std::string completion(const std::string& model, int tokens, const std::string& more = "") {
  return R"({"model": ")" + model + R"(", "prompt": "The capital of France is", "temperature": 0, "max_tokens": )" +
         std::to_string(tokens) + more + "}";
}
/// One that hardly comes to an end by itself: any token is as likely as another.
std::string endless(int tokens, const std::string& more = "") {
  return R"({"model": ")" + bare_model + R"(", "prompt": "Hi", "temperature": 1000, "seed": 1, "max_tokens": )" +
         std::to_string(tokens) + more + "}";
}

/// The objects of a stream, which must end as it should.
std::vector<json> events(const std::string& body) {
  std::vector<json> found;
  CHECK_THAT(body, ends_with("data: [DONE]\n\n"));
  for (std::size_t at = 0, end; (end = body.find("\n\n", at)) != std::string::npos; at = end + 2)
    if (const std::string data = body.substr(at + 6, end - at - 6); data != "[DONE]")
      found.push_back(json::parse(data));
  return found;
}

/// Program and model, or nothing where the test is skipped.
struct parts {
  std::optional<std::string> program = require_program("serve"), model = require_model();
  explicit operator bool() const { return program && model; }
  std::string arguments(const std::filesystem::path& adapters) const {
    return "--model " + word(*model) + " --adapters " + word(adapters);
  }
};

}  // namespace

TEST_CASE("serve: OpenAI's interface, tenants that come, what is refused", "[examples][model]") {
  const parts given;
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

  // The bare model: the same as `generate` gives.
  const reply whole = ask("/v1/completions", completion(bare_model, 4, R"(, "logprobs": 1)"));
  CHECK(whole.status == 200);
  CHECK(whole.object()["choices"][0]["text"] == " Paris.\n\n");
  CHECK(whole.object()["choices"][0]["finish_reason"] == "length");
  CHECK(whole.object()["choices"][0]["logprobs"]["token_logprobs"][0] == Approx(-0.258).margin(0.001));
  CHECK(whole.object()["usage"] == json({{"prompt_tokens", 5}, {"completion_tokens", 4}, {"total_tokens", 9}}));
  const reply stopped = ask("/v1/completions", completion(bare_model, 8, R"(, "stop": ["ris"])"));
  CHECK(stopped.object()["choices"][0]["text"] == " Pa");
  CHECK(stopped.object()["choices"][0]["finish_reason"] == "stop");

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
  CHECK(ask("/v1/completions", completion(bare_model, 1, R"(, "n": 2)")).param() == "n");
  CHECK(ask("/v1/completions", completion(bare_model, 1, R"(, "top_p": 2)")).param() == "top_p");
  CHECK(ask("/v1/completions", completion(bare_model, 101)).param() == "max_tokens");
  CHECK(ask("/v1/completions", completion(bare_model, 100000)).object()["error"]["code"] == "context_length_exceeded");
  CHECK(ask("/v1/completions", std::string(65537, ' ')).status == 413);
  CHECK(server.ask("/v1/completions", std::string(65537, ' '), "-H 'Transfer-Encoding: chunked'").status == 413);
  CHECK(server.ask("/v1/completions", "", "-F a=b").status == 415);
  CHECK(ask("/v1/embeddings", "{}").status == 404);
  CHECK(server.ask("/v1/models", "", "-X DELETE").status == 405);
  CHECK_THAT(ask("/nowhere").body, has_text(R"({"error":{"message":"there is no such page")"));

  CHECK(server.metric("http_responses_total{status=\"401\"}") == 3);
  CHECK(server.reaches("cache_blocks_free", server.metric("cache_blocks")));
  server.terminate();
  CHECK(server.wait() == 0);
}

TEST_CASE("serve: a full queue, clients that leave, and the end", "[examples][model]") {
  const parts given;
  if (!given) return;
  const temporary_folder folder;
  running_server server(*given.program, given.arguments(folder.path()) + " --max-running 1 --max-queue 0");
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

  // The end waits for what was asked, and refuses what is asked now.
  reply last;
  std::jthread draining([&] { last = server.ask("/v1/completions", endless(100, R"(, "stream": true)"), "-N"); });
  REQUIRE(server.reaches("requests_running", 1));
  server.terminate();
  int status = 200;
  for (int i = 0; i < 100 && status == 200; ++i) status = server.ask("/healthz").status;
  CHECK(status == 503);
  CHECK(server.ask("/v1/completions", completion(bare_model, 1)).status == 503);
  draining.join();
  CHECK(events(last.body).back()["choices"][0]["finish_reason"] == "length");
  CHECK(server.wait() == 0);
}
