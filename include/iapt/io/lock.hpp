// SPDX-License-Identifier: Apache-2.0
// Open files and folders, and locks that tell whether the process that owns one is alive.
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

/// An open file or folder. The destructor closes it.
class descriptor {
 public:
  /// Nothing is open.
  descriptor() = default;
  /// Takes a result of `open`; negative: nothing is open.
  explicit descriptor(int number) : number_(number) {}
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}  ///< takes it over
  descriptor& operator=(descriptor&& other) noexcept {                                    ///< swaps both
    std::swap(number_, other.number_);
    return *this;
  }

  /// The file descriptor.
  int number() const { return number_; }
  /// Whether it is open.
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// The result of an attempt to lock.
enum class lock_state {
  held,        ///< locked, until the descriptor is closed or the process ends in any way
  taken,       ///< another owner that is alive has it
  unsupported  ///< this file system has no locks (some NFS and FUSE), or none for folders
};

/// Which other owners a lock excludes.
enum class lock_kind {
  exclusive = LOCK_EX,  ///< all others
  shared = LOCK_SH      ///< exclusive ones
};

/// Locks an open file or folder for its descriptor, without waiting.
inline lock_state lock(const descriptor& file, lock_kind kind = lock_kind::exclusive) {
  while (::flock(file.number(), int(kind) | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    return errno == EWOULDBLOCK ? lock_state::taken : lock_state::unsupported;
  }
  return lock_state::held;
}

/// Whether a path still leads to the opened file: another process may have removed it before it was locked.
inline bool leads_to(const std::filesystem::path& path, const descriptor& file) {
  struct stat by_path {
  }, opened{};
  return ::lstat(path.c_str(), &by_path) == 0 && ::fstat(file.number(), &opened) == 0 &&
         by_path.st_dev == opened.st_dev && by_path.st_ino == opened.st_ino;
}

/// Opens a folder and locks it; waits for the lock at most a second. Readers and writers of a folder use it, so that
/// they do not disturb each other, and do not block each other forever.
/// @return the open folder, locked if possible; none if there is no such folder
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
