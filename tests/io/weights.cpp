// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/weights.hpp"

#include <cmath>
#include <span>
#include <vector>

#include "iapt/io/safetensors_writer.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_weights {
namespace {

void write_one(const std::filesystem::path& path, const std::string& name, float value) {
  write_safetensors(path, {to_store(name, {1}, std::span<const float>(&value, 1))});
}
float read_one(const stored_tensor& tensor) {
  float value = 0;
  read_into(tensor, std::span(&value, 1));
  return value;
}
std::string opening(const std::filesystem::path& path) {
  return io_message([&] { weights::open(path); });
}
std::string indexing(std::string_view json) {
  return io_message([&] { parse_shard_index(json, "i.json"); });
}

}  // namespace

TEST_CASE("weights of a GGUF file and their errors", "[io]") {
  const auto model = weights::open(test_data("io/quantized.gguf"));
  CHECK(model.names().front() == "q4_0");
  CHECK(model.at("cube", extents<3>{2, 3, 4}).type == dtype::f32);
  CHECK(model.find("cube") == &model.at("cube"));
  CHECK_FALSE(model.find("x"));
  CHECK_THAT(io_message([&] { model.at("cubes"); }),
             has_text("quantized.gguf: there is no tensor \"cubes\"") && has_text("the nearest is \"cube\""));
  CHECK_THAT(io_message([&] {
               model.at("cube", extents<2>{6, 4});
             }),
             has_text("quantized.gguf: byte") && has_text("tensor \"cube\": has shape (2, 3, 4), expected (6, 4)"));
}

TEST_CASE("weights of a folder with one file", "[io]") {
  const temporary_folder folder;
  CHECK_THAT(opening(folder.path()), has_text("has neither model.safetensors nor"));
  write_one(folder.path() / "model.safetensors", "a", 3);
  CHECK(read_one(weights::open(folder.path()).at("a", extents<1>{1})) == 3);
  CHECK(read_one(weights::open(folder.path() / "model.safetensors").at("a")) == 3);
  CHECK_THAT(opening(folder.path() / "none"), has_text("none: cannot open"));
}

TEST_CASE("weights of a folder with shards", "[io]") {
  const temporary_folder folder;
  write_one(folder.path() / "m-1.safetensors", "a", 1);
  write_one(folder.path() / "m-2.safetensors", "b", 2);
  const auto index = [&](const std::string& map) {
    folder.write("model.safetensors.index.json", R"({"metadata":{"total_size":8},"weight_map":{)" + map + "}}");
    return opening(folder.path());
  };
  REQUIRE(index(R"("a":"m-1.safetensors","b":"m-2.safetensors")") == "nothing thrown");
  const auto model = weights::open(folder.path());
  CHECK(model.names() == std::vector<std::string>{"a", "b"});
  CHECK(read_one(model.at("a")) == 1);
  CHECK(read_one(model.at("b")) == 2);
  CHECK_THAT(index(R"("b":"m-1.safetensors")"), has_text("tensor \"b\" is not in \"m-1.safetensors\""));
  CHECK_THAT(index(R"("a":"m-3.safetensors")"), has_text("m-3.safetensors: cannot open"));
  CHECK_THAT(index(R"("a":"../m-1.safetensors")"), has_text("index.json: tensor \"a\": the shard"));
}

TEST_CASE("damaged indices of shards", "[io]") {
  CHECK(indexing(R"({"weight_map":{}})") == "nothing thrown");
  for (const char* shard : {"", ".", "..", "/etc/x", "../x", "a/b", "a\\\\b", "a\\u0000b"})
    CHECK_THAT(indexing(R"({"weight_map":{"a":")" + std::string(shard) + "\"}}"), has_text("is not a plain file name"));
  CHECK_THAT(indexing(""), has_text("i.json: byte 1: the index is not valid JSON"));
  CHECK_THAT(indexing(R"({"weight_map":)"), has_text("i.json: byte 15"));
  CHECK_THAT(indexing("{}"), has_text("expected \"weight_map\""));
  CHECK_THAT(indexing("[]"), has_text("expected \"weight_map\""));
  CHECK_THAT(indexing(R"({"weight_map":3})"), has_text("i.json: expected \"weight_map\""));
  CHECK_THAT(indexing(R"({"weight_map":{"a":3}})"), has_text("expected \"weight_map\""));
  CHECK_THAT(indexing(std::string(100000, '[')), has_text("the index is nested over 64 deep"));
}

TEST_CASE("SmolLM2 has gguf-py's values", "[io][model]") {
  const auto path = require_model();
  if (!path) return;
  struct expectation {
    const char* name;
    std::vector<index_t> shape;
    double sum, absolute_sum;
  };
  const expectation expected[] = {
      // tests/reference/make_quantized.py --sums
      {"token_embd.weight", {49152, 576}, -15353.0445, 2802153.61981},
      {"blk.0.attn_norm.weight", {576}, 0.612943649, 15.8153591156},
      {"blk.0.ffn_down.weight", {576, 1536}, 150.635773, 128458.062866},
      {"blk.0.ffn_gate.weight", {1536, 576}, 330.110535, 129929.859314},
      {"blk.0.attn_k.weight", {192, 576}, 26.9370575, 29794.7812653},
      {"blk.0.attn_v.weight", {192, 576}, 4.79384613, 3828.75086975},
      {"blk.29.ffn_up.weight", {1536, 576}, 305.732681, 150058.307571},
      {"blk.29.attn_q.weight", {576, 576}, 191.086124, 37141.5995979},
      {"output_norm.weight", {576}, 1038.33203, 1045.09765625},
  };
  const auto model = weights::open(*path);
  index_t elements = 0;
  for (const stored_tensor& tensor : model.all()) {
    std::vector<float> numbers(static_cast<std::size_t>(tensor.size()));
    read_into(tensor, std::span(numbers));
    elements += tensor.size();
    double sum = 0, absolute_sum = 0;
    for (float x : numbers) sum += double(x), absolute_sum += std::abs(double(x));
    CHECK(std::isfinite(sum));
    for (const expectation& one : expected)
      if (tensor.name == one.name) {
        INFO(one.name);
        CHECK(tensor.shape == one.shape);
        CHECK(sum == Approx(one.sum).epsilon(1e-7));
        CHECK(absolute_sum == Approx(one.absolute_sum).epsilon(1e-9));
      }
  }
  CHECK(model.all().size() == 272);
  CHECK(elements == 134515008);
}

}  // namespace iapt::test::io_weights
