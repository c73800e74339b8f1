// SPDX-License-Identifier: Apache-2.0
// Open files and folders, and the lock that tells whether the process that has one still lives.
#pragma once
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
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

/// Locks an open file or folder for its descriptor alone. Does not wait.
inline lock_state lock(const descriptor& file) {
  while (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
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

}  // namespace iapt
