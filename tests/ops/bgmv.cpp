// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/bgmv.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_bgmv {
namespace {

// Maps of these ranks on rows that alternate between them, beside loops.
template <class T>
double error_of(const std::vector<index_t>& ranks, index_t rows, index_t in, index_t out) {
  test_backend backend = with_threads(2);
  const auto x = random({rows, in}, 1);
  std::vector<host_array<2>> downs, ups;
  std::vector<tensor<T, 2, test_backend>> stored;
  std::vector<low_rank_map<T>> maps;
  for (std::size_t m = 0; m < ranks.size(); ++m) {
    downs.push_back(random({ranks[m], in}, 2 + m)), ups.push_back(random({out, ranks[m]}, 20 + m));
    stored.push_back(upload_as<T>(backend, downs.back())), stored.push_back(upload_as<T>(backend, ups.back()));
    const auto& down = stored[stored.size() - 2];
    maps.push_back({down.data(), stored.back().data(), ranks[m], in, out, T(0.5 + double(m))});
  }
  buffer<low_rank_map<T>, test_backend> table(backend, index_t(maps.size()));
  backend.upload(table.write(), maps.data(), table.size());
  std::vector<std::int32_t> which;
  for (index_t i = 0; i < rows; ++i) which.push_back(std::int32_t(i * 5 % index_t(ranks.size())));
  const auto numbers = from_host(backend, extents<1>{rows}, which);
  const index_t max_rank = *std::max_element(ranks.begin(), ranks.end());
  const auto y = bgmv(backend, upload_as<T>(backend, x), {table.data(), numbers.data(), max_rank}, out);
  REQUIRE(y.shape() == extents<2>{rows, out});
  std::vector<double> expected;
  for (index_t i = 0; i < rows; ++i) {
    const std::size_t m = std::size_t(which[std::size_t(i)]);
    for (index_t j = 0; j < out; ++j) {
      double sum = 0;
      for (index_t k = 0; k < ranks[m]; ++k)
        for (index_t l = 0; l < in; ++l) sum += x(i, l) * downs[m](k, l) * ups[m](j, k) * (0.5 + double(m));
      expected.push_back(sum);
    }
  }
  return difference(values_of(y), expected, 1);
}

}  // namespace

TEST_CASE("each row goes through its own map of low rank", "[ops]") {
  for (const auto& [rows, in, out] : {std::array<index_t, 3>{1, 1, 1}, {3, 33, 65}, {7, 16, 17}, {40, 130, 70}}) {
    CAPTURE(rows, in, out);
    CHECK(error_of<double>({3, 1, 0, 20}, rows, in, out) <= 1e-12);
    CHECK(error_of<float>({3, 1, 0, 20}, rows, in, out) <= 2e-5);
  }
  CHECK(error_of<double>({0}, 4, 9, 10) == 0);
}

}  // namespace iapt::test::ops_bgmv
