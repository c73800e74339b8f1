// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/adapter_store.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
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
std::size_t write(const lm_type& lm, const std::filesystem::path& folder, index_t rank = 1) {
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
  CHECK(a->uses_hook(hook::delta));
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

TEST_CASE("who saves an adapter waits until it was read", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  const std::size_t bytes = write(lm, folder.path() / "a");
  std::thread writer;
  int readings = 0;
  store_type store(lm, folder.path(), 1 << 20, [&](const auto& read) {
    if (++readings == 1)
      writer = std::thread([&] {
        test_backend own = with_threads(1);
        write(small(own), folder.path() / "a", 3);
      });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    read();
  });
  (void)store.get("a");
  CHECK(readings == 1);
  CHECK(store.bytes() == bytes);
  writer.join();
  (void)store.get("a");
  CHECK(store.bytes() == 3 * bytes);
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

TEST_CASE("a refusal is remembered until the files change, and told once", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  write(lm, folder.path() / "a");
  const auto weights = folder.path() / "a" / "adapter_model.safetensors";
  const std::string sound = contents(weights);
  std::string wrong = sound;
  wrong.replace(wrong.find("lora_A"), 6, "lora_C");
  int readings = 0;
  names log;
  store_type store(
      lm, folder.path(), 1 << 20, [&](const auto& read) { ++readings, read(); },
      [&](const std::string& why) { log.push_back(why); });
  const auto refused = [&] { return message_of<refused_adapter>([&] { (void)store.get("a"); }); };
  folder.write("a/adapter_model.safetensors", wrong);
  const std::string why = refused();
  CHECK(why.find("lora_A") != std::string::npos);
  for (int i = 0; i < 3; ++i) CHECK(refused() == why);
  CHECK(readings == 1);
  CHECK(log == names{why});
  folder.write("copy", wrong);
  std::filesystem::rename(folder.path() / "copy", weights);  // other files, as bad as those
  CHECK(refused() == why);
  CHECK(readings == 2);
  folder.write("a/adapter_model.safetensors", sound);
  CHECK(store.get("a"));
  CHECK(store.loaded() == 1);
  std::filesystem::remove_all(folder.path() / "a");
  CHECK_THROWS_AS(store.get("a"), unknown_tenant);
  CHECK(store.loaded() == 0);  // what is gone takes no memory
}

TEST_CASE("what an adapter takes is known before it is read", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  const std::size_t bytes = write(lm, folder.path() / "small");
  write(lm, folder.path() / "large", 3);
  write(lm, folder.path() / "long");
  std::ofstream(folder.path() / "long" / "adapter_model.safetensors", std::ios::app).close();
  std::filesystem::resize_file(folder.path() / "long" / "adapter_model.safetensors", std::uintmax_t(1) << 40);
  write(lm, folder.path() / "wordy");
  folder.write("wordy/adapter_config.json", "{\"a\":\"" + std::string(longest_configuration, 'a') + "\"}");
  write(lm, folder.path() / "heading");
  folder.write("heading/adapter_model.safetensors",
               std::string("\0\0\0\2\0\0\0\0", 8) + std::string(std::size_t(2) << 24, ' '));
  int readings = 0;
  store_type store(lm, folder.path(), bytes, [&](const auto& read) { ++readings, read(); });
  const auto refused = [&](const char* tenant) {
    return message_of<refused_adapter>([&] { (void)store.get(tenant); });
  };
  CHECK(refused("large").find("bytes, more than the") != std::string::npos);
  CHECK(refused("long").find("the header tells of") != std::string::npos);
  CHECK(refused("wordy").find("at most 1048576 are allowed") != std::string::npos);
  CHECK(refused("heading").find("at most 16777216 are allowed") != std::string::npos);
  CHECK(readings == 0);
  CHECK(store.get("small"));
}

TEST_CASE("adapters that are read at once find room one after the other", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  std::size_t bytes = 0;
  for (int i = 0; i < 8; ++i) bytes = write(lm, folder.path() / std::to_string(i));
  std::atomic<int> now = 0, most = 0;
  store_type store(lm, folder.path(), 2 * bytes, [&](const auto& read) {
    most = std::max<int>(most, ++now);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    read();
    --now;
  });
  std::vector<std::thread> clients;
  std::atomic<int> found = 0;
  for (int t = 0; t < 8; ++t) clients.emplace_back([&, t] { found += store.get(std::to_string(t)) != nullptr; });
  for (auto& client : clients) client.join();
  CHECK(found == 8);
  CHECK(most == 2);
  CHECK(store.bytes() == 2 * bytes);
}

TEST_CASE("what a tenant hears of its adapter names no path of the machine", "[serve]") {
  test_backend backend = with_threads(1);
  const lm_type lm(small_model(backend), byte_tokenizer(), "/srv/models/small");
  const temporary_folder folder;
  const auto make = [&](const std::string& name, const std::string& config) {
    write(lm, folder.path() / name);
    folder.write(name + "/adapter_config.json", config);
  };
  make("broken", "{");
  make("strange", R"({"peft_type": "OFT"})");
  make("wide", R"({"peft_type": "LORA", "r": 70000, "lora_alpha": 1})");
  write(lm, folder.path() / "best_of_run" / "best");
  folder.write("best_of_run/best/adapter_model.safetensors", "short");
  write(lm, folder.path() / "bare");
  std::filesystem::remove(folder.path() / "bare" / "adapter_model.safetensors");
  {
    test_backend own = with_threads(1);
    auto backbone = small_model(own);
    backbone.config.feed_forward = 21;
    const lm_type other(std::move(backbone), byte_tokenizer(), "other");
    write(other, folder.path() / "foreign");
  }
  store_type store(lm, folder.path(), 1 << 20);
  for (const char* tenant : {"broken", "strange", "wide", "best_of_run", "bare", "foreign"}) {
    CAPTURE(tenant);
    std::string all, reason;
    try {
      (void)store.get(tenant);
    } catch (const refused_adapter& failure) { all = failure.what(), reason = failure.reason; }
    CAPTURE(reason);
    CHECK(all.find(folder.path().string()) != std::string::npos);
    CHECK(reason.starts_with(tenant));
    CHECK(reason.find(folder.path().string()) == std::string::npos);
    CHECK(reason.find("/srv") == std::string::npos);
  }
}

TEST_CASE("reading an adapter starts no threads", "[serve]") {
  test_backend backend = with_threads(3);
  const lm_type lm = small(backend);
  const temporary_folder folder;
  auto method = make_iapt<key_value_generator<double, test_backend>>(
      lm, {.soft_tokens = 1024, .bottleneck = 4, .start = prompt_start::random});
  save_adapter(method, lm, folder.path() / "a");
  store_type store(lm, folder.path(), 1 << 26);
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
  };
  std::thread([&] {
    const auto before = threads();
    (void)store.get("a");
    CHECK(threads() == before);
  }).join();
  CHECK(store.bytes() == sizeof(double) * adapter_reader(folder.path() / "a").numbers());
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
