// SPDX-License-Identifier: Apache-2.0
// Lets one process at a time use a folder.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <string>

#include "iapt/io/failure.hpp"
#include "iapt/io/lock.hpp"

namespace iapt {

/// Locks a folder against other owners of such a lock, in this process or another. It locks the file ".iapt.lock" in
/// the folder, which names the owner and is removed with this object. The lock ends with the process, so the file of a
/// killed process blocks nobody.
class folder_lock {
 public:
  /// Locks the folder.
  /// @throws io_error if another owner has it, with its name, or the file cannot be written
  explicit folder_lock(const std::filesystem::path& folder) : path_(folder / ".iapt.lock") {
    lock_state state;
    do {  // again if the earlier owner removed the file between the two calls
      file_ = descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
      if (!file_) refuse_call(path_.string(), "open");
      state = lock(file_);
      if (state == lock_state::taken)
        throw io_error(folder.string() + ": " + holder() +
                       " works in this folder; wait until it has ended, or choose another folder");
    } while (state == lock_state::held && !leads_to(path_, file_));
    certain_ = state == lock_state::held;
    const std::string text = whose();
    // If the disk is full, the text is lost, not the lock.
    if (::ftruncate(file_.number(), 0) == 0) (void)!::write(file_.number(), text.data(), text.size());
  }
  // Still locked: a process that waits for the lock sees that the file was replaced. A file that another process has
  // created since is not removed.
  ~folder_lock() {
    if (certain_ && leads_to(path_, file_)) ::unlink(path_.c_str());
  }
  folder_lock(const folder_lock&) = delete;
  folder_lock& operator=(const folder_lock&) = delete;

  /// Whether nobody else can have the folder. False if the file system has no locks.
  bool certain() const { return certain_; }

 private:
  // The owner: "process 123 on host since 2026-01-31 23:59:59 UTC".
  static std::string whose() {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    std::array<char, 40> time{};
    std::strftime(time.data(), time.size(), "%Y-%m-%d %H:%M:%S UTC", ::gmtime_r(&now, &parts));
    return "process " + std::to_string(::getpid()) + " on " + host.data() + " since " + time.data();
  }
  std::string holder() const {
    std::array<char, 512> text{};
    const auto length = ::read(file_.number(), text.data(), text.size());
    if (length <= 0) return "another process";
    const std::string quoted = in_quotes({text.data(), std::size_t(length)});
    return quoted.substr(1, quoted.size() - 2);
  }

  std::filesystem::path path_;
  descriptor file_;
  bool certain_ = false;
};

}  // namespace iapt
