// SPDX-License-Identifier: Apache-2.0
// Tokens per second of training steps, and their fraction of the roofline peak of matmuls. The last line is JSON.
#pragma once
#include <sys/resource.h>

#include <iapt/optim/adamw.hpp>
#include <iapt/peft/iapt/method.hpp>
#include <iapt/train/gradient.hpp>

#include "../examples/support/program.hpp"
#include "support/workload.hpp"

namespace program {
using namespace iapt;

/// The program with its flags.
struct training_step_program : common_flags {
  static constexpr auto purpose = "Measures training steps.";
  std::string where = "front";
  index_t batch_size = 8, instruction = 72, response = 23, steps = 5;

  void add(CLI::App& app);
  template <class T, class Backend>
  int run(Backend& backend) const;
};

// Best rate of a large matmul, in GFLOP/s.
template <class T, class Backend>
double product_rate(Backend& backend) {
  const index_t m = 768, n = 1536, k = 576;
  const auto a = random_normal<T>(backend, extents<2>{m, k}, 1, random_stream(1));
  const auto b = random_normal<T>(backend, extents<2>{n, k}, 1, random_stream(2));
  inference<Backend> run(backend);
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const double start = bench::now();
    run(matmul(a, transposed(b)));
    backend.wait();
    best = std::min(best, bench::now() - start);
  }
  return 2e-9 * double(m * n * k) / best;
}

template <class T, class Backend>
int training_step_program::run(Backend& backend) const {
  const auto lm = load_causal_lm<T>(model, backend);
  const double roof = product_rate<T>(backend);
  iapt_options options{.where = where == "late" ? placement::late : placement::front, .start = prompt_start::random};
  auto method = make_iapt<key_value_generator<compute_type<T>, Backend>>(lm, options);
  adamw optimizer(method.parameters());
  random_stream random(1);
  const auto tokens = [&](index_t count) { return bench::random_tokens(random, lm.config, count); };
  packed_batch batch;
  for (index_t b = 0; b < batch_size; ++b) batch.add(tokens(instruction), tokens(response));
  double spent = 0;
  for (index_t i = 0; i <= steps; ++i) {  // the first warms up
    const double start = bench::now();
    tape<Backend> t(backend);
    const auto logits = lm(t, batch, method);
    t.backward(t(cross_entropy(logits, row_indices(backend, batch.targets))));
    optimizer.step();
    backend.wait();
    if (i) spent += bench::now() - start;
  }
  const double flop = bench::training_operations(lm.config, batch_size, instruction, response, where == "late");
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
