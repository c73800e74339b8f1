// SPDX-License-Identifier: Apache-2.0
// Backends: cuda, cuda_simulated
// Whether there is a GPU, and which of several a thread uses.
#include IAPT_TEST_BACKEND_HEADER

#include <future>
#include <thread>

#include "iapt/serve/service.hpp"
#include "support/check.hpp"
#include "support/small_model.hpp"

namespace iapt::test::backend_cuda_device {
namespace {

int gpus() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  cudaGetLastError();
  return count;
}
bool there_are_two() {
  if (gpus() > 1) return true;
  WARN("no second GPU");
  return false;
}

}  // namespace

TEST_CASE("a machine without a GPU says so", "[backend][no_device]") {
  if (gpus() > 0) return;
  CHECK(message_of<device_error>([] { cuda_backend(); }).starts_with("cuda: no GPU can be used on this machine: "));
}

TEST_CASE("a device that is not there", "[backend]") {
  CHECK(message_of<device_error>([] { cuda_backend({.device = 99}); }).starts_with("cuda: there is no device 99; "));
  CHECK(message_of<device_error>([] { cuda_backend({.device = -1}); }).starts_with("cuda: there is no device -1; "));
}

TEST_CASE("another thread uses another device", "[backend]") {
  if (!there_are_two()) return;
  cuda_backend other({.device = 1}), backend;  // so that device 0 is this thread's
  other.make_current();
  const auto x = from_host(other, extents<1>{3}, std::vector<float>{1, 2, 3});
  std::vector<float> doubled;
  std::thread([&] {
    other.make_current();
    const inference<cuda_backend> run(other);
    doubled = to_host(run(x + x));
  }).join();
  CHECK(doubled == std::vector<float>{2, 4, 6});
  backend.make_current();
  CHECK(to_host(from_host(backend, extents<1>{1}, std::vector<float>{7})) == std::vector<float>{7});
}

TEST_CASE("a service's thread uses its model's device", "[backend]") {
  cuda_backend backend({.device = there_are_two() ? 1 : 0});
  const auto lm = small_model<float>(backend);
  service<float, cuda_backend> served(
      lm, {.engine = {.cache = {.sequences = 1, .blocks = 8, .block_size = 4, .max_blocks_per_seq = 8}}});
  std::promise<finish_reason> end;
  served.submit({.prompt = small_tokens(5, 1), .options = {.max_new = 3}, .on_finish = [&](finish_reason why) {
                   end.set_value(why);
                 }});
  CHECK(end.get_future().get() == finish_reason::length);
}

}  // namespace iapt::test::backend_cuda_device
