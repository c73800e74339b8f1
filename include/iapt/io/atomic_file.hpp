// SPDX-License-Identifier: Apache-2.0
// Writing a file so that its name always stands for complete contents: the old ones or the new ones.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "iapt/io/failure.hpp"

namespace iapt {

/// Makes the names in a folder durable: after it, a power failure does not undo a rename.
/// @throws io_error if the system cannot
inline void sync_folder(const std::filesystem::path& folder) {
  const std::string path = folder.empty() ? "." : folder.string();
  const int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) refuse_call(path, "open");
  const int result = ::fsync(file), reason = errno;
  ::close(file);
  if (result != 0 && reason != EINVAL) refuse_call(path, "flush", reason);  // EINVAL: this file system has no such need
}

/// A file under construction. It is written under a temporary name in the same folder, ".NAME.PID.NUMBER.tmp", and
/// takes its own name in `commit`. Without commit, nothing remains of it (a process that is killed leaves the
/// temporary).
class atomic_file {
 public:
  /// Begins to write.
  /// @throws io_error if the folder is missing or not writable, or the name is that of a folder or a device
  explicit atomic_file(const std::filesystem::path& path) : path_(path.string()) {
    if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path))
      throw io_error(path_ + ": is not a file that could be replaced");
    static std::atomic<unsigned> number = 0;
    do {
      const std::string name =
          "." + path.filename().string() + "." + std::to_string(::getpid()) + "." + std::to_string(number++) + ".tmp";
      temporary_ = (path.parent_path() / name).string();
      file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (file_ < 0 && errno == EEXIST);
    if (file_ < 0) refuse_call(path_, "create");
  }
  ~atomic_file() {
    if (file_ >= 0) ::close(file_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;

  /// Appends bytes.
  /// @throws io_error if the disk is full or broken
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(file_, bytes.data(), std::min<std::size_t>(bytes.size(), 1u << 30));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) refuse_call(path_, "write");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  /// Appends text.
  /// @throws io_error if the disk is full or broken
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Puts the finished file in place of whatever had its name. Call it once, last.
  /// @throws io_error if the system cannot; the old file is then untouched
  void commit() {
    if (::fsync(file_) != 0) refuse_call(path_, "flush");
    const int file = std::exchange(file_, -1);
    if (::close(file) != 0) refuse_call(path_, "close");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) refuse_call(path_, "replace");
    temporary_.clear();
    sync_folder(std::filesystem::path(path_).parent_path());
  }

 private:
  std::string path_, temporary_;
  int file_ = -1;
};

/// Writes a whole text file in one go, atomically.
/// @throws io_error if the system cannot; the old file is then untouched
inline void write_text_file(const std::filesystem::path& path, std::string_view text) {
  atomic_file file(path);
  file.write(text);
  file.commit();
}

}  // namespace iapt
