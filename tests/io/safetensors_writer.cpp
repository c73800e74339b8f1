// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/safetensors_writer.hpp"

#include <cstdint>
#include <span>
#include <vector>

#include "iapt/io/safetensors.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_safetensors_writer {

TEST_CASE("what is written is read back", "[io]") {
  const temporary_folder folder;
  const auto path = folder.path() / "a.safetensors";
  const std::vector<float> floats{1, -2.5f, 3e-45f};
  const std::vector<double> doubles{0.1, 1e300};
  const std::vector<std::int64_t> steps{-1};
  const std::vector<std::uint8_t> bytes{1, 2, 255};
  write_safetensors(path,
                    {to_store("bytes", {3}, std::span(bytes)), to_store("floats \"\u00e9\"", {1, 3}, std::span(floats)),
                     to_store("doubles", {2}, std::span(doubles)), to_store("steps", {}, std::span(steps)),
                     to_store("none", {0, 7}, std::span<const float>())},
                    {{"library", "iapt"}, {"quote\"", "\n"}});
  const auto file = safetensors_file::open(path);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"library", "iapt"}, {"quote\"", "\n"}});
  std::vector<float> f(3);
  std::vector<double> d(2);
  std::vector<std::int64_t> s(1);
  std::vector<std::uint8_t> b(3);
  copy_into(*file.tensors().find("floats \"\u00e9\""), std::span(f));
  copy_into(*file.tensors().find("doubles"), std::span(d));
  copy_into(*file.tensors().find("steps"), std::span(s));
  copy_into(*file.tensors().find("bytes"), std::span(b));
  CHECK(f == floats);
  CHECK(d == doubles);
  CHECK(s == steps);
  CHECK(b == bytes);
  CHECK(file.tensors().find("none")->shape == std::vector<index_t>{0, 7});
  for (const stored_tensor& tensor : file.tensors().all())
    CHECK(tensor.offset % static_cast<std::uint64_t>(layout_of(*tensor.type).bytes) == 0);

  const auto again = folder.path() / "b.safetensors";  // the order of the list does not matter
  write_safetensors(again,
                    {to_store("none", {0, 7}, std::span<const float>()), to_store("doubles", {2}, std::span(doubles)),
                     to_store("floats \"\u00e9\"", {1, 3}, std::span(floats)), to_store("steps", {}, std::span(steps)),
                     to_store("bytes", {3}, std::span(bytes))},
                    {{"library", "iapt"}, {"quote\"", "\n"}});
  CHECK(contents(path) == contents(again));
}

TEST_CASE("a file without tensors", "[io]") {
  const temporary_folder folder;
  write_safetensors(folder.path() / "a", {});
  CHECK(safetensors_file::open(folder.path() / "a").tensors().all().empty());
}

TEST_CASE("what cannot be written leaves the old file", "[io]") {
  const temporary_folder folder;
  const auto path = folder.write("a", "old");
  const std::vector<float> one{1};
  const auto refused = [&](std::vector<tensor_to_store> tensors, std::map<std::string, std::string> metadata = {}) {
    return io_message([&] { write_safetensors(path, tensors, metadata); });
  };
  const auto good = to_store("x", {1}, std::span(one));
  CHECK_THAT(refused({good, good}), has_text("tensor \"x\": its name is taken"));
  CHECK_THAT(refused({to_store("__metadata__", {1}, std::span(one))}), has_text("its name is taken"));
  CHECK_THAT(refused({to_store("\xff", {1}, std::span(one))}), has_text("not UTF-8"));
  CHECK_THAT(refused({good}, {{"k", "\xff"}}), has_text("not UTF-8"));
  CHECK_THAT(refused({{"q", dtype::q8_0, {32}, {}}}), has_text("no type Q8_0"));
  CHECK_THROWS_AS(write_safetensors(path, {to_store("x", {2}, std::span(one))}), shape_error);
  CHECK_THROWS_AS(write_safetensors(path, {to_store("x", {-1}, std::span(one))}), shape_error);
  CHECK(contents(path) == "old");
}

}  // namespace iapt::test::io_safetensors_writer
