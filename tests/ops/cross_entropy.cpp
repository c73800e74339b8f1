// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/cross_entropy.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_cross_entropy {
namespace {

double row_loss(const host_array<2>& x, index_t i, std::int32_t target) {
  double s = 0;
  for (index_t j = 0; j < x.size(1); ++j) s += std::exp(x(i, j) - x(i, target));
  return std::log(s);
}
std::vector<std::int32_t> targets_for(index_t rows, index_t columns) {
  std::vector<std::int32_t> targets(rows);
  for (index_t i = 0; i < rows; ++i) targets[i] = std::int32_t(i * 7 % columns);
  return targets;
}

}  // namespace

TEST_CASE("token losses", "[ops]") {
  for (const auto& [rows, columns] : {std::array<index_t, 2>{1, 1}, {3, 7}, {40, 333}, {2, 5001}}) {
    CAPTURE(rows, columns);
    const auto targets = targets_for(rows, columns);
    const auto f = [&](const auto& x) { return token_losses(x, row_indices(x.backend(), targets)); };
    const auto reference = [&](const auto& x) {
      host_array<1> y({x.size(0)});
      for (index_t i = 0; i < x.size(0); ++i) y(i) = row_loss(x, i, targets[i]);
      return y;
    };
    if (columns > 1) check_operation(f, reference, random({rows, columns}, 1, 3));
    if (columns < 100 && columns > 1) check_gradient(f, random({rows, columns}));
  }
}

TEST_CASE("cross_entropy is the mean, or the sum over a given count", "[ops]") {
  const auto targets = targets_for(5, 9);
  const auto x = random({5, 9});
  double total = 0;
  for (index_t i = 0; i < 5; ++i) total += row_loss(x, i, targets[i]);
  for (index_t count : {0, 20}) {
    const auto f = [&](const auto& logits) {
      return cross_entropy(logits, row_indices(logits.backend(), targets), count);
    };
    check_operation(
        f, [&](auto&) { return host_array<0>({}, {total / (count ? count : 5)}); }, x);
    check_gradient(f, x);
  }
}

TEST_CASE("cross_entropy with logits far apart", "[ops]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto x = tracked<float>(backend, host_array<2>({2, 3}, {1e4, 0, -1e4, -HUGE_VAL, 2, -HUGE_VAL}));
  const auto y = t(token_losses(x, row_indices(backend, {1, 1})));
  CHECK(values_of(y) == std::vector<double>{1e4, 0});
  t.backward(y, filled<float>(backend, y.shape(), 1));
  CHECK(values_of(x.gradient()) == std::vector<double>{1, -1, 0, 0, 0, 0});
}

TEST_CASE("cross_entropy of no rows: 0 of a given count, refused as a mean", "[ops]") {
  test_backend backend = with_threads(1);
  const auto check = [&]<class T>(T) {
    tape<test_backend> t(backend);
    const auto x = tracked<T>(backend, host_array<2>({0, 7}));
    const auto w = tracked<T>(backend, random({7}));
    const auto logits = t(x + w);
    const auto loss = t(cross_entropy(logits, row_indices<test_backend>(backend, {}), 20));
    CHECK(values_of(loss) == std::vector<double>{0});
    CHECK(values_of(t(token_losses(logits, row_indices<test_backend>(backend, {})))).empty());
    t.backward(loss);
    CHECK(values_of(x.gradient()).empty());
    CHECK(values_of(w.gradient()) == std::vector<double>(7, 0.0));
    CHECK(message_of<shape_error>([&] { t(cross_entropy(logits, row_indices<test_backend>(backend, {}))); }) ==
          "cross_entropy: the mean over no rows is not defined; give the number of rows to divide by");
  };
  check(0.0), check(0.0f);
  CHECK(message_of<shape_error>([&] {
          cross_entropy(upload_as<float>(backend, random({2, 3})), row_indices<test_backend>(backend, {0, 1}), -2);
        }) == "cross_entropy: -2 rows to divide by");
}

TEST_CASE("targets that do not fit the logits", "[ops]") {
  const auto with = [](std::vector<std::int32_t> targets) {
    return [targets](const auto& x) { return token_losses(x, row_indices(x.backend(), targets)); };
  };
  CHECK(shape_message(with({1, 2, 0}), random({2, 3})) == "cross_entropy: logits of (2, 3) for 3 targets");
  CHECK(shape_message(with({1, 3}), random({2, 3})) == "cross_entropy: target 3 with logits of (2, 3)");
  CHECK(shape_message(with({-1, 2}), random({2, 3})) == "cross_entropy: target -1 with logits of (2, 3)");
}

}  // namespace iapt::test::ops_cross_entropy
