// SPDX-License-Identifier: Apache-2.0
// Open files and folders, and the lock that tells whether the process that has one still lives.
#pragma once
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

namespace iapt {

/// An open file or folder, closed with the object.
class descriptor {
 public:
  /// None.
  descriptor() = default;
  /// Takes what `open` gave; a negative number is none.
  explicit descriptor(int number) : number_(number) {}
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}  ///< takes it over
  descriptor& operator=(descriptor&& other) noexcept {                                    ///< swaps them
    std::swap(number_, other.number_);
    return *this;
  }

  /// What the system knows it by.
  int number() const { return number_; }
  /// Whether there is one.
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// What became of an attempt to lock.
enum class lock_state {
  held,        ///< it is ours until the descriptor is closed, or the process ends in whatever way
  taken,       ///< somebody else has it, who lives
  unsupported  ///< this file system has no locks (some NFS and FUSE), or none for folders
};

/// Whom a lock keeps out.
enum class lock_kind {
  exclusive = LOCK_EX,  ///< everybody else
  shared = LOCK_SH      ///< those that want it for themselves
};

/// Locks an open file or folder for its descriptor. Does not wait.
inline lock_state lock(const descriptor& file, lock_kind kind = lock_kind::exclusive) {
  while (::flock(file.number(), int(kind) | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    return errno == EWOULDBLOCK ? lock_state::taken : lock_state::unsupported;
  }
  return lock_state::held;
}

/// Whether a path still leads to what was opened by it: another process may have removed that before it was locked.
inline bool leads_to(const std::filesystem::path& path, const descriptor& file) {
  struct stat by_path {
  }, opened{};
  return ::lstat(path.c_str(), &by_path) == 0 && ::fstat(file.number(), &opened) == 0 &&
         by_path.st_dev == opened.st_dev && by_path.st_ino == opened.st_ino;
}

/// Opens a folder and locks it, waiting for a second at the most: for those that read a folder and those that replace
/// it, who should not disturb each other, but must not hold each other up for good.
/// @return the folder, which is open and, where that was possible, locked; none where there is no such folder
inline descriptor lock_folder(const std::filesystem::path& folder, lock_kind kind) {
  constexpr std::chrono::milliseconds patience{1000}, pause{1};
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return opened;
    const lock_state state = lock(opened, kind);
    const bool materialized =
        state == lock_state::unsupported || (state == lock_state::held && leads_to(folder, opened));
    if (materialized || std::chrono::steady_clock::now() >= end) return opened;
    if (state == lock_state::taken) std::this_thread::sleep_for(pause);
  }
}

}  // namespace iapt
