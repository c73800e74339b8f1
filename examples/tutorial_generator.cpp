// SPDX-License-Identifier: Apache-2.0
// Tutorial 3: a prompt generator and its learned activation on a toy problem. Each sequence has twelve random rows; a 3
// in column 0 marks one of them. The generator must find the marked row (the pooler does this) and compute |x| of its
// column 1, which no linear map can (the activation does this). The mean of |x| as a guess has a loss of
// 1 - 2/pi = 0.363.
#include <cmath>
#include <iapt/autograd/tape.hpp>
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/ops/reduce.hpp>
#include <iapt/optim/adamw.hpp>
#include <iapt/peft/iapt/generator.hpp>
#include <iostream>

using namespace iapt;

int main() {
  eigen_backend backend{{.threads = 1}};
  using backend_type = eigen_backend;
  const index_t D = 8, R = 8, P = 2, B = 16, T = 12;
  const iapt_options options{.soft_tokens = P, .bottleneck = R, .start = prompt_start::random};

  // The parts of a generator: down, pool, activation; up is one matrix here.
  auto down = random_normal<float>(backend, extents<2>{D, R}, 0.25, random_stream(0, 1));
  auto pool = self_attention_pooler<float, backend_type>::make(backend, options, random_stream(0, 2));
  auto activation = rational_activation<float, backend_type>::make(backend);
  auto up = random_normal<float>(backend, extents<2>{R, 1}, 0.3, random_stream(0, 3));
  parameter_list<float, backend_type> parameters;
  for (auto* x : {&down, &pool.scores, &up}) x->track(), add_parameter(parameters, "matrix " + to_text(x->shape()), *x);
  for (auto* x : {&activation.numerator, &activation.denominator})
    x->track(), add_parameter(parameters, "coefficients " + to_text(x->shape()), *x, parameter_group::coefficients);
  adamw optimizer(parameters, {.learning_rate = 1e-2});

  const auto before = to_host(activation.numerator);
  float recent = 0;  // mean loss of the last 250 steps
  for (int step = 0; step < 1500; ++step) {
    auto rows = to_host(random_normal<float>(backend, extents<2>{B * T, D}, 1, random_stream(1, step)));
    std::vector<float> wanted;
    std::vector<row_span> sequences;
    for (index_t b = 0; b < B; ++b) {
      sequences.push_back({b * T, (b + 1) * T});
      const index_t marked = b * T + (b + step) % T;
      for (index_t i = b * T; i < (b + 1) * T; ++i) rows[i * D] = i == marked ? 3.f : 0.f;
      wanted.insert(wanted.end(), P, std::abs(rows[marked * D + 1]));
    }
    const auto x = from_host(backend, extents<2>{B * T, D}, rows);
    const auto target = from_host(backend, extents<2>{B * P, 1}, wanted);
    tape t(backend);
    const auto z = pool(t, t(matmul(x, down)), sequences, P);
    const auto y = t(matmul(activation(t, z), up));
    const auto difference = t(y - target);
    const auto loss = t(sum(difference * difference) * (1.0 / double(B * P)));
    recent += to_host(loss)[0] / 250;
    if (step % 250 == 249)
      std::cout << "steps " << step - 249 << " to " << step << ": loss " << recent << '\n', recent = 0;
    t.backward(loss);
    optimizer.step();
  }
  std::cout << "coefficients of the activation, before and after:\n";
  const auto after = to_host(activation.numerator);
  for (std::size_t k = 0; k < after.size(); ++k)
    std::cout << "  a" << k << "  " << before[k] << "  " << after[k] << '\n';
}
