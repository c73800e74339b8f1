// SPDX-License-Identifier: Apache-2.0
// Serves a model and its tenants' adapters over HTTP with OpenAI's API, on any device. serve.cpp has the flags.
#pragma once
#include <chrono>
#include <cstdlib>
#include <future>
#include <iapt/serve/adapter_store.hpp>
#include <iapt/serve/openai_answer.hpp>
#include <iapt/serve/openai_request.hpp>
#include <iapt/serve/service.hpp>
#include <iapt/train/interrupt.hpp>
#include <thread>

#include "support/api_keys.hpp"
#include "support/client_queue.hpp"
#include "support/http_routes.hpp"
#include "support/memory.hpp"
#include "support/metrics.hpp"
#include "support/openai_http.hpp"
#include "support/program.hpp"

namespace program {
using namespace iapt;

/// The program with its flags.
struct serve_program : inference_flags {
  static constexpr auto purpose = "Serves a model and the adapters of its tenants, for clients of OpenAI's API.";
  std::string adapters, host = "127.0.0.1", keys;
  std::vector<std::string> origins;
  int port = 8080;
  std::string prefix_caching = "on";
  index_t kv_budget = 1024, adapter_budget = 1024;  // MiB
  index_t max_running = 32, max_queue = 64, max_tokens = 4096, max_connections = 512;
  index_t running_per_key = 0, queue_per_key = 0;  // 0: half of all
  index_t max_body = 1024;                         // KiB
  index_t timeout = 600, drain_timeout = 20;       // seconds

  void add(CLI::App& app);
  template <class T, class Backend>
  int run(Backend& backend) const;
};

/// Answers HTTP requests. The workers of `http_server` load adapters, read prompts and submit the requests to the
/// service, whose thread generates. The HTTP server's own thread writes the answers.
template <class T, class Backend>
class server {
 public:
  server(const serve_program& flags, Backend& backend)
      : flags_(flags),
        lm_(flags.load<T>(backend)),
        stop_(lm_.end_tokens()),
        keys_(flags.keys),
        origins_(flags.origins),
        http_(flags.host, flags.port, options(flags), handlers()),
        service_(lm_,
                 {.engine = {.cache = cache_within<T>(lm_.config, mebibytes(flags.kv_budget), flags.max_running,
                                                      flags.prefix_caching == "late"),
                             .prefix_caching = flags.prefix_caching != "off",
                             .max_seqs_per_client = limit_per_key(flags.running_per_key, flags.max_running)},
                  .max_queue = std::size_t(flags.max_queue),
                  .max_queue_per_client = std::size_t(limit_per_key(flags.queue_per_key, flags.max_queue)),
                  .on_failure = [](const std::string& why) { std::cerr << "iapt: requests failed: " + why + "\n"; }}),
        store_(lm_, flags.adapters, mebibytes(flags.adapter_budget), loader(),
               [](const std::string& why) { std::cerr << "iapt: an adapter is refused: " + why + "\n"; }) {
    std::filesystem::path path(flags.model);
    if (!path.has_filename()) path = path.parent_path();  // "folder/"
    name_ = (std::filesystem::is_directory(path) ? path.filename() : path.stem()).string();
    add_routes();
  }

  /// Serves until a signal arrives, then drains.
  int run() {
    const interrupt_guard signal;
    http_.start();
    const std::shared_ptr<void> started(nullptr, [this](void*) { http_.stop(); });
    std::cout << "serving " << name_ << " on http://" << flags_.host << ":" << http_.port() << std::endl;
    for (rest idle(std::chrono::seconds(5)); !signal.raised(); std::this_thread::sleep_for(moment))
      if (const auto now = service_.load(); idle.begins(now.prompt_tokens, now.running + now.waiting == 0)) tidy();
    drain();
    return 0;
  }

 private:
  using json = nlohmann::ordered_json;
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds moment{100};  // how often it checks for a signal

  // Accepts no more requests and finishes those that were accepted. After --drain-timeout the rest is aborted with its
  // connections. If even that takes long, because a device or a file system hangs, the process ends.
  void drain() {
    const auto until = clock::now() + std::chrono::seconds(flags_.drain_timeout);
    const auto drained = std::async(std::launch::async, [this] { service_.drain(); });
    while (!service_.draining()) std::this_thread::yield();
    http_.drain();
    const auto open = [&] { return drained.wait_for(moment / 2) != std::future_status::ready || http_.open() > 0; };
    while (open() && clock::now() < until) std::this_thread::sleep_for(moment / 2);
    if (const std::size_t left = http_.open())
      std::cerr << "iapt: --drain-timeout is over: " + std::to_string(left) + " requests are broken off\n";
    std::thread([] {
      std::this_thread::sleep_for(std::chrono::seconds(10));
      std::cerr << "iapt: the device or a file system does not answer; the server ends as it is\n";
      std::_Exit(1);
    }).detach();
    http_.stop();
  }
  // Gives free memory back to the operating system.
  void tidy() {
    service_.between_steps([this] { lm_.backend().trim(); });
    give_heap_back();
  }
  // The part of a limit that one key may use: `said`, or by default half of it if there are several keys.
  index_t limit_per_key(index_t said, index_t all) const {
    return said > 0 ? std::min(said, all) : keys_.size() > 1 ? (all + 1) / 2 : all;
  }
  static std::size_t mebibytes(index_t count) { return std::size_t(count) << 20; }
  // A GPU's backend belongs to one thread: there, adapters are loaded between two steps.
  typename adapter_store<T, Backend>::runner loader() {
    if constexpr (requires(const Backend& backend) { backend.threads(); }) return {};
    return [this](const auto& read) { service_.between_steps(read); };
  }

  // ---- paths ----
  static http_server_options options(const serve_program& flags) {
    return {.limits = {.body = std::size_t(flags.max_body) << 10},
            .connections = std::size_t(flags.max_connections),
            .answering = std::chrono::seconds(flags.timeout + 30)};
  }
  http_handlers handlers() {
    return {.check =
                [this](const http_request& from) {
                  const auto* route = routes_.find(from);
                  if (route && !route->open) granted(from);  // before any part of a body is kept
                  check_body(from);
                },
            .handle =
                [this](const std::shared_ptr<http_exchange>& exchange) {
                  const auto* route = routes_.find(exchange->request);
                  route ? route->handle(exchange) : exchange->answer(routes_.options(exchange->request));
                },
            .refuse = refuse,
            .fields = [this](const http_request& from) { return origins_.fields(from); },
            .count = [this](int status) { metrics_.count(status); }};
  }
  void add_routes() {
    using exchange = const std::shared_ptr<http_exchange>&;
    routes_.add({"GET", "/healthz", true, [this](exchange from) {
                   if (service_.draining()) throw openai_error(503, "the server is shutting down");
                   from->answer({.type = "text/plain", .body = "ok\n"});
                 }});
    routes_.add({"GET", "/metrics", true, [this](exchange from) {
                   from->answer({.type = "text/plain; version=0.0.4",
                                 .body = metrics_.text(service_.load(), store_.loaded(), store_.bytes())});
                 }});
    routes_.add({"GET", "/v1/models", false, [this](exchange from) {
                   from->answer({.body = text({{"object", "list"}, {"data", models(granted(from->request))}})});
                 }});
    routes_.add({"GET", "/v1/models/", false, [this](exchange from) {
                   const std::string name = from->request.path.substr(std::string_view("/v1/models/").size());
                   require_model(granted(from->request), name);
                   from->answer({.body = text(about(name))});
                 }});
    for (const bool chat : {false, true})
      routes_.add({"POST", chat ? "/v1/chat/completions" : "/v1/completions", false, [this, chat](exchange from) {
                     const api_keys::client& client = granted(from->request);
                     queue_.run(client.id, from, [this, from, &client, chat] { complete(from, client, chat); });
                   }});
  }

  // ---- clients and their requests ----
  const api_keys::client& granted(const http_request& from) const {
    if (const auto* found = keys_.find(from.fields.value("Authorization"))) return *found;
    throw openai_error(401, "a key that is known is needed: Authorization: Bearer KEY", "", "invalid_api_key");
  }
  void require_model(const api_keys::client& grant, const std::string& name) const {
    if (!api_keys::allows(grant, name) || !(name == name_ || store_.has(name))) throw no_model(name);
  }
  static openai_error no_model(const std::string& name) {
    return {404, "the model \"" + name.substr(0, 256) + "\" does not exist, or is not yours", "model",
            "model_not_found"};
  }
  static json about(const std::string& name) {
    return {{"id", name}, {"object", "model"}, {"created", 0}, {"owned_by", "iapt"}};
  }
  static std::string text(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }
  json models(const api_keys::client& grant) const {
    json list = json::array();
    auto names = store_.tenants();
    std::erase(names, name_);  // this name is the base model
    names.insert(names.begin(), name_);
    for (const std::string& name : names)
      if (api_keys::allows(grant, name)) list.push_back(about(name));
    return list;
  }
  // The engine's requests, one for each answer.
  std::vector<engine_request<T, Backend>> prepare(const openai_request& asked) {
    if (std::size_t(asked.answers()) > service_.max_requests_per_client())
      throw openai_error(400,
                         std::to_string(asked.answers()) + " answers: at most " +
                             std::to_string(service_.max_requests_per_client()) + " are allowed in one request here",
                         asked.choices > 1 ? "n" : "prompt");
    const index_t most_beams = limit_per_key(flags_.running_per_key, flags_.max_running);
    if (asked.options.beams > most_beams)
      throw openai_error(400, "best_of must be at most " + std::to_string(most_beams) + " here", "best_of");
    engine_request<T, Backend> request;
    try {
      if (asked.model != name_) request.method = store_.get(asked.model);
    } catch (const unknown_tenant&) { throw no_model(asked.model); } catch (const refused_adapter& failure) {
      throw openai_error(422, "the adapter cannot be used: " + failure.reason, "model", "bad_adapter");
    } catch (const transient_error&) {
      throw openai_error(503, "the adapter cannot be read now; try again later", "model");
    }
    std::vector<engine_request<T, Backend>> all;
    for (std::vector<token_id>& prompt : asked.encode(lm_)) {
      request.prompt = std::move(prompt);
      const index_t most = longest_answer(asked, index_t(request.prompt.size()) + request.soft_tokens());
      for (index_t i = 0; i < asked.choices; ++i) {
        request.options = asked.options_of(index_t(all.size()));
        request.options.max_new = most;
        auto& stop = request.options.stop;
        if (!asked.ignore_eos) stop.insert(stop.end(), stop_.begin(), stop_.end());
        all.push_back(request);
      }
    }
    return all;
  }
  // Maximum number of tokens of an answer after `taken` positions.
  index_t longest_answer(const openai_request& asked, index_t taken) const {
    const index_t wanted = asked.max_tokens.value_or(1);
    index_t room = service_.max_slots_per_request();
    if (lm_.config.max_positions > 0) room = std::min(room, lm_.config.max_positions);
    if (wanted > room - taken)
      throw openai_error(400,
                         "prompt and soft tokens take " + std::to_string(taken) + " of " + std::to_string(room) +
                             " positions, too many for an answer of " + std::to_string(wanted) + " tokens",
                         asked.chat ? "messages" : "prompt", "context_length_exceeded");
    if (wanted > flags_.max_tokens)
      throw openai_error(400, "max_tokens must be at most " + std::to_string(flags_.max_tokens) + " here",
                         "max_tokens");
    return asked.max_tokens.value_or(std::min(room - taken, flags_.max_tokens));
  }

  // ---- the answer ----
  // Submits the requests of a client, which keys_ owns.
  void complete(const std::shared_ptr<http_exchange>& exchange, const api_keys::client& grant, bool chat) {
    const auto asked = openai_request::parse(exchange->request.body, chat);
    std::string().swap(exchange->request.body);  // it may be long, and the answer takes some time
    require_model(grant, asked.model);
    auto requests = prepare(asked);
    index_t prompts = 0;  // tokens; each prompt counts once
    for (std::size_t i = 0; i < requests.size(); i += std::size_t(asked.choices))
      prompts += index_t(requests[i].prompt.size());
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    const auto response = std::make_shared<openai_response>(
        exchange, asked, lm_.tokenizer(), openai_answer(asked, lm_.tokenizer(), std::to_string(++number_), now),
        prompts);
    const auto deadline = clock::now() + std::chrono::seconds(flags_.timeout);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      requests[i].client = grant.id;
      if (asked.scores_prompts())
        requests[i].on_prompt_token = [response, i](const chosen_token& one) { response->read(i, one); };
      requests[i].on_token = [response, i](const chosen_token& one) { return response->put(i, one); };
      requests[i].on_finish = [response, i](finish_reason why) { response->end(i, why); };
      requests[i].is_cancelled = [response, deadline] { return !response->is_open() || clock::now() >= deadline; };
    }
    try {
      service_.submit(std::move(requests));
    } catch (const queue_full&) {
      throw openai_error(429, "too many requests wait; try again later", "", "rate_limit_exceeded");
    } catch (const service_draining&) {
      throw openai_error(503, "the server is shutting down");
    } catch (const error& failure) { throw openai_error(400, failure.what(), chat ? "messages" : "prompt"); }
    response->begin();
  }

  const serve_program& flags_;
  language_model<T, Backend> lm_;
  std::string name_;  // of the base model
  std::vector<token_id> stop_;
  api_keys keys_;
  http_metrics metrics_;
  http_origins origins_;
  http_routes routes_;
  client_queue queue_{4};  // of the 16 workers of http_, for one client
  http_server http_;       // before the service, because the service's requests use its connections
  service<T, Backend> service_;
  adapter_store<T, Backend> store_;
  std::atomic<std::uint64_t> number_ = 0;  // of the last answer
};

template <class T, class Backend>
int serve_program::run(Backend& backend) const {
  share_heap();
  return server<T, Backend>(*this, backend).run();
}

}  // namespace program
