// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/expr/loops.hpp"

#include "support/check.hpp"

namespace iapt::test::expr_loops {

TEST_CASE("row sums: chunks of 32 rows, folded in order, stored or added", "[expr]") {
  for (index_t rows : {0, 1, 32, 33, 100}) {
    CAPTURE(rows);
    test_backend backend = with_threads(2);
    const auto x = tracked<double>(backend, host_array<1>({5})), table = tracked<double>(backend, host_array<1>({2}));
    const auto constant = upload_as<double>(backend, host_array<1>({5}));
    for (int pass = 1; pass <= 2; ++pass) {
      row_sums<double, test_backend> sums(backend, rows, 5);
      CHECK(sums.empty());
      CHECK(sums.chunks() == (rows + 31) / 32);
      CHECK(sums.partial_for(constant).p == nullptr);
      double* of_rows = sums.partial_for(x).p;
      double* of_table = sums.partial_for(table, 2).p;
      CHECK_FALSE(sums.empty());
      std::vector<double> partial(sums.chunks() * 5), terms(sums.chunks() * 10);
      for (std::size_t i = 0; i < partial.size(); ++i) partial[i] = double(i / 5 + 1) * double(i % 5);
      for (std::size_t i = 0; i < terms.size(); ++i) terms[i] = i / 5 % 2 ? 100 : 1;
      backend.upload(of_rows, partial.data(), index_t(partial.size()));
      backend.upload(of_table, terms.data(), index_t(terms.size()));
      sums.finish();
      const double c = double(sums.chunks()), each = pass * c * (c + 1) / 2;
      CHECK(values_of(x.gradient()) == std::vector<double>{0, each, 2 * each, 3 * each, 4 * each});
      CHECK(values_of(table.gradient()) == std::vector<double>{pass * c * 5, pass * c * 500});
    }
  }
}

TEST_CASE("operands that overlap in different places do not share memory within a loop", "[expr]") {
  test_backend backend = with_threads(2);
  const auto x = tracked<double>(backend, host_array<2>({4, 3}));
  {
    row_sums<double, test_backend> sums(backend, 2, 3);
    const auto place = [&](index_t from) { return sums.whole_for(x.slice(from, from + 2)).first; };
    double* const first = place(0);
    CHECK(place(2) == first + 6);
    CHECK(place(0) == first);
    double* const apart = place(1);
    CHECK((apart + 6 <= first || apart >= first + 12));
    const std::vector<double> some{1, 2, 3, 4, 5, 6};
    backend.upload(first, some.data(), 6), backend.upload(first + 6, some.data(), 6);
    backend.upload(apart, some.data(), 6);
    sums.finish();
  }
  CHECK(values_of(x.gradient()) == std::vector<double>{1, 2, 3, 5, 7, 9, 5, 7, 9, 4, 5, 6});
}

TEST_CASE("row sums give their memory back", "[expr]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<double>(backend, host_array<1>({5}));
  const auto [sum, accumulates] = x.adjoint();
  const std::size_t before = backend.bytes_in_use();
  { CHECK(row_sums<double, test_backend>(backend, 100, 5).partial_for(x).p != nullptr); }
  CHECK(backend.bytes_in_use() == before);
  CHECK_FALSE((accumulates || !sum));
}

}  // namespace iapt::test::expr_loops
