// SPDX-License-Identifier: Apache-2.0
// Many tenants on one base model: the cost of a method when every request may belong to another tenant, and the cost of
// a prompt for the second tenant that sends it. One JSON line for each method and number of tenants.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iapt/peft/known_methods.hpp>
#include <iapt/serve/engine.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../examples/support/program.hpp"
#include "support/workload.hpp"

namespace program {
using namespace iapt;

/// The program with its flags.
struct tenants_program : inference_flags {
  static constexpr auto purpose = "Measures an engine that serves many tenants.";
  std::vector<std::size_t> tenants = {1, 16, 256, 2000};
  std::vector<index_t> beams = {1, 3};
  index_t requests = 64, at_once = 16, shortest = 16, longest = 128, fresh = 32, alike = 513, soft_tokens = 4,
          bottleneck = 64, rank = 7;
  double temperature = 0, top_p = 1;

  void add(CLI::App& app);
  template <class T, class Backend>
  int run(Backend& backend) const;
};

/// The requests, the same for every method: prompts of different lengths, and tenants by Zipf's law, in which tenant k
/// has weight 1/k.
struct tenant_trace {
  std::vector<std::vector<token_id>> prompts;
  std::vector<std::size_t> tenants;

  tenant_trace(const tenants_program& f, const transformer_config& config, std::size_t tenant_count) {
    random_stream random(1);
    std::vector<double> up_to(tenant_count);
    double sum = 0;
    for (std::size_t k = 0; k < tenant_count; ++k) up_to[k] = sum += 1 / double(k + 1);
    for (index_t i = 0; i < f.requests; ++i) {
      const index_t length = f.shortest + index_t(random.below(std::uint64_t(f.longest - f.shortest + 1)));
      prompts.push_back(bench::random_tokens(random, config, length));
      const double drawn = random.uniform() * sum;
      tenants.push_back(std::size_t(std::lower_bound(up_to.begin(), up_to.end(), drawn) - up_to.begin()));
    }
  }
};

/// Serves the trace with method_of(tenant); all requests are submitted at the beginning.
template <class Model, class MethodOf>
nlohmann::ordered_json serve_trace(const Model& lm, const tenants_program& f, std::size_t tenant_count, index_t beams,
                                   MethodOf method_of) {
  using T = typename Model::value_type;
  using Backend = typename Model::backend_type;
  const tenant_trace trace(f, lm.config, std::max<std::size_t>(tenant_count, 1));
  std::map<std::size_t, method_ptr<T, Backend>> methods;
  for (const std::size_t tenant : trace.tenants)
    if (tenant_count && !methods.contains(tenant)) methods[tenant] = method_of(tenant);
  const index_t max_blocks_per_seq = (f.longest + f.fresh + f.soft_tokens) / 64 + 1;
  const index_t sequences = f.at_once * beams;
  engine<T, Backend> server(lm, {.cache = {.sequences = sequences,
                                           .blocks = (sequences + beams) * (max_blocks_per_seq + 1),
                                           .block_size = 64,
                                           .max_blocks_per_seq = max_blocks_per_seq}});
  std::size_t tokens = 0, rows = 0;
  double first_tokens = 0, decoding = 0;
  const double start = bench::now();
  for (std::size_t i = 0; i < trace.prompts.size(); ++i)
    server.submit({.prompt = trace.prompts[i],
                   .options = {.max_new = f.fresh,
                               .sampling = {.temperature = f.temperature, .top_p = f.top_p, .seed = i},
                               .beams = beams},
                   .method = tenant_count ? methods[trace.tenants[i]] : nullptr,
                   .on_token = [&, seen = false](const chosen_token&) mutable {
                     ++tokens;
                     if (!std::exchange(seen, true)) first_tokens += bench::now() - start;
                     return true;
                   }});
  for (bool more = true; more;) {
    const double since = bench::now();
    more = server.step();
    if (!more || server.last_step().prefill > 0) continue;
    decoding += bench::now() - since, rows += std::size_t(server.last_step().decode);
  }
  const double seconds = bench::now() - start;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> resident >> resident;
  return {{"tenants", tenant_count},
          {"tenants_asked", tenant_count ? methods.size() : 0},
          {"beams", beams},
          {"tokens_per_second", double(tokens) / seconds},
          {"decode_tokens_per_second", double(rows) / double(beams) / decoding},
          {"mean_seconds_to_first_token", first_tokens / double(f.requests)},
          {"mib", resident * std::size_t(sysconf(_SC_PAGESIZE)) >> 20}};
}

/// Sends the same prompt for two tenants, one after the other. Measures the seconds to the first token of each, as
/// means of three prompts.
template <class Model, class MethodOf>
nlohmann::ordered_json send_alike(const Model& lm, const tenants_program& f, MethodOf method_of) {
  using T = typename Model::value_type;
  using Backend = typename Model::backend_type;
  const index_t blocks = (f.alike + f.soft_tokens) / 64 + 1;
  engine<T, Backend> server(lm, {.cache = {.sequences = 1,
                                           .blocks = 2 * blocks,
                                           .block_size = 64,
                                           .max_blocks_per_seq = blocks,
                                           .store_hidden_states = true}});
  const auto seconds = [&](std::uint64_t prompt, std::size_t tenant) {
    random_stream random(prompt);
    server.submit({.prompt = bench::random_tokens(random, lm.config, f.alike),
                   .options = {.max_new = 1},
                   .method = method_of(tenant)});
    const double start = bench::now();
    while (server.step()) {}
    return bench::now() - start;
  };
  double first = 0, others = 0;
  for (const std::uint64_t prompt : {2, 3, 4}) first += seconds(prompt, 0) / 3, others += seconds(prompt, 1) / 3;
  return {{"prompt_tokens", f.alike},
          {"first_seconds", first},
          {"second_seconds", others},
          {"fraction", others / first},
          {"reused_tokens", server.reused_tokens()}};
}

template <class T, class Backend>
int tenants_program::run(Backend& backend) const {
  const auto lm = load<T>(backend);
  using lm_type = causal_lm<T, Backend>;
  const lm_type& backbone = lm;
  const auto print = [](const char* method, index_t parameters, nlohmann::ordered_json found) {
    nlohmann::ordered_json line{{"method", method}, {"parameters", parameters}};
    line.update(found);
    std::cout << line.dump() << std::endl;
  };
  using iapt_type = iapt_method<key_value_generator<compute_type<T>, Backend>>;
  const auto iapt = [&](std::size_t tenant, placement where) {
    return iapt_type::make(backbone, {.soft_tokens = soft_tokens,
                                      .bottleneck = bottleneck,
                                      .where = where,
                                      .start = prompt_start::random,
                                      .seed = tenant});
  };
  const auto lora = [&](std::size_t tenant) { return make_lora(backbone, {.rank = rank, .seed = tenant}); };
  const auto prefix = [&](std::size_t tenant) {
    return make_p_tuning_v2(backbone, {.soft_tokens = soft_tokens, .start = prefix_start::random, .seed = tenant});
  };
  const auto front = [&](std::size_t k) { return erase_method(backbone, iapt(k, placement::front)); };
  const auto late = [&](std::size_t k) { return erase_method(backbone, iapt(k, placement::late)); };
  const auto unmerged = [&](std::size_t k) { return erase_method(backbone, lora(k)); };
  const index_t of_iapt = parameter_count(iapt(0, placement::front).parameters());
  const auto plain = [&](std::size_t k) { return erase_method(backbone, prefix(k)); };
  const auto mixed = [&](std::size_t k) { return k % 3 == 0 ? front(k) : k % 3 == 1 ? late(k) : unmerged(k); };
  const index_t of_lora = parameter_count(lora(0).parameters()), of_prefix = parameter_count(prefix(0).parameters());
  print("IAPT late, a prompt sent again", of_iapt, send_alike(backbone, *this, late));
  for (const index_t width : beams) {
    print("base", 0, serve_trace(backbone, *this, 0, width, front));
    for (const std::size_t count : tenants) {
      print("IAPT front", of_iapt, serve_trace(backbone, *this, count, width, front));
      print("IAPT late", of_iapt, serve_trace(backbone, *this, count, width, late));
      print("LoRA unmerged", of_lora, serve_trace(backbone, *this, count, width, unmerged));
      print("P-tuning v2", of_prefix, serve_trace(backbone, *this, count, width, plain));
      print("mixed", of_iapt, serve_trace(backbone, *this, count, width, mixed));
    }
  }
  return 0;
}

}  // namespace program
