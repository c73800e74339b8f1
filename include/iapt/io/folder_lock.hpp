// SPDX-License-Identifier: Apache-2.0
// One process at a time in a folder.
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

/// Holds a folder against others that ask for the same, in this process or another: by a lock on the file ".iapt.lock"
/// in it, which says who has it and goes with the object. The lock ends with the process, so a file that a killed one
/// left holds nobody up.
class folder_lock {
 public:
  /// Takes the folder.
  /// @throws io_error if somebody has it, saying who, or the file cannot be written
  explicit folder_lock(const std::filesystem::path& folder) : path_(folder / ".iapt.lock") {
    lock_state state;
    do {  // anew where the one that had it removed the file between the two calls
      file_ = descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
      if (!file_) refuse_call(path_.string(), "open");
      state = lock(file_);
      if (state == lock_state::taken)
        throw io_error(folder.string() + ": " + holder() +
                       " works in this folder; wait until it has ended, or choose another folder");
    } while (state == lock_state::held && !leads_to(path_, file_));
    certain_ = state == lock_state::held;
    const std::string text = whose();
    // A disk that is full loses the words, not the lock.
    if (::ftruncate(file_.number(), 0) == 0) (void)!::write(file_.number(), text.data(), text.size());
  }
  // Still locked: who waits for it sees that the file is another. A file that somebody else made since is theirs.
  ~folder_lock() {
    if (certain_ && leads_to(path_, file_)) ::unlink(path_.c_str());
  }
  folder_lock(const folder_lock&) = delete;
  folder_lock& operator=(const folder_lock&) = delete;

  /// Whether nobody else can have it. Not so where the file system has no locks.
  bool certain() const { return certain_; }

 private:
  // "process 123 on host since 2026-01-31 23:59:59 UTC"
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
