// SPDX-License-Identifier: Apache-2.0
// Serves a model and its tenants' adapters over HTTP: the flags. serve.hpp has the program.
#include "serve.hpp"

#include "support/main.hpp"

namespace program {

void serve_program::add(CLI::App& app) {
  inference_flags::add(app);
  app.add_option("--adapters", adapters,
                 "folder with one folder for each tenant's adapter; its name is the model's name")
      ->required()
      ->check(not_empty());
  app.add_option("--host", host, "address to listen on; 0.0.0.0: all addresses")
      ->check(not_empty())
      ->capture_default_str();
  app.add_option("--port", port, "port to listen on; 0: any free port")
      ->check(between<int>(0, 65535))
      ->capture_default_str();
  const auto whole = [&](const char* flag, index_t& value, index_t least, index_t most, const char* help) {
    app.add_option(flag, value, help)->check(between<index_t>(least, most))->capture_default_str();
  };
  whole("--kv-budget", kv_budget, 1, 1 << 24, "MiB for the KV cache");
  const auto caching =
      app.add_option("--prefix-caching", prefix_caching,
                     "whether requests reuse the KV blocks of a common beginning; late: also with late soft tokens, "
                     "which takes 1.5 to 2.5 times the memory for a token")
          ->check(CLI::IsMember({"off", "on", "late"}))
          ->capture_default_str();
  const auto old = [&](const char* flag, const char* value) {  // the flags of version 0.1
    return app.add_flag_callback(flag, [this, value] { prefix_caching = value; })->excludes(caching)->group("");
  };
  old("--share-late", "late")->excludes(old("--share-nothing", "off"));
  whole("--adapter-budget", adapter_budget, 1, 1 << 24, "MiB for adapters; the least recently used are evicted first");
  whole("--max-running", max_running, 1, 4096, "requests that run at a time");
  whole("--max-queue", max_queue, 0, 4096, "requests that may wait; others get status 429");
  whole("--max-running-per-key", running_per_key, 0, 4096,
        "running requests of one API key; 0: half of them, or all if there is one key");
  whole("--max-queue-per-key", queue_per_key, 0, 4096,
        "waiting requests of one API key; 0: half of them, or all if there is one key");
  whole("--max-tokens", max_tokens, 1, 1000000, "maximum number of tokens of an answer");
  whole("--max-body", max_body, 1, 1 << 20, "maximum size of a request's body in KiB");
  whole("--max-connections", max_connections, 1, 1 << 16, "maximum number of connections; others wait");
  whole("--timeout", timeout, 1, 86400, "seconds for a request, including the time in the queue");
  whole("--drain-timeout", drain_timeout, 0, 86400, "seconds after SIGTERM in which earlier requests are finished");
  const auto origin = [](const std::string& given) -> std::string {
    try {
      http_origins({given});
      return "";
    } catch (const iapt::error& failure) { return failure.what(); }
  };
  app.add_option("--allow-origin", origins,
                 "origin whose pages may send requests from a browser, or *; may be given several times")
      ->check(CLI::Validator(origin, ""))
      ->expected(1)
      ->take_all();
  app.add_option(
         "--api-keys", keys,
         R"(JSON file with the models of each key, or of "sha256:" and its digest: {"key": ["model"], "other": "*"})")
      ->check(not_empty());
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::serve_program>(argc, argv); }
