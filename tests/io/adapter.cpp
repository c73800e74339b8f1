// SPDX-License-Identifier: Apache-2.0
// Adapter folders: what is written is read back, and what does not belong is refused by name.
#include "iapt/io/adapter.hpp"

#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test {
namespace {

using generator = key_value_generator<float, test_backend>;

template <class Method>
std::vector<std::vector<float>> numbers_of(Method& method) {
  std::vector<std::vector<float>> all;
  method.visit([&](const std::string&, const auto& x, tensor_role) { all.push_back(to_host(x)); });
  return all;
}

}  // namespace

TEST_CASE("adapter folders", "[model]") {
  const auto path = require_model();
  if (!path) return;
  test_backend backend = with_threads(1);
  const auto lm = load_causal_lm<float>(*path, backend);
  const temporary_folder folder;
  const auto adapter = folder.path() / "sql";
  auto method = make_iapt<generator>(
      lm, {.soft_tokens = 3, .bottleneck = 4, .where = placement::late, .start = prompt_start::random, .seed = 7});
  save_adapter(method, lm.fingerprint(), adapter);
  auto read = load_adapter<generator>(lm, adapter);
  CHECK(numbers_of(read) == numbers_of(method));
  CHECK(read.options.where == placement::late);
  CHECK(read.soft_tokens() == 3);
  CHECK(adapter_folder(adapter) == adapter);

  const auto config = nlohmann::json::parse(read_text_file(adapter / "adapter_config.json"));
  const auto refused = [&](const std::string& key, const nlohmann::json& value) {
    auto other = config;
    if (value.is_null())
      other.erase(key);
    else
      other[key] = value;
    write_text_file(adapter / "adapter_config.json", other.dump());
    return io_message([&] { load_adapter<generator>(lm, adapter); });
  };
  CHECK_THAT(refused("bottleneck", 60000), has_text("adapter_config.json") && has_text("(576, 60000)"));
  CHECK_THAT(refused("bottleneck", 1 << 30), has_text("bottleneck must be from 1 to 65536"));
  CHECK_THAT(refused("soft_tokens", 2), has_text("shape"));
  CHECK_THAT(refused("soft_tokens", 3.9), has_text("not a whole number"));
  CHECK_THAT(refused("soft_tokens", -1), has_text("soft_tokens must be"));
  CHECK_THAT(refused("share", 2), has_text("tensors where"));
  CHECK_THAT(refused("placement", "middle"), has_text("expected front or late"));
  CHECK_THAT(refused("method", "lora\x1b[31m"), has_text("is not known") && !has_text("\x1b"));
  CHECK_THAT(refused("output", "hidden"), has_text("this program lacks"));
  CHECK_THAT(refused("backbone", "0000000000000000"), has_text("made for another backbone"));
  CHECK_THAT(refused("pooler", nullptr), has_text("there is no \"pooler\""));

  // A folder of somebody else is not replaced.
  folder.write("photos/cat.jpg", "precious");
  CHECK_THAT(io_message([&] { save_adapter(method, lm.fingerprint(), folder.path() / "photos"); }),
             has_text("holds other files"));
  CHECK(std::filesystem::exists(folder.path() / "photos" / "cat.jpg"));
  save_adapter(method, lm.fingerprint(), adapter);  // but an adapter is
  CHECK(numbers_of(read) == numbers_of(method));
}

}  // namespace iapt::test
