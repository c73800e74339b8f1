// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/optim/adamw.hpp"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "iapt/autograd/tape.hpp"
#include "iapt/core/random.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/model.hpp"

namespace iapt::test::optim_adamw {
namespace {

using trainable = parameter_list<double, test_backend>;

tensor<double, 1, test_backend> tracked(test_backend& backend, const std::vector<double>& values) {
  auto x = from_host(backend, extents<1>{index_t(values.size())}, values);
  x.track();
  return x;
}
template <class T>
void put_gradient(const tensor<T, 1, test_backend>& x, const std::vector<T>& g) {
  x.clear_gradient();
  x.backend().upload(x.adjoint().first, g.data(), index_t(g.size()));
}
std::vector<double> draw(std::size_t n, std::uint64_t stream) {
  random_stream random(3, stream);
  std::vector<double> values(n);
  for (double& v : values) v = random.normal();
  return values;
}

}  // namespace

TEST_CASE("AdamW follows PyTorch's, with weight decay, clipping by group and missing gradients", "[optim]") {
  const auto reference = nlohmann::json::parse(std::ifstream(test::test_data("adamw.json")));
  const auto& weights = reference["groups"][0];
  const auto& coefficients = reference["groups"][1];
  test_backend backend = with_threads(1);
  trainable parameters;
  for (const auto& [name, values] : reference["start"].items()) {
    const auto x = tracked(backend, values.get<std::vector<double>>());
    add_parameter(parameters, name, x, name == "c" ? parameter_group::coefficients : parameter_group::weights);
  }
  adamw optimizer{parameters,
                  {.learning_rate = weights["learning_rate"],
                   .weight_decay = weights["weight_decay"],
                   .clip_norm = weights["clip_norm"],
                   .coefficients = group_settings{coefficients["learning_rate"], coefficients["weight_decay"],
                                                  coefficients["clip_norm"]}}};
  double worst = 0;
  for (const auto& step : reference["steps"]) {
    for (const auto& p : parameters)
      if (step["gradients"].contains(p.name))
        put_gradient(p.values, step["gradients"][p.name].get<std::vector<double>>());
    const auto norms = optimizer.step(step["factor"].get<double>());
    CHECK(norms.weights == Approx(step["norms"][0].get<double>()).epsilon(1e-13));
    CHECK(norms.coefficients == Approx(step["norms"][1].get<double>()).epsilon(1e-13));
    for (const auto& p : parameters) {
      const auto found = to_host(p.values);
      const auto expected = step["values"][p.name].get<std::vector<double>>();
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) worst = std::max(worst, std::abs(found[i] - expected[i]));
      CHECK_FALSE(p.values.has_gradient());
    }
  }
  CHECK(worst < 1e-13);
}

TEST_CASE("the gradient norm is the same for one and two threads, over many chunks", "[optim]") {
  std::vector<per_group<double>> norms;
  std::vector<std::vector<double>> values;
  const auto start = draw(50'001, 1), gradient = draw(50'001, 2);
  for (int threads : {1, 2}) {
    test_backend backend = with_threads(threads);
    const auto x = tracked(backend, start);
    trainable parameters;
    add_parameter(parameters, "x", x);
    adamw optimizer{parameters};
    put_gradient(x, gradient);
    norms.push_back(optimizer.step());
    values.push_back(to_host(x));
  }
  double square = 0;
  for (double g : gradient) square += g * g;
  CHECK(norms[0].weights == Approx(std::sqrt(square)).epsilon(1e-12));
  CHECK(norms[0].weights == norms[1].weights);
  CHECK(values[0] == values[1]);
}

TEST_CASE("a gradient that is not finite is named and changes nothing", "[optim]") {
  test_backend backend = with_threads(1);
  const auto good = tracked(backend, draw(9, 1)), bad = tracked(backend, draw(9000, 2));
  trainable parameters;
  add_parameter(parameters, "good", good);
  add_parameter(parameters, "bad", bad);
  adamw optimizer{parameters};
  put_gradient(good, draw(9, 3)), put_gradient(bad, draw(9000, 4));
  optimizer.step();
  const auto before = to_host(good);
  const auto state = optimizer.state();
  for (double poison : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    auto gradient = draw(9000, 5);
    gradient[8191] = poison;
    put_gradient(good, draw(9, 6)), put_gradient(bad, gradient);
    CHECK_THROWS_WITH(optimizer.step(), iapt::test::has_text("\"bad\""));
    CHECK_FALSE(good.has_gradient());  // or the next step would begin with what this one had
    CHECK_FALSE(bad.has_gradient());
    CHECK(to_host(good) == before);
    CHECK(optimizer.state()[0].first == state[0].first);
    CHECK(optimizer.state()[0].steps == 1);
  }
}

TEST_CASE("after a gradient that was not finite the next step is as if that had never been", "[optim]") {
  test_backend backend = with_threads(1);
  const auto run = [&](bool poisoned) {
    const auto x = tracked(backend, draw(9, 1));
    trainable parameters;
    add_parameter(parameters, "x", x);
    adamw optimizer{parameters};
    const auto add = [&](double to_first) {  // as a backward pass does
      std::vector<double> gradient = draw(9, 2);
      gradient[0] += to_first;
      tape<test_backend> t(backend);
      t.backward(x, from_host(backend, extents<1>{9}, gradient));
    };
    if (poisoned) {
      add(std::numeric_limits<double>::infinity());
      CHECK_THROWS_AS(optimizer.step(), numeric_error);
    }
    add(0);
    optimizer.step();
    return to_host(x);
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("a gradient whose squares no float holds is clipped like any other", "[optim]") {
  test_backend backend = with_threads(1);
  const auto run = [&](float size, double clip_norm) {
    const auto x = from_host(backend, extents<1>{5000}, std::vector<float>(5000, 1));
    auto parameter = x;
    parameter.track();
    parameter_list<float, test_backend> parameters;
    add_parameter(parameters, "x", parameter);
    adamw optimizer{parameters, {.clip_norm = clip_norm}};
    std::vector<float> gradient(5000, size);
    gradient[4999] = -size;
    put_gradient(parameter, gradient);
    const double norm = optimizer.step().weights;
    return std::pair(norm, to_host(x));
  };
  const double root = std::sqrt(5000.0);
  const auto expected = run(1, 1).second;
  for (float size : {1e-30f, 1e18f, 1e20f, 3e36f}) {  // the first three and their lengths are floats, their squares not
    CAPTURE(size);
    const auto [norm, values] = run(size, 1);
    CHECK(norm == Approx(double(size) * root).epsilon(1e-6));
    if (size > 1)
      for (std::size_t i : {0, 4999}) CHECK(values[i] == Approx(expected[i]).epsilon(1e-6));
  }
  CHECK(run(1, 0).second == run(1, 1e30).second);  // neither clips
  // Without a clip the mean of the squares would be infinite, and the parameter would never move again.
  CHECK_THROWS_WITH(run(1e20f, 0), iapt::test::has_text("clip norm"));
  CHECK_THROWS_WITH(run(1e20f, 1e30), iapt::test::has_text("clip norm"));
}

TEST_CASE("a group without a factor keeps everything and loses its gradients", "[optim]") {
  test_backend backend = with_threads(1);
  const auto w = tracked(backend, {1, 2, 3}), c = tracked(backend, {4, 5});
  trainable parameters;
  add_parameter(parameters, "w", w);
  add_parameter(parameters, "c", c, parameter_group::coefficients);
  adamw optimizer{parameters};
  put_gradient(w, {1, 1, 1}), put_gradient(c, {std::numeric_limits<double>::quiet_NaN(), 1});
  optimizer.step({.weights = 1.0, .coefficients = {}});  // not finite, but nobody uses it
  CHECK(to_host(c) == std::vector<double>{4, 5});
  CHECK(to_host(w) != std::vector<double>{1, 2, 3});
  CHECK_FALSE(c.has_gradient());
  CHECK(optimizer.state()[0].steps == 1);
  CHECK(optimizer.state()[1].steps == 0);
}

TEST_CASE("a restored optimiser goes on bit for bit", "[optim]") {
  test_backend backend = with_threads(1);
  const auto run = [&](bool stop) {
    auto x = tracked(backend, draw(77, 1));
    trainable parameters;
    add_parameter(parameters, "x", x);
    adamw optimizer{parameters, {.weight_decay = 0.1}};
    for (std::uint64_t step = 0; step < 6; ++step) {
      if (stop && step == 3) {
        const auto state = optimizer.state();
        optimizer = adamw{parameters, {.weight_decay = 0.1}};
        optimizer.restore(state);
      }
      put_gradient(x, draw(77, 10 + step));
      optimizer.step();
    }
    return to_host(x);
  };
  CHECK(run(true) == run(false));
  adamw<double, test_backend> other{{}};
  CHECK_THROWS_AS(other.restore({{{1}, {1}, 1}}), shape_error);
}

TEST_CASE("settings out of range are refused", "[optim]") {
  using optimizer = adamw<double, test_backend>;
  CHECK_THROWS_AS(optimizer({}, {.learning_rate = -1}), error);
  CHECK_THROWS_AS(optimizer({}, {.learning_rate = std::numeric_limits<double>::quiet_NaN()}), error);
  CHECK_THROWS_AS(optimizer({}, {.weight_decay = -1}), error);
  CHECK_THROWS_AS(optimizer({}, {.clip_norm = -1}), error);
  CHECK_THROWS_AS(optimizer({}, {.coefficients = group_settings{.learning_rate = -1}}), error);
  CHECK_THROWS_AS(optimizer({}, {.beta1 = 1}), error);
  CHECK_THROWS_AS(optimizer({}, {.beta1 = -0.1}), error);
  CHECK_THROWS_AS(optimizer({}, {.beta2 = 1}), error);
  CHECK_THROWS_AS(optimizer({}, {.beta2 = -0.1}), error);
  CHECK_THROWS_AS(optimizer({}, {.epsilon = 0}), error);
  optimizer({}, {.learning_rate = 0, .weight_decay = 0, .clip_norm = 0, .beta1 = 0, .beta2 = 0});
}

}  // namespace iapt::test::optim_adamw
