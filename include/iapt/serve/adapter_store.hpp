// SPDX-License-Identifier: Apache-2.0
// The adapters of many tenants: each is read at its first request; the least recently used are evicted.
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

/// A tenant without an adapter.
struct unknown_tenant : io_error {
  using io_error::io_error;
};

/// An adapter that cannot be used. what() is for those who run the server. `reason` is for the client and has no path
/// of the server.
struct refused_adapter : io_error {
  std::string reason;  ///< what is wrong, for the client

  /// With both texts.
  refused_adapter(const std::string& all, std::string reason) : io_error(all), reason(std::move(reason)) {}
};

/// Adapters by tenant. Each folder in the store's folder is a tenant of this name; it may be added, changed or removed
/// at any time. All threads may call `get`. The first thread that asks for an adapter reads it; others that ask for it
/// wait.
///
/// Running requests own their adapters, so an evicted adapter frees its memory when the last of them has ended. At most
/// four adapters are read at the same time. The headers of its files tell the size of an adapter: room is made before
/// it is read, or it is refused unread. A refusal is remembered while the files stay the same; a transient error of the
/// system is not.
template <class T, class Backend>
class adapter_store {
 public:
  using method_type = method_ptr<T, Backend>;                        ///< a loaded adapter
  using runner = std::function<void(const std::function<void()>&)>;  ///< calls a function, and waits for it
  using listener = std::function<void(const std::string&)>;          ///< called with a message

  /// A store for a model, which must outlive it.
  /// @param folder has the tenants' folders
  /// @param budget bytes that the tensors of all adapters may take
  /// @param load runs what reads an adapter, for backends of one thread; empty: the thread that asks runs it
  /// @param refused called once with the reason when an adapter is refused, for a log
  /// @throws io_error if there is no such folder
  adapter_store(const language_model<T, Backend>& lm, std::filesystem::path folder, std::size_t budget,
                runner load = {}, listener refused = {})
      : lm_(lm), folders_(std::move(folder)), budget_(budget), run_(std::move(load)), refused_(std::move(refused)) {}

  /// The names of the present tenants, sorted.
  std::vector<std::string> tenants() const { return folders_.names(); }
  /// Whether a tenant exists now.
  bool has(const std::string& tenant) const { return folders_.find(tenant).has_value(); }

  /// A tenant's adapter, as its folder is now.
  /// @throws unknown_tenant if there is none
  /// @throws refused_adapter if it cannot be used, with the reason
  /// @throws transient_error if the system cannot read it now, or its files keep changing
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
  /// Number of loaded adapters.
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
    state as = {};             // state of the folder when it was read
    std::uint64_t number = 0;  // id of this load
    std::uint64_t used = 0;    // time of the last use, by clock_
    std::size_t bytes = 0;     // 0 while it is read, and if it was refused
  };
  // Bytes of the budget that are reserved for an adapter while it is read.
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

  // The present state of a tenant's folder. Forgets the adapter if the folder is gone.
  state require(const std::string& tenant) {
    if (auto now = folders_.look(tenant)) return *std::move(now);
    const std::lock_guard lock(mutex_);
    entries_.erase(tenant);
    throw unknown_tenant("there is no adapter \"" + utf8::repair(tenant) + "\"");
  }

  // Reads an adapter, and reads it again if it was changed meanwhile: it may be half of one version and half of
  // another. Writers of this library wait until it is read; others may change files at any time.
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
      std::this_thread::sleep_for(std::chrono::milliseconds(1 << tries));  // gives the writer time
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
  // Waits until the reservations of other threads leave room for `bytes`, then evicts adapters until all fit.
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
  // Throws the reason why an adapter cannot be used.
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
  // Stores the result of a load: an adapter, or a refusal.
  void keep(const std::string& tenant, std::uint64_t number, const reading& read) {
    const std::lock_guard lock(mutex_);
    entry* own = find(tenant, number);
    if (!own) return;  // it was replaced meanwhile
    own->as = read.as;
    if (!read.method) return;
    own->bytes = std::exchange(read.room->bytes, 0);
    reserved_ -= own->bytes;
  }
  // The entry of one load, if it still exists.
  entry* find(const std::string& tenant, std::uint64_t number) {
    const auto own = entries_.find(tenant);
    return own == entries_.end() || own->second.number != number ? nullptr : &own->second;
  }
  // Evicts the least recently used adapters until at most `bytes` are used.
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
  std::counting_semaphore<> readers_{4};  // an adapter that is read also takes its file's size
  mutable std::mutex mutex_;              // protects what follows
  std::condition_variable given_;
  std::map<std::string, entry> entries_;
  std::size_t reserved_ = 0;  // bytes of adapters that are being read
  std::uint64_t clock_ = 0;
};

}  // namespace iapt
