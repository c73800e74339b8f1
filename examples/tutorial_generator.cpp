// SPDX-License-Identifier: Apache-2.0
// Tutorial 3: a prompt generator and its learned activation on a toy: the generator's pooled and activated summary
// learns to tell, from random rows, the mean of the largest column.
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
  const extent D = 16, R = 8, P = 2, B = 8, T = 12;
  const iapt_options options{.soft_tokens = P, .bottleneck = R, .start = prompt_start::random};

  // The parts of a generator: down, pool, activation, and here one matrix up.
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
  for (int step = 0; step < 300; ++step) {
    auto x = random_normal<float>(backend, extents<2>{B * T, D}, 1, random_stream(1, step));
    const auto rows = to_host(x);
    std::vector<float> wanted;
    std::vector<row_span> sequences;
    for (extent b = 0; b < B; ++b) {
      sequences.push_back({b * T, (b + 1) * T});
      float largest = -1e9f;
      for (extent j = 0; j < D; ++j) {
        float mean = 0;
        for (extent i = b * T; i < (b + 1) * T; ++i) mean += rows[i * D + j] / T;
        largest = std::max(largest, mean);
      }
      wanted.insert(wanted.end(), P, largest);
    }
    const auto target = from_host<float>(backend, extents<2>{B * P, 1}, wanted);
    tape t(backend);
    const auto z = pool(t, t(matmul(x, down)), sequences, P);
    const auto y = t(matmul(activation(t, z), up));
    const auto difference = t(y - target);
    const auto loss = t(sum(difference * difference) * (1.0 / double(B * P)));
    if (step % 60 == 0 || step == 299) std::cout << "step " << step << "  loss " << to_host(loss)[0] << '\n';
    t.backward(loss);
    optimizer.step();
  }
  std::cout << "coefficients of the activation, before and after:\n";
  const auto after = to_host(activation.numerator);
  for (std::size_t k = 0; k < after.size(); ++k)
    std::cout << "  a" << k << "  " << before[k] << "  " << after[k] << '\n';
}
