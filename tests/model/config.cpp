// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/model/config.hpp"

#include "support/check.hpp"

namespace iapt::test::model_config {
namespace {

transformer_config good() {
  return {.vocabulary = 31, .hidden = 24, .layers = 3, .heads = {4, 2, 6}, .feed_forward = 20};
}

}  // namespace

TEST_CASE("a configuration that makes a model", "[model]") { CHECK_NOTHROW(good().check()); }

TEST_CASE("a configuration that makes none names the number", "[model]") {
  const auto message = [](auto change) {
    transformer_config config = good();
    change(config);
    return message_of<shape_error>([&] { config.check(); });
  };
  const std::string start = "model configuration: ";
  CHECK(message([](auto& c) { c.vocabulary = 0; }) == start + "the vocabulary must not be empty, found 0");
  CHECK(message([](auto& c) { c.hidden = -1; }) == start + "the hidden size must be positive, found -1");
  CHECK(message([](auto& c) { c.layers = 0; }) == start + "there must be a layer, found 0");
  CHECK(message([](auto& c) { c.feed_forward = 0; }) == start + "the feed-forward size must be positive, found 0");
  CHECK(message([](auto& c) { c.heads.heads = 0; }) == start + "there must be a head, found 0");
  CHECK(message([](auto& c) { c.heads.kv_heads = 0; }) == start + "key/value heads must divide the heads, found 0");
  CHECK(message([](auto& c) { c.heads.kv_heads = 3; }) == start + "key/value heads must divide the heads, found 3");
  CHECK(message([](auto& c) { c.heads.head_size = 0; }) == start + "the head size must be even, found 0");
  CHECK(message([](auto& c) { c.heads.head_size = 7; }) == start + "the head size must be even, found 7");
}

}  // namespace iapt::test::model_config
