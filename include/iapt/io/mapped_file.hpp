// SPDX-License-Identifier: Apache-2.0
// A whole file as read-only memory, read by the system when its pages are first touched.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "iapt/io/failure.hpp"

namespace iapt {

/// A file mapped into memory for as long as the object lives. Its length is what it was when opened: a file that
/// another program cuts shorter meanwhile ends the process with SIGBUS, as with every mapping. Replace files, do not
/// shorten them (`atomic_file` does so).
class mapped_file {
 public:
  /// Maps the file.
  /// @throws io_error if it is missing, unreadable, empty, or not a regular file
  explicit mapped_file(const std::filesystem::path& path) : path_(path.string()) {
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // not blocking: it may be a pipe
    if (file < 0) refuse_call(path_, "open");
    try {
      map(file);
    } catch (...) {
      ::close(file);
      throw;
    }
    ::close(file);  // the mapping outlives the descriptor
  }
  ~mapped_file() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  mapped_file(mapped_file&& other) noexcept
      : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}  ///< takes the mapping over
  mapped_file& operator=(mapped_file&& other) noexcept {                           ///< swaps the mappings
    std::swap(path_, other.path_), std::swap(bytes_, other.bytes_);
    return *this;
  }

  /// The whole file, never empty.
  std::span<const std::byte> bytes() const { return bytes_; }
  /// The path it was opened by, for messages.
  const std::string& path() const { return path_; }

 private:
  void map(int file) {
    struct stat facts {};
    if (::fstat(file, &facts) != 0) refuse_call(path_, "examine");
    if (S_ISDIR(facts.st_mode)) throw io_error(path_ + ": is a folder, expected a file");
    if (!S_ISREG(facts.st_mode)) throw io_error(path_ + ": is not a regular file");
    if (facts.st_size == 0) throw io_error(path_ + ": byte 0: the file is empty; was its download cut off?");
    const auto size = static_cast<std::size_t>(facts.st_size);
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (start == MAP_FAILED) refuse_call(path_, "map " + std::to_string(size) + " bytes into memory");
    bytes_ = {static_cast<const std::byte*>(start), size};
  }

  std::string path_;
  std::span<const std::byte> bytes_;
};

/// The text of a whole file.
/// @throws io_error if it cannot be read
inline std::string read_text_file(const std::filesystem::path& path) {
  const mapped_file file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace iapt
