// SPDX-License-Identifier: Apache-2.0
#include "iapt/serve/adapter_store.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "data/byte_tokenizer.hpp"
#include "support/catch.hpp"
#include "support/refused_calls.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::serve_adapter_store {
namespace {

using lm_type = language_model<double, test_backend>;
using store_type = adapter_store<double, test_backend>;
using names = std::vector<std::string>;

lm_type small(test_backend& backend) { return {small_model(backend), byte_tokenizer(), "small"}; }

/// Writes a LoRA adapter of so many rows, and returns the bytes that it takes.
std::size_t write(const lm_type& lm, const std::filesystem::path& folder, extent rank = 1) {
  auto method = make_lora(lm, {.rank = rank, .targets = {"v_proj"}});
  save_adapter(method, lm, folder);
  return sizeof(double) * std::size_t(parameter_count(method.parameters()));
}

}  // namespace

TEST_CASE("adapters are read once, and the least recently used go first", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  const std::size_t bytes = write(lm, folder.path() / "a");
  for (const char* name : {"b", "c"}) write(lm, folder.path() / name);
  write(lm, folder.path() / "run" / "best");  // of a run that was saved
  std::filesystem::create_directories(folder.path() / "empty");
  int readings = 0;
  store_type store(lm, folder.path(), 2 * bytes, [&](const auto& read) { ++readings, read(); });
  CHECK(store.tenants() == names{"a", "b", "c", "run"});
  CHECK(store.loaded() == 0);

  const auto a = store.get("a");
  CHECK(a->has_delta());
  CHECK(store.get("a") == a);
  CHECK(readings == 1);
  (void)store.get("b");
  (void)store.get("a");
  (void)store.get("run");  // b goes, which was used before a
  CHECK(readings == 3);
  CHECK(store.loaded() == 2);
  CHECK(store.bytes() == 2 * bytes);
  CHECK(store.get("a") == a);
  CHECK(readings == 3);
  (void)store.get("b");
  CHECK(readings == 4);
}

TEST_CASE("tenants come, change and go while others are served", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  store_type store(lm, folder.path(), 1 << 20);
  CHECK_THROWS_AS(store.get("a"), unknown_tenant);
  const std::size_t bytes = write(lm, folder.path() / "a");
  const auto first = store.get("a");
  CHECK(store.bytes() == bytes);
  write(lm, folder.path() / "a", 2);
  const auto second = store.get("a");
  CHECK(second != first);
  CHECK(store.bytes() == 2 * bytes);
  CHECK(store.get("a") == second);
  // The weights alone, by a tool that keeps times.
  const auto weights = folder.path() / "a" / "adapter_model.safetensors";
  const auto time = std::filesystem::last_write_time(weights);
  std::filesystem::copy_file(weights, folder.path() / "copy");
  std::filesystem::rename(folder.path() / "copy", weights);
  std::filesystem::last_write_time(weights, time);
  CHECK(store.get("a") != second);
  std::filesystem::remove_all(folder.path() / "a");
  CHECK_THROWS_AS(store.get("a"), unknown_tenant);
  CHECK(store.tenants().empty());
}

TEST_CASE("an adapter that changes while it is read is read anew", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  const std::size_t bytes = write(lm, folder.path() / "a");
  std::function<void()> meanwhile;
  int readings = 0;
  store_type store(lm, folder.path(), 1 << 20, [&](const auto& read) {
    ++readings;
    if (readings % 2) meanwhile();  // half of all were written after their configuration was seen
    read();
  });
  meanwhile = [&] { write(lm, folder.path() / "a", 3); };
  (void)store.get("a");
  CHECK(readings == 2);
  CHECK(store.bytes() == 3 * bytes);
  (void)store.get("a");
  CHECK(readings == 2);
  write(lm, folder.path() / "a", 2);
  meanwhile = [&] { folder.write("a/adapter_config.json", "{"), readings = 10; };  // and then stays as it is
  CHECK_THROWS_AS(store.get("a"), io_error);
  write(lm, folder.path() / "b", 2);
  readings = 0;
  meanwhile = [&] { std::filesystem::remove_all(folder.path() / "b"); };
  CHECK_THROWS_AS(store.get("b"), unknown_tenant);
}

TEST_CASE("an adapter can be saved again and again while it is asked for", "[serve]") {
  const bool exchanges = GENERATE(true, false);  // whether the system can exchange two names
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  const std::size_t bytes = write(lm, folder.path() / "a");
  store_type store(lm, folder.path(), 1 << 20);
  std::atomic<bool> saved = false;
  std::thread writer([&] {
    test_backend own = with_threads(1);
    const lm_type same = small(own);
    const auto save = [&] {
      for (int i = 0; i < 60; ++i) write(same, folder.path() / "a", 1 + i % 3);
    };
    exchanges ? save() : without_exchange(save);
    saved = true;
  });
  int refused = 0, unlisted = 0;
  while (!saved) try {
      unlisted += store.tenants() != names{"a"};
      (void)store.get("a");
    } catch (const io_error& e) {
      ++refused;
      WARN(e.what());
    }
  writer.join();
  CHECK(refused == 0);
  CHECK(unlisted == 0);
  (void)store.get("a");
  CHECK(store.bytes() == 3 * bytes);
  CHECK(store.tenants() == names{"a"});
}

TEST_CASE("no name leads out of the folder", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  write(lm, folder.path() / "secret");
  write(lm, folder.path() / "tenants" / "a");
  write(lm, folder.path() / "tenants" / "a" / "best");
  write(lm, folder.path() / "tenants" / ".hidden");
  write(lm, folder.path() / "tenants" / "a.partial");
  write(lm, folder.path() / "tenants" / "a.old");
  store_type store(lm, folder.path() / "tenants", 1 << 20);
  using namespace std::string_literals;
  for (const std::string& name :
       {""s, "."s, ".."s, "../secret"s, "a/best"s, "a/"s, "/"s, (folder.path() / "secret").string(), ".hidden"s,
        "a.partial"s, "a.old"s, "a\0b"s, "a\0"s, "..\\secret"s, "a\n"s, std::string(5000, 'x'), "\xFF"s}) {
    CAPTURE(name);
    CHECK_THROWS_AS(store.get(name), unknown_tenant);
    CHECK_FALSE(store.has(name));
  }
  CHECK(store.tenants() == names{"a"});
  CHECK_THROWS_AS(store_type(lm, folder.path() / "nowhere", 1), io_error);
}

TEST_CASE("a refused adapter is its own tenant's trouble, and is read again when it was mended", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  const std::size_t bytes = write(lm, folder.path() / "good");
  write(lm, folder.path() / "large", 3);
  folder.write("broken/adapter_config.json", "{");
  store_type store(lm, folder.path(), bytes);
  CHECK(message_of<io_error>([&] { (void)store.get("broken"); }).find("broken") != std::string::npos);
  CHECK(message_of<io_error>([&] { (void)store.get("large"); }).find("bytes, more than the") != std::string::npos);
  CHECK(store.loaded() == 0);
  CHECK(store.get("good"));
  std::filesystem::remove_all(folder.path() / "broken");
  write(lm, folder.path() / "broken");
  CHECK(store.get("broken"));
}

TEST_CASE("many threads share one reading", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  std::size_t bytes = 0;
  for (int i = 0; i < 6; ++i) bytes = write(lm, folder.path() / std::to_string(i));
  std::atomic<int> readings = 0;
  store_type store(lm, folder.path(), 6 * bytes, [&](const auto& read) {
    ++readings;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    read();
  });
  store_type small_store(lm, folder.path(), 2 * bytes);
  std::atomic<int> missing = 0;
  std::vector<std::thread> clients;
  for (int t = 0; t < 8; ++t)
    clients.emplace_back([&, t] {
      for (int i = 0; i < 30; ++i) {
        missing += !store.get(std::to_string((i + t) % 6));
        missing += !small_store.get(std::to_string((i * t) % 6));
      }
    });
  for (auto& client : clients) client.join();
  CHECK(missing == 0);
  CHECK(readings == 6);
  CHECK(store.loaded() == 6);
  CHECK(small_store.bytes() <= 2 * bytes);
}

}  // namespace iapt::test::serve_adapter_store
