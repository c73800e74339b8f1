// SPDX-License-Identifier: Apache-2.0
// Speed and memory on an NVIDIA GPU, for base models with random weights in bfloat16; the roofline peaks for
// comparison. gpu_bench SHAPE WHAT [name=number...] prints one JSON line. bench/gpu.sh runs everything, and PyTorch for
// comparison.
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "iapt/backend/cuda/backend.cuh"
#include "iapt/model/random.hpp"
#include "iapt/ops/cross_entropy.hpp"
#include "iapt/optim/adamw.hpp"
#include "iapt/peft/iapt/method.hpp"
#include "iapt/serve/generate.hpp"
#include "support/workload.hpp"

namespace {

using namespace iapt;
using backbone = causal_lm<bfloat16, cuda_backend>;
using method_type = iapt_method<key_value_generator<float, cuda_backend>>;
using numbers = std::map<std::string, double>;

/// Seconds of f, the median of several runs after one to warm up.
double seconds_of(cuda_backend& backend, int runs, const std::function<void()>& f) {
  std::vector<double> all;
  for (int i = 0; i <= runs; ++i) {
    backend.wait();
    const double start = bench::now();
    f();
    backend.wait();
    if (i) all.push_back(bench::now() - start);
  }
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}
/// The rate of a large matmul, in operations per second.
double product_roof(cuda_backend& backend) {
  const index_t n = 8192;
  tensor<bfloat16, 2, cuda_backend> a(backend, {n, n}), b(backend, {n, n}), c(backend, {n, n});
  backend.for_each(1, n * n,
                   random_uniform<bfloat16>{{a.write()}, 1, 1, 1});  // zeros would run faster than any real data
  backend.for_each(1, n * n, random_uniform<bfloat16>{{b.write()}, 1, 2, 1});
  const double seconds = seconds_of(backend, 10, [&] {
    backend.matmul<bfloat16>(n, n, n, {a.data(), n}, {b.data(), n, true}, {c.write(), n}, false);
  });
  return 2.0 * double(n) * double(n) * double(n) / seconds;
}
/// Bytes per second, read and written, of a copy that does not fit a cache.
double memory_roof(cuda_backend& backend) {
  const index_t n = index_t(1) << 30;
  tensor<float, 1, cuda_backend> a(backend, {n}), b(backend, {n});
  backend.zero(a.write(), n);
  return 8.0 * double(n) / seconds_of(backend, 10, [&] { backend.copy(b.write(), a.data(), n); });
}
std::vector<token_id> tokens(const transformer_config& c, index_t count, std::uint64_t seed) {
  random_stream random(seed, 3);
  return bench::random_tokens(random, c, count);
}
method_type method_for(const backbone& lm, const numbers& n) {
  return make_iapt<key_value_generator<float, cuda_backend>>(
      lm, {.soft_tokens = index_t(n.at("soft_tokens")),
           .bottleneck = index_t(n.at("bottleneck")),
           .where = n.at("late") ? placement::late : placement::front,
           .start = prompt_start::random});
}

numbers train(cuda_backend& backend, backbone& lm, const numbers& n) {
  const transformer_config& c = lm.config;
  lm.recompute_layers = n.at("recompute") != 0;
  method_type method = method_for(lm, n);
  adamw optimizer(method.parameters());
  const index_t batch_size = index_t(n.at("batch")), instruction = index_t(n.at("instruction")),
                response = index_t(n.at("response"));
  packed_batch batch;
  for (index_t b = 0; b < batch_size; ++b) batch.add(tokens(c, instruction, 2 * b), tokens(c, response, 2 * b + 1));
  double loss = 0;
  const double seconds = seconds_of(backend, int(n.at("steps")), [&] {
    tape<cuda_backend> t(backend);
    const auto value = t(cross_entropy(lm(t, batch, method), row_indices<cuda_backend>(backend, batch.targets)));
    t.backward(value);
    optimizer.measure({1.0, 1.0});
    loss = to_host(value)[0];
    optimizer.step();
  });
  const double work = bench::training_operations(c, batch_size, instruction, response, n.at("late") != 0);
  return {{"tokens_per_second", double(batch_size * (instruction + response)) / seconds},
          {"seconds_per_step", seconds},
          {"loss", loss},
          {"parameters", double(parameter_count(method.parameters()))},
          {"product_rate", work / seconds}};
}
numbers generation(cuda_backend& backend, backbone& lm, const numbers& n, bool adapted) {
  const transformer_config& c = lm.config;
  const index_t batch_size = index_t(n.at("batch")), prompt = index_t(n.at("prompt")), fresh = index_t(n.at("new"));
  packed_batch batch;
  for (index_t b = 0; b < batch_size; ++b) batch.add(tokens(c, prompt, b));
  numbers found;
  const auto measure = [&](const auto& method) {
    double prefill = 0, decode = 0;
    for (int round = 0; round < 2; ++round) {  // the first round warms up
      kv_cache<bfloat16, cuda_backend> cache(backend, c, batch_size, prompt + fresh + soft_token_count(method));
      backend.wait();
      double start = bench::now();
      auto next = likeliest(lm.prefill(batch, cache, method));
      prefill = bench::now() - start;
      start = bench::now();
      std::vector<index_t> sequences;
      for (index_t b = 0; b < batch_size; ++b) sequences.push_back(b);
      decoder reader(lm, cache, sequences, method);
      for (index_t k = 0; k < fresh; ++k) next = likeliest(reader.step(next));
      decode = bench::now() - start;
    }
    // A step of decoding reads every weight, and the keys and values of the past.
    const double past = double(prompt) + double(fresh) / 2 + double(soft_token_count(method));
    const double kept = double(batch_size) * past * 2 * double(c.layers * c.heads.kv_heads * c.heads.head_size);
    const double bytes = 2 * (bench::map_weights(c) + double(c.vocabulary * c.hidden) + kept);
    found = {{"prefill_tokens_per_second", double(batch_size * prompt) / prefill},
             {"prefill_product_rate", 2 * double(batch_size * prompt) * bench::map_weights(c) / prefill},
             {"decode_tokens_per_second", double(batch_size * fresh) / decode},
             {"decode_bytes_per_second", bytes * double(fresh) / decode}};
  };
  if (adapted)
    measure(method_for(lm, n));
  else
    measure(no_method{});
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string shape = argc > 1 ? argv[1] : "", what = argc > 2 ? argv[2] : "";
    numbers n{{"batch", 8},       {"instruction", 480}, {"response", 32}, {"steps", 5},    {"soft_tokens", 32},
              {"bottleneck", 64}, {"late", 0},          {"recompute", 0}, {"prompt", 512}, {"new", 128}};
    for (int i = 3; i < argc; ++i) {
      const std::string given = argv[i];
      const auto middle = given.find('=');
      if (middle == std::string::npos || !n.contains(given.substr(0, middle)))
        throw error("there is no setting \"" + given + "\"; a setting is name=number");
      n[given.substr(0, middle)] = std::stod(given.substr(middle + 1));
    }
    cuda_backend backend;
    numbers found;
    if (what == "roof") {
      found = {{"product_rate", product_roof(backend)}, {"memory_rate", memory_roof(backend)}};
    } else {
      if (shape != "smollm2-135m" && shape != "llama-7b") throw error("the shapes are smollm2-135m and llama-7b");
      auto lm = random_causal_lm<bfloat16>(backend, shape == "llama-7b" ? llama_7b_shape() : smollm2_135m_shape());
      if (what == "train")
        found = train(backend, lm, n);
      else if (what == "generate" || what == "generate-base")
        found = generation(backend, lm, n, what == "generate");
      else
        throw error("what to measure: roof, train, generate or generate-base");
    }
    std::string line = "{\"device\": \"" + backend.description() + "\"";
#if IAPT_SIMULATED_GPU
    found["enqueued_operations"] = double(backend.stream()->done);
#endif
    found["peak_mib"] = double(backend.peak_bytes() >> 20);
    for (const auto& [name, value] : found) line += ", \"" + name + "\": " + std::to_string(value);
    std::cout << line << "}\n";
    return 0;
  } catch (const std::exception& failure) {
    std::cerr << "gpu_bench: " << failure.what() << '\n';
    return 1;
  }
}
