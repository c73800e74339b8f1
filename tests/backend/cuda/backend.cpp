// SPDX-License-Identifier: Apache-2.0
// Backends: cuda, cuda_simulated
// What a GPU does that no other backend does: it may be full, it reports faults late, it reads staged memory.
#include IAPT_TEST_BACKEND_HEADER

#include <numeric>

#include "iapt/model/random.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/matmul.hpp"
#include "support/check.hpp"

namespace iapt::test::backend_cuda_backend {
namespace {

/// Writes where nothing is.
struct stray_loop {
  using value_type = float;
  template <class V>
  IAPT_DEVICE void operator()(index_t, vec_index<V> j) const {
    row<float>{reinterpret_cast<float*>(16)}[j] = V(1);
  }
};

}  // namespace

TEST_CASE("memory that is not there, and what is there afterwards", "[backend]") {
  cuda_backend backend;
  CHECK(message_of<device_error>([&] {
          backend.allocate<float>(index_t(1) << 44);
        }).starts_with("cuda: out of memory: "));
  const auto x = from_host(backend, extents<1>{3}, std::vector<float>{1, 2, 3});
  CHECK(to_host(x) == std::vector<float>{1, 2, 3});
  CHECK(backend.bytes_in_use() == 64);
}

TEST_CASE("uploads larger than the staging memory arrive whole, and in order", "[backend]") {
  cuda_backend backend;
  std::vector<std::int32_t> numbers(9'000'000);
  std::iota(numbers.begin(), numbers.end(), 0);
  const tensor<std::int32_t, 1, cuda_backend> x(backend, {index_t(numbers.size())});
  upload(x, numbers);
  CHECK((to_host(x) == numbers));
  for (std::int32_t round = 0; round < 5; ++round) {
    std::fill(numbers.begin(), numbers.end(), round);
    upload(x, numbers);
  }
  CHECK((to_host(x) == std::vector<std::int32_t>(numbers.size(), 4)));
}

// A build for older GPUs alone computes the same, but no kernel begins before the one ahead has ended.
TEST_CASE("where kernels can wait for their turn themselves, their code does", "[backend]") {
  cuda_backend backend;
  const auto kernel = reinterpret_cast<const void*>(team_kernel<skinny_gemm<bfloat16, 1>>);
  cudaFuncAttributes code;
  REQUIRE(cudaFuncGetAttributes(&code, kernel) == cudaSuccess);
  INFO(backend.description() << " runs code for compute capability " << code.ptxVersion
                             << "; CMAKE_CUDA_ARCHITECTURES says what is compiled");
  CHECK((backend.capability() < 90 || code.ptxVersion >= 90));
}

// Recorded, for work that is enqueued piece by piece has mostly ended when the next piece comes.
TEST_CASE("products of few rows that follow each other have the bits of one at a time", "[backend]") {
#if IAPT_SIMULATED_GPU
  const index_t n = 512;
  const std::uint64_t rounds = 3;
#else
  const index_t n = 2560;
  const std::uint64_t rounds = 30;
#endif
  const auto all_bits = [&](bool blocking, index_t rows) {
    cuda_backend backend({.blocking = blocking});
    const tensor<bfloat16, 2, cuda_backend> x(backend, {rows, n}), v(backend, {n, n}), w(backend, {n, n});
    const auto fill = [&](const auto& y, std::uint64_t seed) {
      backend.for_each(1, y.size(), random_uniform<bfloat16>{{y.write()}, seed, 1, 0.05});
    };
    fill(v, 1), fill(w, 2);
    const inference<cuda_backend> ctx(backend);
    cuda_work work;
    std::vector<tensor<bfloat16, 2, cuda_backend>> found;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      fill(x, 3 + round);  // what is read too early is of the round before
      backend.repeat(work, [&] {
        found.clear();
        const auto by = [&](const auto& left, const auto& right) { return ctx(matmul(left, transposed(right))); };
        const auto a = by(x, v), b = by(x, w), c = by(b, w), d = by(x, v), e = by(d, w);  // c reads b, e reads d
        const auto f = ctx(addmm(e, matmul(c, transposed(v))));
        found = {a, b, c, d, e, f, by(ctx(f + a), w)};
      });
    }
    std::vector<std::vector<bfloat16>> bits;
    for (const auto& y : found) bits.push_back(to_host(y));
    return bits;
  };
  for (const index_t rows : {1, 3}) {
    CAPTURE(rows);
    const auto together = all_bits(false, rows), apart = all_bits(true, rows);
    for (std::size_t i = 0; i < apart.size(); ++i) {
      CAPTURE(i);
      CHECK(std::equal(together[i].begin(), together[i].end(), apart[i].begin(), apart[i].end(),
                       [](bfloat16 a, bfloat16 b) { return float(a) == float(b); }));
    }
  }
}

// Each in a process of its own, which has no use of the device afterwards.
TEST_CASE("a fault is blamed on its operation where every one is waited for", "[backend][fault]") {
  cuda_backend blocking({.blocking = true});
  const auto message = message_of<device_error>([&] { blocking.for_each(1, 4, stray_loop{}); });
  CHECK(message.find("stray_loop: ") != std::string::npos);
  CHECK(message.find("illegal") != std::string::npos);
  const auto later = message_of<device_error>([&] { blocking.allocate<float>(1 << 20); });
  CAPTURE(later);
  CHECK(later.starts_with("cuda: allocation: nothing runs since "));
  CHECK(later.find("stray_loop failed: ") != std::string::npos);
}

TEST_CASE("a fault is told at the next wait, and blamed on no call that meets it later", "[backend][fault][late]") {
  cuda_backend backend;
  const tensor<float, 2, cuda_backend> x(backend, {16, 16}), y(backend, {16, 16});
  const matrix_ref<const float> a{x.data(), 16};
  const matrix_ref<float> c{y.write(), 16};
  backend.matmul<float>(16, 16, 16, a, a, c, false);
  const tensor<bfloat16, 2, cuda_backend> q(backend, {16, 16}), z(backend, {16, 16});
  const tensor<float, 2, cuda_backend> sums(backend, {16, 1});
  backend.zero(q.write(), q.size());
  attention_arrays<bfloat16> rows{};
  rows.layout = {1, 1, 16}, rows.scale = 1, rows.y = z.write(), rows.log_sum = sums.write();
  rows.q = rows.k = rows.v = q.data();
  const attention_segment sequence{.count = 16};
  const auto plan = backend.plan_attention<bfloat16>(rows.layout, {&sequence, 1}, {});
  backend.attention(rows, plan);
  backend.wait();
  backend.for_each(1, 4, stray_loop{});
  const auto check_blame = [&](const std::string& where, const auto& f) {
    const auto message = message_of<device_error>(f);
    CAPTURE(message);
    CHECK(message.starts_with("cuda: noticed at " + where));
    CHECK(message.find("stray_loop") != std::string::npos);
    CHECK(message.find("illegal") != std::string::npos);
  };
  check_blame("wait, ", [&] { backend.wait(); });
  check_blame("matmul (16, 16) × (16, 16), ", [&] { backend.matmul<float>(16, 16, 16, a, a, c, false); });
  if (plan.fused().count) check_blame("cuDNN: ", [&] { backend.attention(rows, plan); });
  check_blame("upload, ", [&] { upload(x, std::vector<float>(256)); });
  check_blame("zero, ", [&] { backend.zero(x.write(), 256); });
  check_blame("allocation, ", [&] { backend.allocate<float>(1 << 20); });
}

}  // namespace iapt::test::backend_cuda_backend
