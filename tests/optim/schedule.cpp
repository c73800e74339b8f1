// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/optim/schedule.hpp"

#include "support/catch.hpp"

namespace iapt::test::optim_schedule {

TEST_CASE("linear decay is 1 behind the warm-up and 0 after the last step", "[optim]") {
  const schedule s{.shape = decay::linear, .steps = 10, .warm_up = 3};
  const double expected[] = {0.25, 0.5, 0.75, 1, 6.0 / 7, 5.0 / 7, 4.0 / 7, 3.0 / 7, 2.0 / 7, 1.0 / 7, 0, 0};
  for (index_t step = 0; step < 12; ++step) CHECK(s(step) == Approx(expected[step]).margin(1e-15));
}

TEST_CASE("cosine decay passes its half in the middle", "[optim]") {
  const schedule s{.shape = decay::cosine, .steps = 12, .warm_up = 2};
  CHECK(s(2) == 1);
  CHECK(s(7) == Approx(0.5));
  CHECK(s(11) == Approx(0.5 * (1 + std::cos(0.9 * 3.14159265358979))));
  CHECK(s(12) == 0);
}

TEST_CASE("constant stays, and a run may be all warm-up", "[optim]") {
  CHECK(schedule{.shape = decay::constant, .steps = 5, .warm_up = 1}(0) == 0.5);
  CHECK(schedule{.shape = decay::constant, .steps = 5, .warm_up = 1}(99) == 1);
  CHECK(schedule{.shape = decay::linear, .steps = 3, .warm_up = 3}(2) == 0.75);
  CHECK(schedule{.shape = decay::linear, .steps = 3, .warm_up = 3}(3) == 0);
}

TEST_CASE("warm-up as a fraction is rounded up", "[optim]") {
  CHECK(warm_up_steps(100, 0.06) == 6);
  CHECK(warm_up_steps(50, 0.06) == 3);
  CHECK(warm_up_steps(51, 0.06) == 4);
  CHECK(warm_up_steps(10, 0) == 0);
  CHECK(warm_up_steps(10, 2) == 10);
}

TEST_CASE("decays have names", "[optim]") {
  CHECK(decay_of("cosine") == decay::cosine);
  CHECK_THROWS_WITH(decay_of("exponential"), iapt::test::has_text("exponential"));
}

}  // namespace iapt::test::optim_schedule
