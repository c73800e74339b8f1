// SPDX-License-Identifier: Apache-2.0
// The adapters of many tenants: read from a folder when they are first asked for, the least recently used dropped.
#pragma once
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "iapt/io/adapter.hpp"
#include "iapt/serve/any_method.hpp"
#include "iapt/serve/tenant_folders.hpp"

namespace iapt {

/// A tenant that has no adapter.
struct unknown_tenant : io_error {
  using io_error::io_error;
};

/// An adapter that is refused. what() says all, for those who run the server; `reason` is for whoever asked, and names
/// no path of this machine.
struct refused_adapter : io_error {
  std::string reason;  ///< what is wrong, for the tenant

  /// With both texts.
  refused_adapter(const std::string& all, std::string reason) : io_error(all), reason(std::move(reason)) {}
};

/// Adapters by tenant. Each folder of a folder is a tenant of its name; it may come, change or go at any time. Any
/// thread may ask. An adapter is read on the thread that asks for it first, while others that ask for it wait.
///
/// Requests at work hold their adapters themselves, so one that is dropped frees its memory when the last of them has
/// ended. At most four are read at a time. How large an adapter is, its files' headers tell: it finds room before it is
/// read, or is refused unread. A refusal is remembered for as long as the files stay as they are; one by the system,
/// which may pass, is not.
template <class T, class Backend>
class adapter_store {
 public:
  using method_type = method_ptr<T, Backend>;                        ///< an adapter at work
  using runner = std::function<void(const std::function<void()>&)>;  ///< calls a function, and waits for it
  using listener = std::function<void(const std::string&)>;          ///< hears of something

  /// For a model, which must outlive it.
  /// @param folder that holds the tenants' folders
  /// @param budget bytes that the adapters' tensors may take together
  /// @param load how adapters are read, if not simply on the thread that asks: for backends of one thread
  /// @param refused hears once why an adapter was refused, for a log
  /// @throws io_error if there is no such folder
  adapter_store(const language_model<T, Backend>& lm, std::filesystem::path folder, std::size_t budget,
                runner load = {}, listener refused = {})
      : lm_(lm), folders_(std::move(folder)), budget_(budget), run_(std::move(load)), refused_(std::move(refused)) {}

  /// The names of all tenants that are there now, in order.
  std::vector<std::string> tenants() const { return folders_.names(); }
  /// Whether there is such a tenant now.
  bool has(const std::string& tenant) const { return folders_.find(tenant).has_value(); }

  /// A tenant's adapter, as its folder is now.
  /// @throws unknown_tenant if there is none
  /// @throws refused_adapter if it cannot be used, saying why
  /// @throws transient_error if the system does not let it be read now
  method_type get(const std::string& tenant) {
    const state now = require(tenant);
    std::promise<method_type> ours;
    std::shared_future<method_type> found;
    std::uint64_t number;
    {
      const std::lock_guard lock(mutex_);
      entry& own = entries_[tenant];
      const bool there = own.adapter.valid() && own.as == now;
      if (!there) own = {ours.get_future().share(), now, ++clock_};
      own.used = ++clock_, number = own.number;
      if (there) found = own.adapter;
    }
    if (found.valid()) return found.get();
    reading read{.as = now};
    try {
      load(tenant, read);
      ours.set_value(read.method);
      keep(tenant, number, read);
      return read.method;
    } catch (const refused_adapter& failure) {
      if (refused_) refused_(failure.what());
      ours.set_exception(std::current_exception());
      keep(tenant, number, read);
      throw;
    } catch (...) {
      ours.set_exception(std::current_exception());
      const std::lock_guard lock(mutex_);
      if (find(tenant, number)) entries_.erase(tenant);
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
  using state = tenant_folders::state;
  struct entry {
    std::shared_future<method_type> adapter = {};
    state as = {};             // that it was read in
    std::uint64_t number = 0;  // tells one reading from the next
    std::uint64_t used = 0;    // greater: later
    std::size_t bytes = 0;     // 0 while it is read, and where it was refused
  };
  // Bytes of the budget that an adapter has while it is read.
  struct reservation {
    adapter_store& of;
    std::size_t bytes;
    reservation(adapter_store& of, std::size_t bytes) : of(of), bytes(bytes) {}
    reservation(const reservation&) = delete;
    ~reservation() { of.give_room(bytes); }
  };
  struct reading {
    method_type method = {};
    state as = {};
    std::unique_ptr<reservation> room = {};
  };

  // As the tenant's folder is now. One that is gone is forgotten.
  state require(const std::string& tenant) {
    if (auto now = folders_.look(tenant)) return *std::move(now);
    const std::lock_guard lock(mutex_);
    entries_.erase(tenant);
    throw unknown_tenant("there is no adapter \"" + utf8::repair(tenant) + "\"");
  }

  // Reads an adapter, anew if it was changed meanwhile: what was read may be half of one and half of another. Writers
  // of ours wait until it is read; others may change files at any time.
  void load(const std::string& tenant, reading& found) {
    for (int tries = 1;; ++tries) {
      std::exception_ptr failure;
      state now = {};
      {
        const descriptor held = hold_folder(found.as.folder);
        found = reading();
        found.as = require(tenant);
        try {
          load(found);
        } catch (const error&) {
          failure = std::current_exception();
        } catch (const std::filesystem::filesystem_error& why) {
          failure = std::make_exception_ptr(io_error(why.what()));
        }
        now = require(tenant);
      }
      if (now == found.as) {
        if (failure) refuse(failure);
        return;
      }
      if (tries == 8) throw transient_error(found.as.folder.string() + ": changes while it is read");
      found.as = now;
      std::this_thread::sleep_for(std::chrono::milliseconds(1 << tries));  // who writes it may need the time
    }
  }
  void load(reading& found) {
    readers_.acquire();
    const std::shared_ptr<void> reader(nullptr, [this](void*) { readers_.release(); });
    const adapter_reader file(found.as.folder);
    constexpr std::size_t number = sizeof(compute_type<T>);
    if (file.numbers() > budget_ / number)
      throw io_error(found.as.folder.string() + ": the adapter takes " + std::to_string(file.numbers()) + " times " +
                     std::to_string(number) + " bytes, more than the " + std::to_string(budget_) +
                     " that there are for all");
    const std::size_t bytes = number * std::max<std::size_t>(file.numbers(), 1);
    make_room(bytes);
    found.room = std::make_unique<reservation>(*this, bytes);
    const auto read = [&] {
      with_adapter(lm_, file, [&](auto method) { found.method = erase_method(lm_, std::move(method)); });
    };
    run_ ? run_(read) : read();
  }
  // Waits until what others read leaves room for so many bytes, and drops adapters until all fit.
  void make_room(std::size_t bytes) {
    std::unique_lock lock(mutex_);
    given_.wait(lock, [&] { return bytes <= budget_ - reserved_; });
    reserved_ += bytes;
    drop_to(budget_ - reserved_);
  }
  void give_room(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    reserved_ -= bytes;
    given_.notify_all();
  }
  // Throws on what keeps an adapter from being used.
  void refuse(const std::exception_ptr& failure) const {
    try {
      std::rethrow_exception(failure);
    } catch (const transient_error&) { throw; } catch (const io_error& why) {
      std::string reason = without(why.what(), (folders_.path() / "").string(), "");
      if (lm_.place().find('/') != std::string::npos) reason = without(reason, lm_.place(), "the model");
      throw refused_adapter(why.what(), reason);
    }
  }
  static std::string without(std::string text, const std::string& path, const std::string& instead) {
    for (std::size_t at = 0; (at = text.find(path, at)) != std::string::npos; at += instead.size())
      text.replace(at, path.size(), instead);
    return text;
  }
  // Counts an adapter that was read, or knows that it was refused.
  void keep(const std::string& tenant, std::uint64_t number, const reading& read) {
    const std::lock_guard lock(mutex_);
    entry* own = find(tenant, number);
    if (!own) return;  // it was replaced meanwhile
    own->as = read.as;
    if (!read.method) return;
    own->bytes = std::exchange(read.room->bytes, 0);
    reserved_ -= own->bytes;
  }
  // The entry of one reading, if it is still there.
  entry* find(const std::string& tenant, std::uint64_t number) {
    const auto own = entries_.find(tenant);
    return own == entries_.end() || own->second.number != number ? nullptr : &own->second;
  }
  // Drops the least recently used adapters until no more than so many bytes are held.
  void drop_to(std::size_t bytes) {
    while (held() > bytes) {
      auto oldest = entries_.end();
      for (auto one = entries_.begin(); one != entries_.end(); ++one)
        if (one->second.bytes > 0 && (oldest == entries_.end() || one->second.used < oldest->second.used)) oldest = one;
      entries_.erase(oldest);
    }
  }
  std::size_t held() const {
    std::size_t sum = 0;
    for (const auto& [tenant, one] : entries_) sum += one.bytes;
    return sum;
  }

  const language_model<T, Backend>& lm_;
  tenant_folders folders_;
  std::size_t budget_;
  runner run_;
  listener refused_;
  std::counting_semaphore<> readers_{4};  // an adapter that is read takes its file's length, too
  mutable std::mutex mutex_;              // of what follows
  std::condition_variable given_;
  std::map<std::string, entry> entries_;
  std::size_t reserved_ = 0;  // bytes of adapters that are being read
  std::uint64_t clock_ = 0;
};

}  // namespace iapt
