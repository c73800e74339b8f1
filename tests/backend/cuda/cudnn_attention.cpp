// SPDX-License-Identifier: Apache-2.0
// Backends: cuda
// What cuDNN's attention is asked for, and that cuDNN knows a way: it says so of a device that need not be here. What
// it computes is tested in ops/fused_attention.cpp.
#include IAPT_TEST_BACKEND_HEADER

#if IAPT_CUDNN
#include "support/check.hpp"

namespace iapt::test::backend_cuda_cudnn_attention {
namespace {

/// An H100 as cuDNN describes devices.
constexpr const char* hopper = R"({"cudaDeviceId": 0, "deviceVer": 900, "driverVer": 13000,
  "deviceName": "NVIDIA H100 80GB HBM3", "totalGlobalMem": 85000000000, "multiProcessorCount": 132, "warpSize": 32,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "regsPerBlock": 65536,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024,
  "maxRegistersPerSM": 65536, "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048,
  "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1, "smClockRateKHz": 1980000,
  "memClockRateKHz": 2619000, "l2CacheSize": 52428800})";

}  // namespace

TEST_CASE("there are few shapes to compile kernels for", "[backend][no_device]") {
  const head_layout layout{32, 8, 128};
  CHECK((cudnn_shape::of(layout, 1, 1, false) == cudnn_shape{1, 128, 8, layout, false}));
  CHECK((cudnn_shape::of(layout, 513, 11, false) == cudnn_shape{8, 1024, 8, layout, false}));
  // 2²⁸ bytes hold what the adjoint keeps of 16 sequences of 512 rows, of one of 2048, of a quarter of one of 4096.
  CHECK((cudnn_shape::of(layout, 512, 100, true) == cudnn_shape{16, 512, 8, layout, true}));
  CHECK((cudnn_shape::of(layout, 512, 7, true) == cudnn_shape{4, 512, 8, layout, true}));
  CHECK((cudnn_shape::of(layout, 2048, 7, true) == cudnn_shape{1, 2048, 8, layout, true}));
  CHECK((cudnn_shape::of(layout, 3000, 7, true) == cudnn_shape{1, 4096, 2, layout, true}));
  CHECK(cudnn_shape::of(layout, 3000, 7, true).heads() == 8);
  CHECK((cudnn_shape::of({9, 3, 64}, 8192, 7, true) == cudnn_shape{1, 8192, 1, {9, 3, 64}, true}));
}

TEST_CASE("what is not for cuDNN", "[backend][no_device]") {
  CHECK(cudnn_attention::knows({32, 8, 128}, 90));
  CHECK(!cudnn_attention::knows({32, 8, 256}, 90));
  CHECK(!cudnn_attention::knows({32, 8, 24}, 90));
  CHECK(!cudnn_attention::knows({32, 8, 128}, 80));
  CHECK(!cudnn_attention::knows({32, 8, 128}, 120));
  CHECK(cudnn_shape::most_rows({32, 32, 128}) == 32768);
  CHECK(cudnn_shape::most_rows({9, 3, 64}) == 16384);
}

TEST_CASE("cuDNN knows a way on Hopper for all that it is asked for", "[backend][no_device]") {
  std::vector<head_layout> layouts{{32, 32, 128}, {9, 3, 64}};  // a 7B Llama's, SmolLM2's
  for (index_t size = 16; size <= 128; size += 16) layouts.push_back({8, 2, size});
  for (const head_layout& layout : layouts)
    for (const index_t longest : {5, 512, 8192})
      for (const bool adjoint : {false, true}) {
        CAPTURE(layout.heads, layout.head_size, longest, adjoint);
        const std::string refusal = cudnn_attention::refusal(cudnn_shape::of(layout, longest, 8, adjoint), hopper, 90);
        if (refusal.find("libcuda") != std::string::npos) {
          WARN("skipped: not even a stub of the driver's library, which cuDNN wants to see");
          return;
        }
        CHECK(refusal == "");
      }
}

TEST_CASE("what cuDNN has no way for, it says", "[backend][no_device]") {
  CHECK(cudnn_attention::refusal({1, 128, 4, {4, 4, 7}, false}, hopper, 90) != "");
  CHECK(cudnn_attention::refusal({1, 128, 4, {4, 4, 64}, true}, hopper, 80) != "");  // Ampere: no packed sums
  CHECK(cudnn_attention::refusal({1, 128, 4, {4, 4, 64}, false}, "{}", 90) != "");
}

}  // namespace iapt::test::backend_cuda_cudnn_attention
#endif
