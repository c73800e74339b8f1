// SPDX-License-Identifier: Apache-2.0
// A file as read-only memory: mapped, so that the system reads a page when it is first used, or copied.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "iapt/io/failure.hpp"

namespace iapt {

/// How a file is read into memory.
enum class file_bytes {
  mapped,  ///< the file's own pages: only pages that are used are read, but nobody may shorten the file meanwhile
  copied   ///< a copy of its present bytes, for files from untrusted sources
};

/// A file in memory while the object exists. Its length is that at opening: if another program shortens a mapped file,
/// the process ends with SIGBUS, as with every mapping. So replace files instead of shortening them (`atomic_file` does
/// so).
class mapped_file {
 public:
  /// Maps or copies the file.
  /// @param first maximum number of bytes, from the start of the file
  /// @throws io_error if it is missing, unreadable, empty or not a regular file, or is shortened while it is copied
  explicit mapped_file(const std::filesystem::path& path, file_bytes how = file_bytes::mapped,
                       std::size_t first = SIZE_MAX)
      : path_(path.string()) {
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // it may be a pipe, which would block
    if (file < 0) refuse_call(path_, "open");
    try {
      map(file, how, first);
    } catch (...) {
      ::close(file), unmap();
      throw;
    }
    ::close(file);  // the mapping outlives the descriptor
  }
  ~mapped_file() { unmap(); }
  mapped_file(mapped_file&& other) noexcept
      : path_(std::move(other.path_)),
        bytes_(std::exchange(other.bytes_, {})),
        length_(other.length_) {}                         ///< takes the mapping over
  mapped_file& operator=(mapped_file&& other) noexcept {  ///< swaps the mappings
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
    std::swap(length_, other.length_);
    return *this;
  }

  /// The file, or its first bytes if fewer were requested; never empty.
  std::span<const std::byte> bytes() const { return bytes_; }
  /// Number of bytes of the whole file.
  std::size_t length() const { return length_; }
  /// The path it was opened by, for messages.
  const std::string& path() const { return path_; }

 private:
  void map(int file, file_bytes how, std::size_t first) {
    struct stat facts {};
    if (::fstat(file, &facts) != 0) refuse_call(path_, "examine");
    if (S_ISDIR(facts.st_mode)) throw io_error(path_ + ": is a folder, expected a file");
    if (!S_ISREG(facts.st_mode)) throw io_error(path_ + ": is not a regular file");
    if (facts.st_size == 0) throw io_error(path_ + ": byte 0: the file is empty; was its download cut off?");
    length_ = static_cast<std::size_t>(facts.st_size);
    const std::size_t size = std::min(length_, first);
    const bool copies = how == file_bytes::copied;
    void* start = copies ? ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                         : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (start == MAP_FAILED) refuse_call(path_, "map " + std::to_string(size) + " bytes into memory");
    bytes_ = {static_cast<const std::byte*>(start), size};
    for (std::size_t done = 0; copies && done < size;) {
      const ::ssize_t got = ::read(file, static_cast<std::byte*>(start) + done, size - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) refuse_call(path_, "read");
      if (got == 0) throw io_error(path_ + ": was cut shorter while it was read; replace files, do not rewrite them");
      done += std::size_t(got);
    }
  }
  void unmap() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }

  std::string path_;
  std::span<const std::byte> bytes_;
  std::size_t length_ = 0;
};

/// Maximum number of bytes of a configuration. A parsed one takes many times its length, and its writer may be
/// untrusted.
inline constexpr std::size_t longest_configuration = 1 << 20;

/// Reads a whole text file.
/// @param longest maximum number of bytes; no more are read
/// @throws io_error if it cannot be read, or is longer
inline std::string read_text_file(const std::filesystem::path& path, std::size_t longest = SIZE_MAX) {
  const mapped_file file(path, file_bytes::copied, longest);
  if (file.length() > longest)
    throw io_error(file.path() + ": has " + std::to_string(file.length()) + " bytes, at most " +
                   std::to_string(longest) + " are allowed in such a file");
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace iapt
