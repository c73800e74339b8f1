// SPDX-License-Identifier: Apache-2.0
// Tokens per second of training steps, and their fraction of what the matrix products allow. The last line is JSON.
#pragma once
#include <sys/resource.h>

#include <chrono>

#include "../examples/support/program.hpp"

namespace program {
using namespace iapt;

/// The program, as its flags describe it.
struct training_step_program : common_flags {
  static constexpr auto purpose = "Measures training steps.";
  std::string where = "front";
  extent batch_size = 8, instruction = 72, response = 23, steps = 5;

  void add(CLI::App& app);
  template <class Backend>
  int run(Backend& backend) const;
};

inline double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Best rate of a large product, in GFLOP/s.
template <class Backend>
double product_rate(Backend& backend) {
  const extent m = 768, n = 1536, k = 576;
  const auto a = random_normal<float>(backend, extents<2>{m, k}, 1, random_stream(1));
  const auto b = random_normal<float>(backend, extents<2>{n, k}, 1, random_stream(2));
  inference<Backend> run(backend);
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const double start = seconds();
    run(matmul(a, transposed(b)));
    backend.wait();
    best = std::min(best, seconds() - start);
  }
  return 2e-9 * double(m * n * k) / best;
}

template <class Backend>
int training_step_program::run(Backend& backend) const {
  const auto lm = load_causal_lm<float>(model, backend);
  const double roof = product_rate(backend);
  iapt_options options{.where = where == "late" ? placement::late : placement::front, .start = prompt_start::random};
  auto method = make_iapt<key_value_generator<float, Backend>>(lm, options);
  adamw optimizer(method.parameters());
  random_stream random(1);
  const auto tokens = [&](extent count) {
    std::vector<token_id> ids(count);
    for (token_id& id : ids) id = token_id(random.below(std::uint64_t(lm.config.vocabulary)));
    return ids;
  };
  packed_batch batch;
  for (extent b = 0; b < batch_size; ++b) batch.add(tokens(instruction), tokens(response));
  double spent = 0;
  for (extent i = 0; i <= steps; ++i) {  // the first warms up
    const double start = seconds();
    tape<Backend> t(backend);
    const auto logits = lm(t, batch, method);
    t.backward(t(cross_entropy(logits, row_numbers(backend, batch.targets))));
    optimizer.step();
    backend.wait();
    if (i) spent += seconds() - start;
  }
  // Work of the products: forward everywhere, backward by the input only, and only where a gradient flows.
  const auto& c = lm.config;
  const double width = double(c.heads.heads + c.heads.kv_heads) * 2 * double(c.heads.head_size);
  const double layer = double(c.hidden) * (width + 3 * double(c.feed_forward));
  const double all = double(instruction + response - 1), live = where == "late" ? double(response) : all;
  const double head = double(response) * double(c.vocabulary * c.hidden);
  const double flop = 2 * double(batch_size) * (double(c.layers) * layer * (all + live) + 2 * head);
  const double per_step = spent / double(steps);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::cout << nlohmann::ordered_json{{"tokens_per_second", double(batch_size * (instruction + response)) / per_step},
                                      {"seconds_per_step", per_step},
                                      {"peak_mib", usage.ru_maxrss / 1024},
                                      {"roof_gflops", roof},
                                      {"roof_fraction", flop / per_step / (roof * 1e9)}}
                   .dump()
            << '\n';
  return 0;
}

}  // namespace program
