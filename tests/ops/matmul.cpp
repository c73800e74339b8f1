// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/matmul.hpp"

#include "iapt/ops/arithmetic.hpp"
#include "support/check.hpp"

namespace iapt::test::ops_matmul {
namespace {

const auto plain = [](const auto& x, const auto& w) { return matmul(x, w); };
const auto by_rows = [](const auto& x, const auto& w) { return matmul(x, transposed(w)); };
const auto plain_reference = [](const auto& x, const auto& w) { return product(x, w, false); };
const auto by_rows_reference = [](const auto& x, const auto& w) { return product(x, w, true); };

}  // namespace

TEST_CASE("matmul: two by two by hand", "[ops]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto x = upload_as<double>(backend, host_array<2>({2, 2}, {1, 2, 3, 4}));
  const auto w = upload_as<double>(backend, host_array<2>({2, 2}, {5, 6, 7, 8}));
  CHECK(values_of(ctx(matmul(x, w))) == std::vector<double>{19, 22, 43, 50});
  CHECK(values_of(ctx(matmul(x, transposed(w)))) == std::vector<double>{17, 23, 39, 53});
}

// One to four rows run on a loop of our own, small products on Eigen, large ones on the product library.
TEST_CASE("matmul", "[ops]") {
  for (const auto& [n, k, m] : {std::array<index_t, 3>{1, 33, 70},
                                {2, 16, 17},
                                {3, 129, 300},
                                {4, 7, 33},
                                {5, 31, 9},
                                {67, 70, 75},
                                {130, 65, 33}}) {
    CAPTURE(n, k, m);
    check_operation(threads_change::rounding, plain, plain_reference, random({n, k}), random({k, m}, 2));
    check_operation(threads_change::rounding, by_rows, by_rows_reference, random({n, k}), random({m, k}, 2));
  }
}
TEST_CASE("gradients of matmul", "[ops]") {
  check_gradient(plain, random({5, 7}), random({7, 6}, 2));
  check_gradient(by_rows, random({5, 7}), random({6, 7}, 2));
  check_gradient(by_rows, random({1, 20}), random({17, 20}, 2));
}

TEST_CASE("a product and what is added to it", "[ops]") {
  const auto f = [](const auto& c, const auto& x, const auto& w) { return addmm(c, matmul(x, transposed(w))); };
  const auto sum = [](const auto& c, const auto& x, const auto& w) { return c + matmul(x, w); };
  const auto reference = [](const auto& c, const auto& x, const auto& w) {
    auto y = product(x, w, true);
    for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] += c.values[i];
    return y;
  };
  for (const index_t n : {1, 3, 67})
    check_operation(threads_change::rounding, f, reference, random({n, 75}), random({n, 40}, 2), random({75, 40}, 3));
  check_gradient(f, random({5, 6}), random({5, 7}, 2), random({6, 7}, 3));
  check_gradient(sum, random({5, 6}), random({5, 7}, 2), random({7, 6}, 3));
  check_gradient([&](const auto& x, const auto& w) { return sum(x, x, w); }, random({5, 5}), random({5, 5}, 2));
  check_gradient([](const auto& c, const auto& x, const auto& w) { return addmm(c * 2, matmul(x + c, w)); },
                 random({5, 5}), random({5, 5}, 2), random({5, 5}, 3));
  CHECK(shape_message(f, random({5, 6}), random({5, 7}, 2), random({7, 7}, 3)) ==
        "addmm: (5, 6) + a product of (5, 7)");
}

TEST_CASE("a matrix plus a product is one operation", "[ops]") {
  test_backend backend = with_threads(2);
  const auto x = tracked<float>(backend, random({3, 7})), w = tracked<float>(backend, random({6, 7}, 2));
  const auto c = tracked<float>(backend, random({3, 6}, 3)), b = tracked<float>(backend, random({1, 6}, 4));
  const auto entries = [&](const auto& statement) {
    tape<test_backend> t(backend);
    t(statement);
    return t.size();
  };
  CHECK(entries(c + matmul(x, transposed(w))) == 1);
  CHECK(entries(matmul(x, transposed(w)) + c) == 1);
  CHECK(entries(b.flat() + matmul(x, transposed(w))) == 2);  // a row for all rows
  CHECK(entries(c * 2 + matmul(x, transposed(w))) == 2);     // the loop computes c · 2, too
  CHECK(entries(c + matmul(x, transposed(w)) * 2) == 2);
  CHECK(message_of<shape_error>([&] { entries(b + matmul(x, transposed(w))); }) == "add: (1, 6) + a product of (3, 6)");
}

TEST_CASE("a product inside a statement, and of a statement", "[ops]") {
  const auto f = [](const auto& x, const auto& w, const auto& b) { return matmul(x * 2 + b, w) + b; };
  check_gradient(f, random({5, 6}), random({6, 6}, 2), random({6}, 3));
}

// A library may choose its way by the addresses as well, and must not keep to it where they are less even.
TEST_CASE("the same product of rows that begin elsewhere", "[ops]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  const auto x = upload_as<float>(backend, random({9, 5})), w = upload_as<float>(backend, random({8, 5}, 2));
  const auto whole = values_of(ctx(by_rows(x, w)));
  for (const index_t begin : {0, 1, 3}) {
    CAPTURE(begin);
    const std::vector<double> expected(whole.begin() + begin * 8, whole.begin() + (begin + 6) * 8);
    CHECK(difference(values_of(ctx(by_rows(x.slice(begin, begin + 6), w))), expected) <= 1e-6);
  }
}

TEST_CASE("products with an extent of zero", "[ops]") {
  test_backend backend = with_threads(2);
  for (bool transposed_weight : {false, true}) {
    tape<test_backend> t(backend);
    const auto x = tracked<float>(backend, random({3, 0}));
    const auto w = tracked<float>(backend, host_array<2>(transposed_weight ? extents<2>{5, 0} : extents<2>{0, 5}));
    const auto y = transposed_weight ? t(by_rows(x, w)) : t(plain(x, w));
    CHECK(values_of(y) == std::vector<double>(15));
    t.backward(y, y);
    CHECK(x.gradient().size() == 0);
  }
  tape<test_backend> t(backend);
  const auto x = tracked<float>(backend, random({0, 4}));
  const auto w = tracked<float>(backend, random({4, 5}));
  const auto y = t(matmul(x, w));
  CHECK(y.shape() == extents<2>{0, 5});
  t.backward(y, y);
  CHECK(values_of(w.gradient()) == std::vector<double>(20));
}

TEST_CASE("inner extents that differ", "[ops]") {
  CHECK(shape_message(plain, random({23, 576}), random({1536, 576})) ==
        "matmul: inner extents differ: (23, 576) × (1536, 576)\n      did you mean matmul(x, transposed(w))?");
  CHECK(shape_message(by_rows, random({23, 576}), random({576, 1536})) ==
        "matmul: inner extents differ: (23, 576) × (576, 1536) transposed\n      did you mean matmul(x, w)?");
  CHECK(shape_message(plain, random({2, 3}), random({4, 5})) == "matmul: inner extents differ: (2, 3) × (4, 5)");
}

}  // namespace iapt::test::ops_matmul
