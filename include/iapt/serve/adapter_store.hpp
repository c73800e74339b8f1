// SPDX-License-Identifier: Apache-2.0
// The adapters of many tenants: read from a folder when they are first asked for, the least recently used dropped.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "iapt/io/adapter.hpp"
#include "iapt/serve/any_method.hpp"

namespace iapt {

/// A tenant that has no adapter.
struct unknown_tenant : io_error {
  using io_error::io_error;
};

/// Adapters by tenant. Each folder of a folder is a tenant of its name; it may come, change or go at any time. Any
/// thread may ask. An adapter is read on the thread that asks for it first, while others that ask for it wait.
///
/// A tenant's name comes from outside, so only a plain name of a folder leads anywhere. Requests at work hold their
/// adapters themselves, so one that is dropped frees its memory when the last of them has ended.
template <class T, class Backend>
class adapter_store {
 public:
  using method_type = shared_method<T, Backend>;                     ///< an adapter at work
  using runner = std::function<void(const std::function<void()>&)>;  ///< calls a function, and waits for it

  /// For a model, which must outlive it.
  /// @param folder that holds the tenants' folders
  /// @param budget bytes that the adapters' tensors may take together
  /// @param load how adapters are read, if not simply on the thread that asks: for backends of one thread
  /// @throws io_error if there is no such folder
  adapter_store(const language_model<T, Backend>& lm, std::filesystem::path folder, std::size_t budget,
                runner load = {})
      : lm_(lm), folder_(std::move(folder)), budget_(budget), run_(std::move(load)) {
    if (!std::filesystem::is_directory(folder_)) throw io_error(folder_.string() + ": there is no such folder");
  }

  /// The names of all tenants that are there now, in order.
  std::vector<std::string> tenants() const {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored))
      if (std::string name = entry.path().filename().string(); is_name(name) && has_adapter(entry.path()))
        names.push_back(std::move(name));
    std::sort(names.begin(), names.end());
    return names;
  }
  /// Whether there is such a tenant now.
  bool has(const std::string& tenant) const { return is_name(tenant) && has_adapter(folder_ / tenant); }

  /// A tenant's adapter, as its folder is now.
  /// @throws unknown_tenant if there is none
  /// @throws io_error if it is refused, saying why
  method_type get(const std::string& tenant) {
    if (!has(tenant)) throw unknown_tenant("there is no adapter \"" + utf8::repair(tenant) + "\"");
    const auto folder = adapter_folder(folder_ / tenant);
    const auto written = std::filesystem::last_write_time(folder / "adapter_config.json");
    std::promise<method_type> ours;
    std::shared_future<method_type> found;
    std::uint64_t number;
    {
      const std::lock_guard lock(mutex_);
      entry& own = entries_[tenant];
      const bool there = own.adapter.valid() && own.written == written;
      if (!there) own = {ours.get_future().share(), written, ++clock_};
      own.used = ++clock_, number = own.number;
      if (there) found = own.adapter;
    }
    if (found.valid()) return found.get();
    try {
      auto [method, bytes] = load(folder);
      ours.set_value(method);
      keep(tenant, number, bytes);
      return method;
    } catch (...) {
      ours.set_exception(std::current_exception());
      const std::lock_guard lock(mutex_);
      if (const auto own = entries_.find(tenant); own != entries_.end() && own->second.number == number)
        entries_.erase(own);
      throw;
    }
  }
  /// How many adapters it holds.
  std::size_t loaded() const {
    const std::lock_guard lock(mutex_);
    return std::size_t(
        std::count_if(entries_.begin(), entries_.end(), [](const auto& one) { return one.second.bytes > 0; }));
  }
  /// Bytes of their tensors.
  std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return held();
  }

 private:
  struct entry {
    std::shared_future<method_type> adapter = {};
    std::filesystem::file_time_type written = {};  // what was read
    std::uint64_t number = 0;                      // tells one reading from the next
    std::uint64_t used = 0;                        // greater: later
    std::size_t bytes = 0;                         // 0 while it is read
  };

  // One part of a path, which leads neither up nor to what is hidden.
  static bool is_name(const std::string& name) {
    return !name.empty() && name[0] != '.' && std::none_of(name.begin(), name.end(), [](unsigned char c) {
      return c < ' ' || c == '/' || c == '\\' || c == 0x7F;
    });
  }
  static bool has_adapter(const std::filesystem::path& folder) {
    std::error_code none;  // also of a name that is too long
    for (const char* inside : {"", "best", "last"})
      if (std::filesystem::is_regular_file(folder / inside / "adapter_config.json", none)) return true;
    return false;
  }
  std::pair<method_type, std::size_t> load(const std::filesystem::path& folder) const {
    std::pair<method_type, std::size_t> found;
    const auto read = [&] {
      with_adapter(lm_, folder, [&](auto method) {
        found.second = sizeof(T) * std::size_t(std::max<extent>(parameter_count(method.parameters()), 1));
        found.first = share_method(lm_, std::move(method));
      });
    };
    run_ ? run_(read) : read();
    if (found.second > budget_)
      throw io_error(folder.string() + ": the adapter takes " + std::to_string(found.second) +
                     " bytes, more than the " + std::to_string(budget_) + " that there are for all");
    return found;
  }
  // Counts an adapter that was read, and drops others until all fit.
  void keep(const std::string& tenant, std::uint64_t number, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto own = entries_.find(tenant);
    if (own == entries_.end() || own->second.number != number) return;  // it was replaced meanwhile
    own->second.bytes = bytes;
    while (held() > budget_) {
      auto oldest = own;
      for (auto one = entries_.begin(); one != entries_.end(); ++one)
        if (one->second.bytes > 0 && one != own && (oldest == own || one->second.used < oldest->second.used))
          oldest = one;
      entries_.erase(oldest);
    }
  }
  std::size_t held() const {
    std::size_t sum = 0;
    for (const auto& [tenant, one] : entries_) sum += one.bytes;
    return sum;
  }

  const language_model<T, Backend>& lm_;
  std::filesystem::path folder_;
  std::size_t budget_;
  runner run_;
  mutable std::mutex mutex_;  // of what follows
  std::map<std::string, entry> entries_;
  std::uint64_t clock_ = 0;
};

}  // namespace iapt
