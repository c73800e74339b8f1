// SPDX-License-Identifier: Apache-2.0
// Backends: cuda, cuda_simulated
// What the host waits for, and what it leaves on the device: the simulated GPU counts both.
#include IAPT_TEST_BACKEND_HEADER

#if IAPT_SIMULATED_GPU
#include "iapt/model/decoder.hpp"
#include "iapt/ops/argmax.hpp"
#include "iapt/optim/adamw.hpp"
#include "iapt/peft/iapt/method.hpp"
#include "support/small_model.hpp"

namespace iapt::test::backend_cuda_waits {
namespace {

/// How often the host waits for the device while f runs.
template <class F>
std::size_t waits_in(F f) {
  const std::size_t before = simulated_gpu::here().waits;
  f();
  return simulated_gpu::here().waits - before;
}

}  // namespace

TEST_CASE("a training step waits once, and the run leaves nothing behind", "[backend]") {
  const std::size_t before = simulated_gpu::here().bytes_in_use();
  {
    cuda_backend backend;
    const auto lm = small_model<float>(backend);
    auto method = make_iapt<key_value_generator<float, cuda_backend>>(
        lm, {.soft_tokens = 2, .bottleneck = 5, .start = prompt_start::random});
    adamw optimizer(method.parameters());
    const packed_batch batch = two_sequences();
    for (int step = 0; step < 3; ++step)
      CHECK(waits_in([&] {
              tape<cuda_backend> t(backend);
              const auto loss = t(cross_entropy(lm(t, batch, method), row_indices(backend, batch.targets)));
              t.backward(loss);
              optimizer.measure({1.0, 1.0});
              to_host(loss);
              optimizer.step();
            }) == 1);
  }
  CHECK(simulated_gpu::here().bytes_in_use() == before);
}

namespace {

/// Enqueued operations that the last of some steps of decoding enqueues, each of which is to wait once.
template <class Method>
std::size_t work_of_a_step(const causal_lm<float, cuda_backend>& lm, const Method& method) {
  packed_batch batch;
  batch.add(small_tokens(5, 1));
  kv_cache<float, cuda_backend> cache(lm.backend(), lm.config, 1, 20);
  lm.prefill(batch, cache, method);
  decoder reader(lm, cache, {0}, method);
  std::vector<token_id> tokens{3};
  std::size_t work = 0;
  for (int step = 0; step < 6; ++step) {
    const std::size_t before = lm.backend().stream()->done;
    CHECK(waits_in([&] { tokens = row_argmax(reader.step(tokens)); }) == 1);
    work = lm.backend().stream()->done - before;
  }
  return work;
}

}  // namespace

TEST_CASE("a step of decoding waits once, is the same work with soft tokens as without, and leaves nothing behind",
          "[backend]") {
  const std::size_t before = simulated_gpu::here().bytes_in_use();
  {
    cuda_backend backend;
    const auto lm = small_model<float>(backend);
    const std::size_t work = work_of_a_step(lm, no_method{});
    // A layer's are 7 products, 2 of which add to its rows, 2 norms, 2 rotary positions, new rows, attention in 2 and a
    // gate. Beside them: uploads, the embedding, the last norm and the head, the choice and its download.
    CHECK(work <= 15 * 3 + 11);
    CHECK(work_of_a_step(lm, make_iapt<key_value_generator<float, cuda_backend>>(
                                 lm, {.soft_tokens = 2, .bottleneck = 5, .start = prompt_start::random})) == work);
  }
  CHECK(simulated_gpu::here().bytes_in_use() == before);
}

}  // namespace iapt::test::backend_cuda_waits
#endif
