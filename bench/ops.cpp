// SPDX-License-Identifier: Apache-2.0
// Measures every operation and kind of statement at SmolLM2-135M's sizes, as a fraction of a roofline peak: for matmuls
// and attention the rate of large matmuls, for everything else the rate of copying memory. A fraction above 1 means
// that the operands stay in the caches; those of the copy do not. The time is the mean of all runs; rates and fractions
// are those of the best run, as for the peaks.   ops --benchmark_filter=attention --benchmark_counters_tabular=true
#include <benchmark/benchmark.h>

#include <iostream>

#include "iapt/ops/activations.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/attention.hpp"
#include "iapt/ops/attention_pool.hpp"
#include "iapt/ops/cross_entropy.hpp"
#include "iapt/ops/gather.hpp"
#include "iapt/ops/matmul.hpp"
#include "iapt/ops/rational.hpp"
#include "iapt/ops/reduce.hpp"
#include "iapt/ops/repeat_columns.hpp"
#include "iapt/ops/rms_norm.hpp"
#include "iapt/ops/rope.hpp"
#include "iapt/ops/span_pool.hpp"
#include "iapt/ops/weight_matrix.hpp"
#include "support/suite.hpp"

namespace iapt::bench {
namespace {

// Sizes as in docs/method.md: a packed batch of 8 sequences of 95 tokens, 23 of each with a loss.
constexpr index_t B = 8, T = 95, N = B * T, M = B * 23, D = 576, F = 1536, H = 9, G = 3, E = 64, V = 49152, R = 64,
                  P = 4;
using backend_type = eigen_backend;

std::vector<row_span> instructions() {
  std::vector<row_span> spans;
  for (index_t b = 0; b < B; ++b) spans.push_back({b * T, b * T + 72});
  return spans;
}

// Frozen weights, (out, in) as files store them: the backward is one matmul, for x.
void frozen_products(suite& s) {
  const auto add = [&](const std::string& name, index_t rows, index_t out, index_t in) {
    const double operations = 2.0 * double(rows * out * in);
    s.add("matmul_" + name, products(operations), products(operations), [=](backend_type& b) {
      return statement([](const auto& x, const auto& w) { return matmul(x, transposed(w)); }, trained(b, {rows, in}),
                       constant(b, {out, in}));
    });
  };
  add("q_or_o_760x576x576", N, D, D);
  add("k_or_v_760x192x576", N, G * E, D);
  add("gate_or_up_760x1536x576", N, F, D);
  add("down_760x576x1536", N, D, F);
  add("head_184x49152x576", M, V, D);
  for (const index_t rows : {1, 2, 4, 8, 16, 17, 32}) {  // decoding streams the weights from memory
    const std::string name = "matmul_decode_head_" + std::to_string(rows) + "_rows";
    s.add(name, floats(double(V * D)), {}, [=](backend_type& b) {
      return statement([](const auto& x, const auto& w) { return matmul(x, transposed(w)); }, constant(b, {rows, D}),
                       constant(b, {V, D}));
    });
  }
}
// The same from the file's blocks, for each format: fewer bytes are streamed, so dequantization may be the limit.
void quantized_products(suite& s) {
  quantized_formats::each([&](auto format) {
    const dtype type = format.type;
    const index_t columns = D % format.layout.elements ? 512 : D;
    for (const index_t rows : {1, 2, 4, 8, 16, 32}) {
      const quantized_rows head{nullptr, type, columns};
      const double bytes = double(V * head.row_bytes());
      const std::string name = "matmul_" + std::string(name_of(type)) + "_head_" + std::to_string(rows) + "_rows";
      s.add(name, {.bytes = bytes}, {}, [=](backend_type& b) {
        const std::vector<std::byte> zeros(std::size_t(V * head.row_bytes()));
        const weight_matrix<float, backend_type> w(b, {V, columns}, type, zeros);
        return statement([w](const auto& x) { return matmul(x, transposed(w)); }, constant(b, {rows, columns}));
      });
    }
  });
}
void trained_products(suite& s) {
  const double operations = 2.0 * double(N * D * R);
  s.add("matmul_trained_760x576x64", products(operations), products(2 * operations), [](backend_type& b) {
    return statement([](const auto& x, const auto& w) { return matmul(x, w); }, trained(b, {N, D}), trained(b, {D, R}));
  });
}

void elementwise_statements(suite& s) {
  const double size = double(N * F);
  const auto activation = [&](const char* name, auto f) {
    s.add(name, floats(2 * size), floats(3 * size), [=](backend_type& b) { return statement(f, trained(b, {N, F})); });
  };
  activation("silu", [](const auto& x) { return silu(x); });
  activation("gelu", [](const auto& x) { return gelu(x); });
  activation("relu", [](const auto& x) { return relu(x); });
  activation("tanh", [](const auto& x) { return tanh_activation(x); });
  s.add("fused_silu(g)*u", floats(3 * size), floats(5 * size), [](backend_type& b) {
    return statement([](const auto& g, const auto& u) { return silu(g) * u; }, trained(b, {N, F}), trained(b, {N, F}));
  });
  s.add("fused_x+y", floats(3 * size), floats(3 * size), [](backend_type& b) {
    return statement([](const auto& x, const auto& y) { return x + y; }, trained(b, {N, F}), trained(b, {N, F}));
  });
  s.add("repeated_x*w+b", floats(2 * size), floats(3 * size), [](backend_type& b) {
    return statement([](const auto& x, const auto& w, const auto& c) { return x * w + c; }, trained(b, {N, F}),
                     trained(b, {F}), trained(b, {F}));
  });
  s.add("sum", floats(size), floats(size), [](backend_type& b) {
    return statement([](const auto& x) { return sum(x); }, trained(b, {N, F}));
  });
  for (const index_t rows : {B * P, N})
    s.add("rational_" + std::to_string(rows) + "x64", floats(2.0 * double(rows * R)), floats(3.0 * double(rows * R)),
          [=](backend_type& b) {
            return statement([](const auto& x, const auto& p, const auto& q) { return rational(x, p, q); },
                             trained(b, {rows, R}), trained(b, {7}), trained(b, {5}));
          });
}

void row_operations(suite& s) {
  const double size = double(N * D);
  const auto norm = [](const auto& x, const auto& w) { return rms_norm(x, w); };
  s.add("rms_norm_frozen", floats(2 * size), floats(3 * size), [=](backend_type& b) {
    return statement(norm, trained(b, {N, D}), constant(b, {D}));
  });
  s.add("rms_norm_trained", floats(2 * size), floats(3 * size), [=](backend_type& b) {
    return statement(norm, trained(b, {N, D}), trained(b, {D}));
  });
  s.add("rope", floats(2 * size + double(N * E)), floats(2 * size + double(N * E)), [](backend_type& b) {
    return statement([](const auto& x, const auto& cos_sin) { return rope(x, cos_sin); }, trained(b, {N, H * E}),
                     constant(b, {N, E}));
  });
  s.add("repeat_columns", floats(size), floats(size), [](backend_type& b) {
    return statement([](const auto& x) { return repeat_columns(x, E); }, trained(b, {N, H}));
  });
  s.add("gather", floats(2.0 * double(M * D)), floats(3.0 * double(M * D)), [](backend_type& b) {
    std::vector<std::int32_t> rows(M);
    for (index_t i = 0; i < M; ++i) rows[i] = std::int32_t(i * 37 % N);
    return statement([n = row_indices(b, rows)](const auto& x) { return gather(x, n); }, trained(b, {N, D}));
  });
  s.add("cross_entropy", floats(double(M * V)), floats(2.0 * double(M * V)), [](backend_type& b) {
    std::vector<std::int32_t> targets(M);
    for (index_t i = 0; i < M; ++i) targets[i] = std::int32_t(i * 261 % V);
    return statement([n = row_indices(b, targets)](const auto& x) { return cross_entropy(x, n); }, trained(b, {M, V}));
  });
}

void pools(suite& s) {
  const double size = double(B * 72 * R);
  s.add("attention_pool", floats(size), floats(2 * size), [](backend_type& b) {
    return statement([](const auto& u, const auto& scores) { return attention_pool(u, scores, instructions()); },
                     trained(b, {N, R}), trained(b, {N, P}));
  });
  s.add("span_mean", floats(size), floats(size), [](backend_type& b) {
    return statement([](const auto& x) { return span_mean(x, instructions()); }, trained(b, {N, R}));
  });
  s.add("span_max", floats(size), floats(2 * size), [](backend_type& b) {
    return statement([](const auto& x) { return span_max(x, instructions()); }, trained(b, {N, R}));
  });
}

void attentions(suite& s) {
  const auto add = [&](const std::string& name, index_t sequences, index_t rows, index_t past, bool backward) {
    const double pairs = double(sequences) * (double(rows * (rows + 1)) / 2 + double(rows * (P + past)));
    const double operations = 4.0 * pairs * double(H * E);  // two matmuls forward, five backward
    s.add(name, products(operations), backward ? products(2.5 * operations) : work{}, [=](backend_type& b) {
      std::vector<attention_segment> segments;
      for (index_t i = 0; i < sequences; ++i) segments.push_back({i * rows, rows, i * past, past, i * P, P, 0});
      key_values<float, backend_type> kept;
      if (past) kept = {constant(b, {sequences * past, G * E}), constant(b, {sequences * past, G * E})};
      const auto f = [=](const auto& q, const auto& k, const auto& v, const auto& soft_k, const auto& soft_v) {
        return attention(head_layout{H, G, E}, segments, q, k, v, kept, soft_k, soft_v);
      };
      const index_t n = sequences * rows, m = sequences * P, width = G * E;
      return statement(f, trained(b, {n, H * E}), trained(b, {n, width}), trained(b, {n, width}),
                       trained(b, {m, width}), trained(b, {m, width}));
    });
  };
  add("attention_8_sequences_of_95", B, T, 0, true);
  add("attention_1_sequence_of_760", 1, N, 0, true);
  add("attention_decode_past_600", 1, 1, 600, false);
}

}  // namespace
}  // namespace iapt::bench

int main(int count, char** arguments) {
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) return 1;
  iapt::eigen_backend backend;
  iapt::bench::suite suite(backend);
  std::cerr << to_text(suite.top(), backend.threads()) << '\n';
  benchmark::AddCustomContext("roof", to_text(suite.top(), backend.threads()));
  iapt::bench::frozen_products(suite);
  iapt::bench::quantized_products(suite);
  iapt::bench::trained_products(suite);
  iapt::bench::elementwise_statements(suite);
  iapt::bench::row_operations(suite);
  iapt::bench::pools(suite);
  iapt::bench::attentions(suite);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::ClearRegisteredBenchmarks();
}
