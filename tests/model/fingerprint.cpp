// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/model/fingerprint.hpp"

#include <set>

#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::model_fingerprint {

TEST_CASE("a fingerprint changes with every tensor of a model", "[model]") {
  test_backend backend = with_threads(1);
  auto lm = small_model<float>(backend);
  lm.head = random_normal<float>(backend, extents<2>{31, 24}, 1, random_stream(3, 2));
  lm.layers[1].attention.query.bias = filled<float>(backend, extents<1>{24}, 1);
  std::set<std::string> found{fingerprint(lm)};
  std::size_t changes = 1;
  // Whatever of the weights is zero, it is another model.
  const auto without = [&](auto& x) {
    const auto kept = x;
    x = filled<float>(backend, x.shape(), 0);
    found.insert(fingerprint(lm));
    ++changes;
    x = kept;
  };
  without(lm.embedding), without(lm.head), without(lm.final_norm.weight);
  for (auto& layer : lm.layers) {
    without(layer.attention_norm.weight), without(layer.mlp_norm.weight);
    layer.each_linear([&](projection, auto& map) {
      without(map.weight);
      if (map.bias) without(map.bias);
    });
  }
  CHECK(changes == 1 + 3 + 3 * 9 + 1);
  CHECK(found.size() == changes);
  auto smaller = lm;
  smaller.layers.pop_back(), --smaller.config.layers;
  CHECK_FALSE(found.contains(fingerprint(smaller)));
}

TEST_CASE("a fingerprint depends on neither threads nor what bfloat16 rounds away", "[model]") {
  std::set<std::string> found;
  for (const int threads : {1, 3}) {
    test_backend backend = with_threads(threads);
    auto lm = small_model<float>(backend);
    found.insert(fingerprint(lm));
    auto& key = lm.layers[0].attention.key.weight;
    std::vector<float> rounded;
    for (const float x : to_host(key.numbers())) rounded.push_back(float(bfloat16(x)));
    key = from_host(backend, key.shape(), rounded);
    found.insert(fingerprint(lm));
  }
  CHECK(found.size() == 1);
  CHECK(kind_of_fingerprint(*found.begin()) == fingerprint_kind::every_tensor);
}

TEST_CASE("fingerprints tell how they were made", "[model]") {
  CHECK(kind_of_fingerprint("0123456789abcdef") == fingerprint_kind::some_tensors);
  CHECK(kind_of_fingerprint("2:0123456789abcdef") == fingerprint_kind::every_tensor);
  for (const char* other :
       {"", "2:", "0123456789abcde", "0123456789abcdeg", "3:0123456789abcdef", "2:0123456789ABCDEF"})
    CHECK(kind_of_fingerprint(other) == fingerprint_kind::unknown);
  test_backend backend = with_threads(1);
  CHECK(fingerprint(small_model<float>(backend), fingerprint_kind::unknown).empty());
}

}  // namespace iapt::test::model_fingerprint
