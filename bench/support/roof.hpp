// SPDX-License-Identifier: Apache-2.0
// Measures the roofline peaks of this machine, with which operations are compared.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "iapt/backend/eigen/backend.hpp"

namespace iapt::bench {

/// Seconds of f, the best of several runs.
template <class F>
double best_seconds(int runs, const F& f) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// The roofline peaks: float matmuls and memory.
struct roof {
  double product_rate;  ///< operations per second of the best of several large matmuls, by the matmul library
  double eigen_rate;    ///< the same with Eigen
  double bandwidth;     ///< bytes per second, read and written, of a copy that does not fit the caches
};

/// Measures matmuls of sizes at which libraries reach their best rate.
template <class Product>
double best_product_rate(const Product& product) {
  double best = 0;
  for (const index_t n : {512, 768, 1024, 1536}) {
    const std::vector<float> a(n * n, 0.5f), b(n * n, 0.25f);
    std::vector<float> c(n * n);
    const double seconds = best_seconds(8, [&] { product(n, a.data(), b.data(), c.data()); });
    best = std::max(best, 2.0 * double(n) * double(n) * double(n) / seconds);
  }
  return best;
}

/// Measures the machine with the backend's number of threads. It takes about two seconds.
inline roof measure_roof(eigen_backend& backend) {
  roof top{};
  top.product_rate = best_product_rate([&](index_t n, const float* a, const float* b, float* c) {
    backend.matmul<float>(n, n, n, {a, n}, {b, n}, {c, n}, false);
  });
#if defined(_OPENMP)
  omp_set_num_threads(backend.threads());
#endif
  top.eigen_rate = best_product_rate([](index_t n, const float* a, const float* b, float* c) {
    eigen_matmul<float>(n, n, n, {a, n}, {b, n}, {c, n}, false);
  });
  const index_t size = 64 << 20, part = 1 << 20;  // 256 MiB each way
  std::vector<float> from(size, 1), to(size);
  top.bandwidth = 2.0 * sizeof(float) * size / best_seconds(6, [&] {
#pragma omp parallel for num_threads(backend.threads()) schedule(static)
                    for (index_t i = 0; i < size / part; ++i)
                      std::memcpy(to.data() + i * part, from.data() + i * part, part * sizeof(float));
                  });
  return top;
}

/// The roofline peaks as text.
inline std::string to_text(const roof& top, int threads) {
  const auto giga = [](double x) { return std::to_string(int(x / 1e9 + 0.5)); };
  std::string text = "products by " + std::string(product_library) + ": " + giga(top.product_rate) + " GFLOP/s, " +
                     std::to_string(threads) + " threads (Eigen: " + giga(top.eigen_rate) +
                     "); copying memory: " + giga(top.bandwidth) + " GB/s";
  if (top.product_rate < top.eigen_rate) text += "\nWARNING: Eigen is faster here; configure with -DIAPT_ONEDNN=OFF";
  return text;
}

}  // namespace iapt::bench
