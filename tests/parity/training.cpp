// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
// A backend against Eigen's: logits, gradients and training of IAPT on a backbone of SmolLM2's widths.
#include "parity/run.hpp"
#include "support/check.hpp"

namespace iapt::test::parity_training {
namespace {

// In full where the backend is a GPU; CI's hosts make do with fewer layers, words and steps.
#if IAPT_SIMULATED_GPU
constexpr bool full = false;
#else
constexpr bool full = !has_threads<>;
#endif

parity_task task(placement where, int steps) {
  parity_task all{.shape = smollm2_135m_shape(), .where = where, .steps = steps};
  if (!full) all.shape.layers = 3, all.shape.vocabulary = 1000;
  return all;
}

}  // namespace

TEST_CASE("in double, logits, gradients and a step are Eigen's to 1e-10", "[parity]") {
  for (const placement where : {placement::front, placement::late}) {
    CAPTURE(int(where));
    const parity_task one = task(where, 2);
    test_backend backend = with_threads(2);
    const parity_run found = run_task<double>(backend, one), expected = run_on_eigen(one, true);
    CHECK(difference(found.logits, expected.logits) <= 1e-10);
    CHECK(difference(found.gradients, expected.gradients) <= 1e-10);
    CHECK(difference(found.losses, expected.losses) <= 1e-10);
  }
}

TEST_CASE("in float, training stays beside Eigen's", "[parity]") {
  const parity_task many = task(placement::front, full ? 50 : 20);
  test_backend backend = with_threads(2);
  const parity_run found = run_task<float>(backend, many), expected = run_on_eigen(many, false);
  CHECK(difference(found.logits, expected.logits) <= 1e-4);
  CHECK(distance(found.gradients, expected.gradients) <= 1e-4);
  CHECK(difference(found.losses, expected.losses) <= 1e-5);
  CHECK(expected.losses.back() < 0.97 * expected.losses.front());
  CHECK(distance(found.trained, expected.trained) <= 1e-4);
}

template <class Backend>
void check_bfloat16() {
  if constexpr (Backend::stores_bfloat16) {
    const parity_task many = task(placement::front, full ? 50 : 20);
    Backend backend = with_threads(2);
    const parity_run found = run_task<float, bfloat16>(backend, many), expected = run_on_eigen(many, false);
    CHECK(difference(found.logits, expected.logits) <= 0.05);
    CHECK(distance(found.gradients, expected.gradients) <= 0.2);
    CHECK(difference(found.losses, expected.losses) <= 0.01);
    CHECK(found.losses.back() < 0.97 * found.losses.front());
  }
}
TEST_CASE("with a backbone in bfloat16, training stays near Eigen's in float", "[parity]") {
  check_bfloat16<test_backend>();
}

TEST_CASE("the same run twice gives the same bits and returns its memory", "[parity]") {
  const parity_task few = task(placement::front, 3);
  test_backend backend = with_threads(2);
  const parity_run once = run_task<float>(backend, few);
  CHECK(backend.bytes_in_use() == 0);
  const parity_run again = run_task<float>(backend, few);
  CHECK((once.logits == again.logits));
  CHECK((once.gradients == again.gradients));
  CHECK((once.losses == again.losses));
  CHECK((once.trained == again.trained));
}

}  // namespace iapt::test::parity_training
