// SPDX-License-Identifier: Apache-2.0
// A server's counters, in Prometheus' text format.
#pragma once
#include <cstdint>
#include <iapt/serve/service.hpp>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

namespace program {

/// Counts responses, and writes the metrics page with these counts and a service's load.
class http_metrics {
 public:
  /// Counts a response.
  void count(int status) {
    const std::lock_guard lock(mutex_);
    ++responses_[status];
  }
  /// The metrics page.
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
    one("prompt_tokens_total", "counter", "Tokens of the accepted prompts.", load.prompt_tokens);
    one("reused_prompt_tokens_total", "counter", "Prompt tokens from the prefix cache.", load.reused_tokens);
    one("generated_tokens_total", "counter", "Generated tokens.", load.generated_tokens);
    one("preemptions_total", "counter", "Preemptions of requests.", load.preemptions);
    one("requests_running", "gauge", "Running requests.", load.running);
    one("requests_waiting", "gauge", "Waiting requests.", load.waiting);
    one("cache_blocks", "gauge", "Blocks of the KV cache.", load.blocks);
    one("cache_blocks_free", "gauge", "Blocks that no request uses.", load.free_blocks);
    one("adapters_loaded", "gauge", "Adapters in memory.", adapters);
    one("adapter_bytes", "gauge", "Bytes of the loaded adapters' tensors.", adapter_bytes);
    return page.str();
  }

 private:
  mutable std::mutex mutex_;
  std::map<int, std::uint64_t> responses_;
};

}  // namespace program
