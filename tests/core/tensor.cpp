// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/core/tensor.hpp"

#include "support/check.hpp"

namespace iapt::test::core_tensor {

TEST_CASE("numbers go to a backend and come back", "[core]") {
  test_backend backend = with_threads(1), other = with_threads(1);
  const auto x = from_host(backend, extents<2>{2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(to_host(x) == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(&x.backend() == &backend);
  CHECK(x.size() == 6);
  CHECK(x.size(1) == 3);
  const auto copy = copy_to(other, x);
  CHECK(&copy.backend() == &other);
  CHECK(to_host(copy) == to_host(x));
  CHECK(copy.data() != x.data());
  CHECK(to_host(from_host(backend, extents<2>{0, 3}, std::vector<float>())).empty());
  CHECK(to_host(filled(backend, extents<0>{}, 2.5f)) == std::vector<float>{2.5f});
}

TEST_CASE("slices and other extents share numbers", "[core]") {
  test_backend backend = with_threads(1);
  const auto x = upload_as<float>(backend, host_array<2>({3, 2}, {1, 2, 3, 4, 5, 6}));
  const auto last = x.slice(1, 3);
  CHECK(last.shape() == extents<2>{2, 2});
  CHECK(values_of(last) == std::vector<double>{3, 4, 5, 6});
  CHECK(values_of(last.slice(1, 2).flat()) == std::vector<double>{5, 6});
  upload(x.slice(0, 2).reshape(extents<3>{1, 2, 2}), std::vector<float>{9, 8, 7, 6});
  CHECK(values_of(x) == std::vector<double>{9, 8, 7, 6, 5, 6});
  CHECK(last.data() == x.data() + 2);
  CHECK(x.slice(3, 3).size() == 0);
  CHECK(upload_as<float>(backend, host_array<2>({0, 2})).slice(0, 0).shape() == extents<2>{0, 2});
}

TEST_CASE("a tensor's mistakes are told", "[core]") {
  test_backend backend = with_threads(1);
  using matrix = tensor<float, 2, test_backend>;
  const matrix x(backend, {3, 2});
  CHECK(message_of<shape_error>([&] { matrix(backend, {2, -1}); }) == "tensor: negative extent in (2, -1)");
  CHECK(message_of<shape_error>([&] { x.slice(-1, 2); }) == "slice: rows -1 to 2 of (3, 2)");
  CHECK(message_of<shape_error>([&] { x.slice(2, 1); }) == "slice: rows 2 to 1 of (3, 2)");
  CHECK(message_of<shape_error>([&] { x.slice(0, 4); }) == "slice: rows 0 to 4 of (3, 2)");
  CHECK(message_of<shape_error>([&] { x.reshape(extents<1>{5}); }) ==
        "reshape: (3, 2) has not as many elements as (5)");
  CHECK(message_of<shape_error>([&] { upload(x, std::vector<float>(5)); }) == "upload: 5 numbers for (3, 2)");
}

TEST_CASE("the version counts writes through any handle", "[core]") {
  test_backend backend = with_threads(1);
  const auto x = upload_as<float>(backend, host_array<2>({3, 2}));
  const auto before = x.version();
  to_host(x);
  CHECK(x.version() == before);
  x.slice(0, 1).write();
  CHECK(x.version() == before + 1);
  CHECK(x.flat().version() == before + 1);
}

TEST_CASE("handles share the adjoint", "[core]") {
  test_backend backend = with_threads(1);
  auto x = upload_as<float>(backend, host_array<2>({3, 2}));
  CHECK_FALSE(x.tracked());
  CHECK(x.adjoint().first == nullptr);
  CHECK_FALSE(bool(x.gradient()));
  x.track();
  CHECK(x.tracked());
  CHECK_FALSE(x.has_gradient());
  CHECK_FALSE(x.detached().tracked());

  auto [part, accumulates] = x.slice(1, 2).adjoint();  // the rest of the sum starts at zero
  CHECK(accumulates);
  const float five = 5;
  backend.upload(part, &five, 1);
  CHECK(values_of(x.gradient()) == std::vector<double>{0, 0, 5, 0, 0, 0});
  CHECK(values_of(x.flat().gradient()) == values_of(x.gradient()));
  CHECK(values_of(x.slice(1, 3).gradient()) == std::vector<double>{5, 0, 0, 0});

  CHECK(x.adjoint().second);  // the next contribution is added, until the sum is forgotten
  x.clear_gradient();
  CHECK_FALSE(x.has_gradient());
  CHECK_FALSE(x.adjoint().second);
  CHECK(x.adjoint().second);
}

TEST_CASE("a tensor that keeps no numbers keeps its extents and its adjoint", "[core]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<float>(backend, host_array<2>({3, 2}));
  const auto kept = x.saved_for_backward(false);
  CHECK(kept.data() == nullptr);
  CHECK(kept.shape() == x.shape());
  CHECK(&kept.backend() == &backend);
  const auto [sum, accumulates] = kept.adjoint();
  CHECK_FALSE(accumulates);
  CHECK(sum == x.gradient().data());
  CHECK(x.saved_for_backward(true).data() == x.data());
}

TEST_CASE("memory goes back with the last handle", "[core]") {
  test_backend backend = with_threads(1);
  {
    const auto part = tensor<float, 1, test_backend>(backend, {1000}).slice(0, 1);
    CHECK(backend.bytes_in_use() >= 4000);
  }
  CHECK(backend.bytes_in_use() == 0);
}

}  // namespace iapt::test::core_tensor
