// SPDX-License-Identifier: Apache-2.0
// Replacing a whole folder (a checkpoint, an adapter) so that a complete one can be found at every moment.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <system_error>

#include "iapt/io/atomic_file.hpp"
#include "iapt/io/failure.hpp"

namespace iapt {

/// A folder under construction. Files are written into `NAME.partial`; `commit` flushes them and swaps the folder with
/// NAME. Where the system can exchange two names (Linux), NAME is complete at every moment. Elsewhere NAME is first
/// renamed to `NAME.old`, so for an instant only that one exists.
///
/// A reader calls `complete_folder(NAME)`, which knows both. A leftover `NAME.partial` is never read; the next writer
/// removes it. There may be one writer at a time.
class atomic_folder {
 public:
  /// Begins with an empty `NAME.partial`; clears up what a killed writer left.
  /// @throws io_error if the parent is missing or not writable
  explicit atomic_folder(const std::filesystem::path& folder) : folder_(without_slash(folder)) {
    namespace fs = std::filesystem;
    std::error_code failure;
    const bool present = fs::exists(fs::symlink_status(folder_, failure));
    if (present && !fs::is_directory(folder_)) throw io_error(folder_.string() + ": is not a folder");
    if (!present && fs::is_directory(old())) rename(old(), folder_);  // a writer was killed between its two renames
    remove(old());
    remove(partial());
    if (!fs::create_directory(partial(), failure) || failure)
      throw io_error(partial().string() + ": cannot create: " + failure.message());
  }
  ~atomic_folder() {
    std::error_code ignored;
    if (!committed_) std::filesystem::remove_all(partial(), ignored);
  }
  atomic_folder(const atomic_folder&) = delete;
  atomic_folder& operator=(const atomic_folder&) = delete;

  /// Where to write the files until `commit`.
  std::filesystem::path partial() const { return beside(".partial"); }

  /// Flushes everything to the disk and puts the folder in place. Call it once, last.
  /// @throws io_error if the system cannot; a complete folder can still be found
  void commit() {
    flush(partial());
    if (!std::filesystem::exists(folder_)) {
      rename(partial(), folder_);
    } else if (!exchange()) {
      rename(folder_, old());
      rename(partial(), folder_);
    }
    committed_ = true;
    sync_folder(folder_.parent_path());
    remove(partial());  // after an exchange this is the old folder
    remove(old());
  }

 private:
  static std::filesystem::path without_slash(const std::filesystem::path& folder) {
    return folder.has_filename() ? folder : folder.parent_path();
  }
  std::filesystem::path beside(const char* ending) const { return folder_.string() + ending; }
  std::filesystem::path old() const { return beside(".old"); }

  static void rename(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (std::rename(from.c_str(), to.c_str()) != 0) refuse_call(from.string(), "rename to " + to.string());
  }
  static void remove(const std::filesystem::path& folder) {
    std::error_code failure;
    std::filesystem::remove_all(folder, failure);
    if (failure) throw io_error(folder.string() + ": cannot remove: " + failure.message());
  }
  static void flush(const std::filesystem::path& folder) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.is_directory()) sync_folder(entry.path());
      if (!entry.is_regular_file()) continue;
      const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
      if (file < 0) refuse_call(entry.path().string(), "open");
      const int result = ::fsync(file), reason = errno;
      ::close(file);
      if (result != 0) refuse_call(entry.path().string(), "flush", reason);
    }
    sync_folder(folder);
  }
  /// One call that swaps both names; false where the system or the file system has no such call.
  bool exchange() const {
#ifdef RENAME_EXCHANGE
    if (::renameat2(AT_FDCWD, partial().c_str(), AT_FDCWD, folder_.c_str(), RENAME_EXCHANGE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) refuse_call(folder_.string(), "exchange with " + partial().string());
#endif
    return false;
  }

  std::filesystem::path folder_;
  bool committed_ = false;
};

/// Whether a folder of this name is one that a writer works on, or was killed at.
inline bool is_unfinished_name(std::string_view name) { return name.ends_with(".partial") || name.ends_with(".old"); }

/// Refuses to have a folder replaced that holds something else than what is about to be written.
/// @param folder may be missing or empty
/// @param files that folders of the kind have: the first always, the others perhaps
/// @throws io_error if the folder holds files, but not the first, or one that is not among them
inline void require_replaceable(const std::filesystem::path& folder, std::initializer_list<std::string_view> files) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(folder) || fs::is_empty(folder)) return;
  const std::string first(*files.begin());
  if (!fs::exists(folder / first))
    throw io_error(folder.string() + ": holds other files and no " + first + ", so it is not replaced; choose another");
  for (const auto& entry : fs::directory_iterator(folder))
    if (const auto name = entry.path().filename().string(); std::find(files.begin(), files.end(), name) == files.end())
      throw io_error(folder.string() + ": holds " + in_quotes(name) + " beside " + first +
                     ", so it is not replaced; choose another");
}

/// The complete folder that `atomic_folder` keeps under this name: NAME, or `NAME.old` where a writer was killed
/// between its two renames.
/// @throws io_error if there is neither
inline std::filesystem::path complete_folder(const std::filesystem::path& folder) {
  if (std::filesystem::is_directory(folder)) return folder;
  const std::filesystem::path plain = folder.has_filename() ? folder : folder.parent_path();
  if (const std::filesystem::path old = plain.string() + ".old"; std::filesystem::is_directory(old)) return old;
  throw io_error(plain.string() + ": there is no such folder");
}

}  // namespace iapt
