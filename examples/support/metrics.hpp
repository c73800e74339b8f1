// SPDX-License-Identifier: Apache-2.0
// What a server has done, in Prometheus' text format.
#pragma once
#include <cstdint>
#include <iapt/serve/service.hpp>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

namespace program {

/// Counts of responses, and the page that shows them beside a service's load.
class http_metrics {
 public:
  /// A response was sent.
  void count(int status) {
    const std::lock_guard lock(mutex_);
    ++responses_[status];
  }
  /// The page.
  std::string text(const iapt::service_load& load, std::size_t adapters, std::size_t adapter_bytes) const {
    std::ostringstream page;
    const auto head = [&](const char* name, const char* type, const char* help) {
      page << "# HELP iapt_" << name << ' ' << help << "\n# TYPE iapt_" << name << ' ' << type << '\n';
    };
    const auto one = [&](const char* name, const char* type, const char* help, auto value) {
      head(name, type, help);
      page << "iapt_" << name << ' ' << value << '\n';
    };
    head("http_responses_total", "counter", "Responses by status.");
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [status, number] : responses_)
        page << "iapt_http_responses_total{status=\"" << status << "\"} " << number << '\n';
    }
    one("prompt_tokens_total", "counter", "Tokens of the prompts that were taken.", load.prompt_tokens);
    one("reused_prompt_tokens_total", "counter", "Tokens of them that others had read.", load.reused_tokens);
    one("generated_tokens_total", "counter", "Tokens that were generated.", load.generated_tokens);
    one("preemptions_total", "counter", "Requests that gave their memory back to be read again.", load.preemptions);
    one("requests_running", "gauge", "Requests that are read or answered.", load.running);
    one("requests_waiting", "gauge", "Requests that wait for a place.", load.waiting);
    one("cache_blocks", "gauge", "Blocks of the key/value cache.", load.blocks);
    one("cache_blocks_free", "gauge", "Blocks of it that no request has.", load.free_blocks);
    one("adapters_loaded", "gauge", "Adapters in memory.", adapters);
    one("adapter_bytes", "gauge", "Bytes of their tensors.", adapter_bytes);
    return page.str();
  }

 private:
  mutable std::mutex mutex_;
  std::map<int, std::uint64_t> responses_;
};

}  // namespace program
