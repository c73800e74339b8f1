// SPDX-License-Identifier: Apache-2.0
// Serves a model and its tenants' adapters over HTTP, in OpenAI's interface, on any device. serve.cpp reads the flags.
#pragma once
#include <chrono>
#include <iapt/serve/adapter_store.hpp>
#include <iapt/serve/openai_answer.hpp>
#include <iapt/serve/openai_request.hpp>
#include <iapt/serve/service.hpp>
#include <iapt/train/interrupt.hpp>
#include <thread>

#include "support/api_keys.hpp"
#include "support/http.hpp"
#include "support/memory.hpp"
#include "support/metrics.hpp"
#include "support/program.hpp"

namespace program {
using namespace iapt;

/// The program, as its flags describe it.
struct serve_program : inference_flags {
  static constexpr auto purpose = "Serves a model and the adapters of its tenants, for clients of OpenAI's interface.";
  std::string adapters, host = "127.0.0.1", keys;
  int port = 8080;
  bool share_late = false, share_nothing = false;
  extent kv_budget = 1024, adapter_budget = 1024;                                              // MiB
  extent max_running = 32, max_queue = 64, max_tokens = 4096, max_body = 1024, timeout = 600;  // KiB, seconds

  void add(CLI::App& app);
  template <class T, class Backend>
  int run(Backend& backend) const;
};

/// What answers the requests of HTTP. Each connection has a thread, which reads adapters and writes answers; the
/// service's thread generates.
template <class T, class Backend>
class server {
 public:
  server(const serve_program& flags, Backend& backend)
      : flags_(flags),
        lm_(flags.load<T>(backend)),
        stop_(lm_.end_tokens()),
        keys_(flags.keys),
        service_(lm_,
                 {.engine = {.cache = cache_within<T>(lm_.config, mebibytes(flags.kv_budget), flags.max_running,
                                                      flags.share_late),
                             .share_prefixes = !flags.share_nothing},
                  .max_queue = std::size_t(flags.max_queue),
                  .on_failure = [](const std::string& why) { std::cerr << "iapt: a pass failed: " + why + "\n"; }}),
        store_(lm_, flags.adapters, mebibytes(flags.adapter_budget), loader()) {
    std::filesystem::path path(flags.model);
    if (!path.has_filename()) path = path.parent_path();  // "folder/"
    name_ = (std::filesystem::is_directory(path) ? path.filename() : path.stem()).string();
    settle();
    routes();
  }

  /// Serves until a signal comes, then answers what was asked.
  int run() {
    const interrupt_guard signal;
    const int port = flags_.port ? (http_.bind_to_port(flags_.host, flags_.port) ? flags_.port : -1)
                                 : http_.bind_to_any_port(flags_.host);
    if (port < 0)
      throw io_error("cannot listen on " + flags_.host + ":" + std::to_string(flags_.port) + ": in use, or not ours");
    http_.hold(1024);
    std::atomic<bool> ended = false;
    std::thread listener([&] { http_.listen_after_bind(), ended = true; });
    const std::shared_ptr<void> listening(nullptr, [&](void*) { http_.stop(), listener.join(); });
    std::cout << "serving " << name_ << " on http://" << flags_.host << ":" << port << std::endl;
    for (rest idle(std::chrono::seconds(5)); !signal.raised() && !ended; std::this_thread::sleep_for(moment))
      if (const auto now = service_.load(); idle.begins(now.prompt_tokens, now.running + now.waiting == 0)) tidy();
    service_.drain();
    while (answering_ > 0) std::this_thread::sleep_for(moment);  // stop() breaks off what is being written
    return 0;
  }

 private:
  using json = nlohmann::ordered_json;
  using clock = std::chrono::steady_clock;
  // After a crowd its memory is the machine's again.
  void tidy() {
    service_.between_passes([this] { lm_.backend().trim(); });
    give_heap_back();
  }
  static std::size_t mebibytes(extent count) { return std::size_t(count) << 20; }
  // A GPU's backend is of one thread: there adapters are read between two passes.
  typename adapter_store<T, Backend>::runner loader() {
    if constexpr (requires(const Backend& backend) { backend.threads(); }) return {};
    return [this](const auto& read) { service_.between_passes(read); };
  }

  void settle() {
    const std::size_t threads = std::size_t(flags_.max_running + flags_.max_queue) + 8;  // 8 to refuse the others
    http_.new_task_queue = [threads] { return new httplib::ThreadPool(threads); };
    http_.set_payload_max_length(std::size_t(flags_.max_body) << 10);
    http_.limits.bytes = 2 * (std::size_t(flags_.max_body) << 10) + (64 << 10);  // chunks have heads of their own
    http_.set_keep_alive_max_count(1000);
    http_.set_tcp_nodelay(true);
    // Of other methods the library would read bodies of any length.
    http_.set_pre_routing_handler([](const httplib::Request& from, httplib::Response& to) {
      const bool gets = from.method == "GET" || from.method == "HEAD";
      if (gets && !from.has_header("Content-Length") && !from.has_header("Transfer-Encoding"))
        connection::here().whole();  // of others the library leaves bodies unread
      if (gets || from.method == "POST") return httplib::Server::HandlerResponse::Unhandled;
      refuse(to, openai_error(405, "use GET or POST"));
      return httplib::Server::HandlerResponse::Handled;
    });
    http_.set_logger([this](const auto&, const httplib::Response& to) { metrics_.count(to.status); });
    http_.set_error_handler(refuse_as_library);
    http_.set_exception_handler(refuse_as_thrown);
  }
  void routes() {
    http_.Get("/healthz", [this](const auto&, httplib::Response& to) {
      if (service_.draining()) throw openai_error(503, "the server is shutting down");
      to.set_content("ok\n", "text/plain");
    });
    http_.Get("/metrics", [this](const auto&, httplib::Response& to) {
      to.set_content(metrics_.text(service_.load(), store_.loaded(), store_.bytes()), "text/plain; version=0.0.4");
    });
    http_.Get("/v1/models", [this](const httplib::Request& from, httplib::Response& to) { models(from, to); });
    http_.Get("/v1/models/(.+)", [this](const httplib::Request& from, httplib::Response& to) {
      const std::string name = from.matches[1];
      require_model(granted(from), name);
      to.set_content(text(about(name)), "application/json");
    });
    for (const bool chat : {false, true})
      http_.Post(chat ? "/v1/chat/completions" : "/v1/completions",
                 [this, chat](const httplib::Request& from, httplib::Response& to, const httplib::ContentReader& body) {
                   complete(from, to, body, chat);
                 });
    http_.Post(".*", [this](const httplib::Request& from, httplib::Response& to, const httplib::ContentReader& body) {
      read_body(from, to, body, std::size_t(flags_.max_body) << 10);
      throw openai_error(404, no_page);
    });
  }

  // ---- who asks, and for what ----
  const api_keys::grant& granted(const httplib::Request& from) const {
    if (const auto* found = keys_.find(from.get_header_value("Authorization"))) return *found;
    throw openai_error(401, "a key that is known is needed: Authorization: Bearer KEY", "", "invalid_api_key");
  }
  void require_model(const api_keys::grant& grant, const std::string& name) const {
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
  void models(const httplib::Request& from, httplib::Response& to) const {
    const auto& grant = granted(from);
    json list = json::array();
    auto names = store_.tenants();
    std::erase(names, name_);  // which means the bare model
    names.insert(names.begin(), name_);
    for (const std::string& name : names)
      if (api_keys::allows(grant, name)) list.push_back(about(name));
    to.set_content(text({{"object", "list"}, {"data", list}}), "application/json");
  }
  // What the engine is asked for each answer.
  std::vector<engine_request<T, Backend>> prepare(const openai_request& asked) {
    if (std::size_t(asked.answers()) > service_.most())
      throw openai_error(400,
                         "of " + std::to_string(asked.answers()) + " answers at most " +
                             std::to_string(service_.most()) + " may be asked for at once here",
                         asked.choices > 1 ? "n" : "prompt");
    if (asked.options.beams > flags_.max_running)
      throw openai_error(400, "best_of must be at most " + std::to_string(flags_.max_running) + " here", "best_of");
    engine_request<T, Backend> request;
    try {
      if (asked.model != name_) request.method = store_.get(asked.model);
    } catch (const unknown_tenant&) { throw no_model(asked.model); } catch (const io_error& failure) {
      throw openai_error(422, std::string("the adapter cannot be used: ") + failure.what(), "model", "bad_adapter");
    }
    std::vector<engine_request<T, Backend>> all;
    for (std::vector<token_id>& prompt : asked.encode(lm_)) {
      request.prompt = std::move(prompt);
      const extent most = longest_answer(asked, extent(request.prompt.size()) + request.soft_tokens());
      for (extent i = 0; i < asked.choices; ++i) {
        request.options = asked.options_of(extent(all.size()));
        request.options.max_new = most;
        auto& stop = request.options.stop;
        if (!asked.ignore_eos) stop.insert(stop.end(), stop_.begin(), stop_.end());
        all.push_back(request);
      }
    }
    return all;
  }
  // In tokens, behind so many positions.
  extent longest_answer(const openai_request& asked, extent taken) const {
    const extent wanted = asked.max_tokens.value_or(1);
    extent room = service_.capacity();
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
  void complete(const httplib::Request& from, httplib::Response& to, const httplib::ContentReader& body, bool chat) {
    const auto held = hold();
    const std::string json = read_body(from, to, body, std::size_t(flags_.max_body) << 10);
    connection::here().give(std::chrono::seconds(flags_.timeout) + http_.limits.arriving);
    const auto& grant = granted(from);
    const auto asked = openai_request::parse(json, chat);
    require_model(grant, asked.model);
    auto requests = prepare(asked);
    extent prompts = 0;  // tokens, each prompt's once
    for (std::size_t i = 0; i < requests.size(); i += std::size_t(asked.choices))
      prompts += extent(requests[i].prompt.size());
    const auto channel = std::make_shared<answer_channel>(asked, lm_.tokenizer());
    const auto deadline = clock::now() + std::chrono::seconds(flags_.timeout);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      requests[i].seen = [channel, i](const chosen_token& one) { return channel->put(i, one); };
      requests[i].finished = [channel, i](finish_reason why) { channel->end(i, why); };
      requests[i].wanted = [channel, deadline] { return channel->wanted() && clock::now() < deadline; };
    }
    const std::shared_ptr<answer_channel> reader(channel.get(), [channel, held](auto* read) { read->leave(); });
    try {
      service_.submit(std::move(requests));
    } catch (const queue_full&) {
      to.set_header("Retry-After", "1");
      throw openai_error(429, "too many requests wait; try again later", "", "rate_limit_exceeded");
    } catch (const service_draining&) {
      throw openai_error(503, "the server is shutting down");
    } catch (const error& failure) { throw openai_error(400, failure.what(), chat ? "messages" : "prompt"); }
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    const auto shape = std::make_shared<openai_answer>(asked, lm_.tokenizer(), std::to_string(++number_), now);
    if (asked.stream)
      stream_answer(to, shape, prompts, reader);
    else
      to.set_content(whole_answer(*shape, prompts, *reader), "application/json");
  }
  // Held while a request of HTTP is answered.
  std::shared_ptr<void> hold() {
    ++answering_;
    return {this, [this](void*) { --answering_; }};
  }

  const serve_program& flags_;
  language_model<T, Backend> lm_;
  std::string name_;  // of the bare model
  std::vector<token_id> stop_;
  api_keys keys_;
  http_metrics metrics_;
  service<T, Backend> service_;
  adapter_store<T, Backend> store_;
  std::atomic<std::uint64_t> number_ = 0;  // of the last answer
  std::atomic<int> answering_ = 0;         // requests of HTTP
  http_server http_;
};

template <class T, class Backend>
int serve_program::run(Backend& backend) const {
  share_heap();
  return server<T, Backend>(*this, backend).run();
}

}  // namespace program
