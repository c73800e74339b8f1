// SPDX-License-Identifier: Apache-2.0
// Backends: cuda, cuda_simulated
#include IAPT_TEST_BACKEND_HEADER

#include "support/check.hpp"

namespace iapt::test::backend_cuda_recording {

TEST_CASE("work that uploads, waits or allocates is not recorded, and the backend goes on", "[backend]") {
  cuda_backend backend;
  const tensor<float, 1, cuda_backend> x(backend, {4});
  const auto message = [&](const auto& f) {
    cuda_work work;
    backend.repeat(work, f), backend.repeat(work, f);
    return message_of<device_error>([&] { backend.repeat(work, f); });
  };
  CHECK(message([&] {
          upload(x, std::vector<float>{1, 2, 3, 4});
        }) == "cuda: recorded work must not read from the host");
  index_t more = 0;
  CHECK(message([&] {
          std::vector<tensor<float, 1, cuda_backend>> kept;
          for (index_t i = 0; i <= more; ++i) kept.emplace_back(backend, extents<1>{1000});
          ++more;
        }) == "cuda: recorded work must not need more memory than it did before");
  CHECK(message([&] { to_host(x); }).find("not permitted when stream is capturing") != std::string::npos);
  CHECK(to_host(x) == std::vector<float>{1, 2, 3, 4});
}

}  // namespace iapt::test::backend_cuda_recording
