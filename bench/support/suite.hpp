// SPDX-License-Identifier: Apache-2.0
// Creates benchmarks of the forward and the backward of statements, each compared with a roofline peak.
#pragma once
#include <benchmark/benchmark.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "iapt/autograd/tape.hpp"
#include "roof.hpp"

namespace iapt::bench {

/// The minimal work of a run. One of the two limits it; the other is 0.
struct work {
  double operations = 0;  ///< additions and multiplications of matmuls
  double bytes = 0;       ///< bytes read and written
};
inline work products(double operations) { return {.operations = operations}; }
inline work floats(double numbers) { return {.bytes = numbers * sizeof(float)}; }

/// A tensor of elements in ±0.5, computed fast.
template <std::size_t Rank>
tensor<float, int(Rank), eigen_backend> constant(eigen_backend& backend, const index_t (&shape)[Rank]) {
  tensor<float, int(Rank), eigen_backend> x(backend, std::to_array(shape));
  float* p = x.write();
  for (index_t i = 0; i < x.size(); ++i) p[i] = float((std::uint32_t(i) * 2654435761u) >> 20) / 4096 - 0.5f;
  return x;
}
/// The same with a gradient.
template <std::size_t Rank>
tensor<float, int(Rank), eigen_backend> trained(eigen_backend& backend, const index_t (&shape)[Rank]) {
  auto x = constant(backend, shape);
  x.track();
  return x;
}

/// A statement of operands: f(operands...).
template <class F, class... X>
struct statement_of {
  F f;
  std::tuple<X...> operands;
  auto run(auto& ctx) const { return ctx(std::apply(f, operands)); }
  void clear() const {
    std::apply([](const auto&... x) { (x.clear_gradient(), ...); }, operands);
  }
};
/// The statement f(operands...).
template <class F, class... X>
statement_of<F, X...> statement(F f, X... operands) {
  return {std::move(f), {std::move(operands)...}};
}

/// Benchmarks with common roofline peaks.
class suite {
 public:
  /// Measures the roofline peaks.
  explicit suite(eigen_backend& backend) : backend_(backend), roof_(measure_roof(backend)) {}
  /// The roofline peaks.
  const roof& top() const { return roof_; }

  /// Adds the benchmarks NAME/forward and, if its work is given, NAME/backward of the statement make(backend).
  template <class Make>
  void add(const std::string& name, work forward, work backward, Make make) {
    register_run(name + "/forward", forward, [this, make](auto timed) {
      const auto s = make(backend_);
      inference<eigen_backend> ctx(backend_);
      timed([&] { benchmark::DoNotOptimize(s.run(ctx).data()); }, [] {});
    });
    if (backward.bytes + backward.operations == 0) return;
    register_run(name + "/backward", backward, [this, make](auto timed) {
      using statement_type = decltype(make(backend_));
      using result_type = decltype(std::declval<statement_type>().run(std::declval<tape<eigen_backend>&>()));
      const auto s = make(backend_);
      inference<eigen_backend> once(backend_);
      const auto dy = constant_like(s.run(once));
      tape<eigen_backend> t(backend_);
      result_type y;
      timed([&] { t.backward(y, dy); }, [&] { s.clear(), y = s.run(t); });
    });
  }

 private:
  template <int Rank>
  tensor<float, Rank, eigen_backend> constant_like(const tensor<float, Rank, eigen_backend>& y) {
    return constant(backend_, {y.size()}).reshape(y.shape());
  }
  // Runs body(timed), which calls timed(run, prepare). It measures run, but not prepare, which it calls before each
  // run.
  template <class Body>
  void register_run(const std::string& name, work least, Body body) {
    benchmark::RegisterBenchmark(
        name.c_str(),
        [this, least, body](benchmark::State& state) {
          double seconds =
              std::numeric_limits<double>::infinity();  // the best run, as for the peaks: other load disturbs it less
          body([&](auto run, auto prepare) {
            prepare(), run();  // memory is allocated, weights are in the caches if they fit
            for (auto _ : state) {
              prepare();
              const double once = best_seconds(1, run);
              state.SetIterationTime(once);
              seconds = std::min(seconds, once);
            }
          });
          if (least.operations > 0) {
            state.counters["GFLOP/s"] = least.operations / seconds / 1e9;
            state.counters["roof_fraction"] = least.operations / seconds / roof_.product_rate;
          } else {
            state.counters["GB/s"] = least.bytes / seconds / 1e9;
            state.counters["roof_fraction"] = least.bytes / seconds / roof_.bandwidth;
          }
        })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }
  eigen_backend& backend_;
  roof roof_;
};

}  // namespace iapt::bench
