// SPDX-License-Identifier: Apache-2.0
// Error messages of file readers and writers: path, byte offset, reason, what to do.
#pragma once
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "iapt/core/error.hpp"

namespace iapt {

/// A text from a file in quotes, safe for a terminal: control characters become '?', long texts are cut. (Not named
/// `quoted`, because argument-dependent lookup would find that of the standard library.)
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 120;
  std::string safe = "\"";
  for (char c : text.substr(0, longest)) safe += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return safe + (text.size() > longest ? "...\"" : "\"");
}

/// Refuses a file because its bytes are invalid.
/// @throws io_error always: "file: byte 24: reason"
[[noreturn]] inline void refuse_file(std::string_view file, std::uint64_t offset, const std::string& reason) {
  throw io_error(std::string(file) + ": byte " + std::to_string(offset) + ": " + reason);
}

/// The system lacked a resource for a file: the file may be valid, and the same call may succeed later.
struct transient_error : io_error {
  using io_error::io_error;
};

/// Refuses a file because a system call failed; reads errno.
/// @throws io_error always: "file: cannot open: No such file or directory"
/// @throws transient_error, an io_error, if the system lacks memory or descriptors
[[noreturn]] inline void refuse_call(std::string_view file, std::string_view call, int reason = errno) {
  const std::string message = std::string(file) + ": cannot " + std::string(call) + ": " + std::strerror(reason);
  for (const int lack : {EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR, EIO})
    if (reason == lack) throw transient_error(message);
  throw io_error(message);
}

}  // namespace iapt
