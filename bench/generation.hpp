// SPDX-License-Identifier: Apache-2.0
// Tokens per second of prefill and decoding. The last line is JSON.
#pragma once
#include <sys/resource.h>

#include <iapt/model/decoder.hpp>
#include <iapt/model/kv_cache.hpp>
#include <iapt/serve/logits.hpp>

#include "../examples/support/program.hpp"
#include "support/workload.hpp"

namespace program {
using namespace iapt;

/// The program with its flags.
struct generation_program : inference_flags {
  static constexpr auto purpose = "Measures prefill and decoding.";
  index_t prompt = 512, fresh = 64;

  void add(CLI::App& app);
  template <class T, class Backend>
  int run(Backend& backend) const;
};

template <class T, class Backend>
int generation_program::run(Backend& backend) const {
  const auto lm = load<T>(backend);
  random_stream random(1);
  packed_batch batch;
  batch.add(bench::random_tokens(random, lm.config, prompt));
  const no_method method;
  double prefill = 1e9, decode = 0;
  for (int i = 0; i < 3; ++i) {  // the best prefill counts, and the decoding after the last one
    kv_cache<T, Backend> cache(backend, lm.config, 1, prompt + fresh);
    double start = bench::now();
    auto next = likeliest(lm.prefill(batch, cache));
    prefill = std::min(prefill, bench::now() - start);
    start = bench::now();
    decoder reader(lm, cache, {0}, method);
    for (index_t k = 0; k < fresh; ++k) next = likeliest(reader.step(next));
    decode = bench::now() - start;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::cout << nlohmann::ordered_json{{"prefill_tokens_per_second", double(prompt) / prefill},
                                      {"decode_tokens_per_second", double(fresh) / decode},
                                      {"peak_mib", usage.ru_maxrss / 1024}}
                   .dump()
            << '\n';
  return 0;
}

}  // namespace program
