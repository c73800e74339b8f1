// SPDX-License-Identifier: Apache-2.0
// Writes files atomically: a file name always has complete contents, the old ones or the new ones.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "iapt/io/failure.hpp"
#include "iapt/io/temporary.hpp"

namespace iapt {

/// Makes a file's contents, or the names in a folder, durable (fsync): a power failure does not undo earlier changes.
/// @throws io_error if the system cannot
inline void sync_to_disk(const std::filesystem::path& path) {
  const std::string name = path.empty() ? "." : path.string();
  const descriptor file(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) refuse_call(name, "open");
  if (::fsync(file.number()) != 0 && errno != EINVAL) refuse_call(name, "flush");  // EINVAL: nothing to flush
}

/// A file that is being written. It is written under a temporary name in the same folder (temporary.hpp); `commit`
/// renames it. Without commit, the destructor removes it. The next writer of the file removes what a killed process
/// left.
class atomic_file {
 public:
  /// Starts to write. If the path is a symbolic link, the link's target is replaced.
  /// @throws io_error if the folder is missing or not writable, or the path is a folder or a device
  explicit atomic_file(const std::filesystem::path& path) : path_(place_of(path)) {
    if (std::filesystem::exists(path_) && !std::filesystem::is_regular_file(path_))
      throw io_error(path_.string() + ": is not a file that could be replaced");
    file_ = temporary::file(path_);
  }
  ~atomic_file() {
    if (!committed_) ::unlink(file_.path.c_str());
  }
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;

  /// Appends bytes.
  /// @throws io_error if the disk is full or fails
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(file_.opened.number(), bytes.data(), std::min<std::size_t>(bytes.size(), 1u << 30));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) refuse_call(path_.string(), "write");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  /// Appends text.
  /// @throws io_error if the disk is full or fails
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Replaces the file of this name by the finished one. Call it once, last.
  /// @throws io_error if the system cannot; the old file is then unchanged
  void commit() {
    keep_permissions(path_, file_.path);
    if (::fsync(file_.opened.number()) != 0) refuse_call(path_.string(), "flush");
    if (std::rename(file_.path.c_str(), path_.c_str()) != 0) refuse_call(path_.string(), "replace");
    committed_ = true;
    sync_to_disk(path_.parent_path());
    clear_leftovers(path_, [](const std::filesystem::path& left) { ::unlink(left.c_str()); });
  }

 private:
  std::filesystem::path path_;
  temporary file_;
  bool committed_ = false;
};

/// Writes a text file atomically.
/// @throws io_error if the system cannot; the old file is then unchanged
inline void write_text_file(const std::filesystem::path& path, std::string_view text) {
  atomic_file file(path);
  file.write(text);
  file.commit();
}

}  // namespace iapt
