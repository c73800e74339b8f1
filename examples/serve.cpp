// SPDX-License-Identifier: Apache-2.0
// Serves a model and its tenants' adapters over HTTP: its flags. serve.hpp says what happens.
#include "serve.hpp"

#include "support/main.hpp"

namespace program {

void serve_program::add(CLI::App& app) {
  inference_flags::add(app);
  app.add_option("--adapters", adapters, "folder whose folders are the tenants' adapters, by their names")
      ->required()
      ->check(not_empty());
  app.add_option("--host", host, "address to listen on; 0.0.0.0: all")->check(not_empty())->capture_default_str();
  app.add_option("--port", port, "port to listen on; 0: any that is free")
      ->check(between<int>(0, 65535))
      ->capture_default_str();
  const auto whole = [&](const char* flag, index_t& value, index_t least, index_t most, const char* help) {
    app.add_option(flag, value, help)->check(between<index_t>(least, most))->capture_default_str();
  };
  whole("--kv-budget", kv_budget, 1, 1 << 24, "MiB for keys and values of the requests at work");
  const auto caching =
      app.add_option(
             "--prefix-caching", prefix_caching,
             "whether requests reuse what was computed of a common beginning; late: with late soft tokens, too, "
             "for 1.5 to 2.5 times the memory of a token")
          ->check(CLI::IsMember({"off", "on", "late"}))
          ->capture_default_str();
  // Their names in version 0.1.
  const auto old = [&](const char* flag, const char* value) {
    return app.add_flag_callback(flag, [this, value] { prefix_caching = value; })->excludes(caching)->group("");
  };
  old("--share-late", "late")->excludes(old("--share-nothing", "off"));
  whole("--adapter-budget", adapter_budget, 1, 1 << 24, "MiB for adapters; the least recently used go first");
  whole("--max-running", max_running, 1, 4096, "requests answered at a time");
  whole("--max-queue", max_queue, 0, 4096, "requests that may wait; others are answered 429");
  whole("--max-running-per-key", running_per_key, 0, 4096, "of these, for one API key; 0: half, or all for one key");
  whole("--max-queue-per-key", queue_per_key, 0, 4096, "of those that wait, for one API key; 0: half, or all for one");
  whole("--max-tokens", max_tokens, 1, 1000000, "tokens of an answer at most");
  whole("--max-body", max_body, 1, 1 << 20, "KiB of a request's body at most");
  whole("--max-connections", max_connections, 1, 1 << 16, "connections at a time; others wait");
  whole("--timeout", timeout, 1, 86400, "seconds for a request, its waiting included");
  whole("--drain-timeout", drain_timeout, 0, 86400, "seconds after SIGTERM in which what was asked is answered");
  const auto origin = [](const std::string& given) -> std::string {
    try {
      http_origins({given});
      return "";
    } catch (const iapt::error& failure) { return failure.what(); }
  };
  app.add_option("--allow-origin", origins, "origin whose pages may ask in a browser, or *; may be given again")
      ->check(CLI::Validator(origin, ""))
      ->expected(1)
      ->take_all();
  app.add_option("--api-keys", keys,
                 R"(JSON file of keys, or "sha256:" and their digests, and models: {"key": ["model"], "other": "*"})")
      ->check(not_empty());
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::serve_program>(argc, argv); }
