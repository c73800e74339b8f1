// SPDX-License-Identifier: Apache-2.0
// Replaces a whole folder (a checkpoint, an adapter) so that a complete one can always be found.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "iapt/io/atomic_file.hpp"
#include "iapt/io/failure.hpp"
#include "iapt/io/temporary.hpp"

namespace iapt {

/// Refuses to replace a folder of another kind.
/// @param folder path of the folder, which may be missing or empty
/// @param first a file that every folder of this kind has
/// @throws io_error if it is not a folder, or has files but not `first`
inline void require_replaceable(const std::filesystem::path& folder, std::string_view first) {
  namespace fs = std::filesystem;
  const descriptor held = lock_folder(place_of(folder), lock_kind::shared);  // not renamed between two checks
  if (!held && errno == ENOENT) return;
  if (!fs::is_directory(folder)) throw io_error(folder.string() + ": is not a folder");
  if (!fs::is_empty(folder) && !fs::exists(folder / first))
    throw io_error(folder.string() + ": holds other files and no " + std::string(first) +
                   ", so it is not replaced; choose another");
}

/// A folder that is being written. Its files are written into a temporary folder beside it (temporary.hpp); `commit`
/// flushes them and exchanges it with the folder of the final name, NAME. If the system can exchange two names (Linux,
/// on its own file systems), NAME is complete at any time. Otherwise the old folder is renamed first, so NAME is
/// missing for a moment. A reader calls `find_folder(NAME, ...)`, which then finds the old one.
///
/// Only the files that folders of this kind have are removed from the old folder; its other files move to the new one.
/// What killed writers left is removed in the same way when NAME is in place. Several writers may write one folder at
/// the same time; the last one wins.
class atomic_folder {
 public:
  /// Starts with an empty folder.
  /// @param folder NAME; if it is a symbolic link, the link's target is replaced
  /// @param files files of folders of this kind; the first is always there
  /// @throws io_error if NAME is a folder of another kind, or its parent is missing or not writable
  atomic_folder(const std::filesystem::path& folder, std::span<const char* const> files)
      : folder_(place_of(folder)), files_(files.begin(), files.end()) {
    require_replaceable(folder_, files_.front());
    new_ = temporary::folder(folder_);
    temporary_name replaced = new_.name;
    replaced.ending = replaced_ending;
    old_ = folder_.parent_path() / replaced.text();
  }
  ~atomic_folder() {
    if (committed_) return;
    std::rename(old_.c_str(), folder_.c_str());  // old_ exists only if the second of two renames failed
    remove(old_), remove(partial());
  }
  atomic_folder(const atomic_folder&) = delete;
  atomic_folder& operator=(const atomic_folder&) = delete;

  /// The folder to write the files into, until `commit`.
  const std::filesystem::path& partial() const { return new_.path; }

  /// Flushes everything to the disk and renames the folder to NAME. Call it once, last.
  /// @throws io_error if the system cannot; a complete folder can still be found
  void commit() {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(partial())) {
      keep_permissions(folder_ / entry.path().lexically_relative(partial()), entry.path());
      sync_to_disk(entry.path());
    }
    keep_permissions(folder_, partial());
    sync_to_disk(partial());
    const descriptor before = lock_folder(folder_, lock_kind::exclusive);  // so that nobody reads it
    // A folder can be renamed to a free name, or to that of an empty folder.
    while (std::rename(partial().c_str(), folder_.c_str()) != 0) {
      if (errno != ENOTEMPTY && errno != EEXIST) refuse_call(partial().string(), "rename to " + folder_.string());
      if (exchange()) break;
      remove(old_);  // another writer renamed its folder before this one: it is replaced now
      if (std::rename(folder_.c_str(), old_.c_str()) != 0 && errno != ENOENT)
        refuse_call(folder_.string(), "rename to " + old_.string());
    }
    committed_ = true;
    new_.opened = {};  // ends the lock: others may read it now
    sync_to_disk(folder_.parent_path());
    // The next writer removes what cannot be removed yet (NFS keeps files that a reader has open).
    remove(old_), remove(partial());  // one of them is the replaced folder
    clear_leftovers(folder_, [this](const std::filesystem::path& left) { remove(left); });
  }

 private:
  bool is_ours(const std::string& file) const {
    const auto known = [&](const std::string& name) {
      return std::find(files_.begin(), files_.end(), name) != files_.end();
    };
    const auto unfinished = parse_temporary_name(file);
    return known(unfinished ? unfinished->target : file);
  }
  /// Removes a folder that is not NAME. Files of others move to NAME, or stay if NAME has a file of this name.
  void remove(const std::filesystem::path& folder) const {
    namespace fs = std::filesystem;
    std::error_code failure;
    std::vector<fs::path> entries;
    for (fs::directory_iterator at(folder, failure), end; !failure && at != end; at.increment(failure))
      entries.push_back(at->path());
    for (const auto& entry : entries)
      if (is_ours(entry.filename()))
        ::unlink(entry.c_str());
      else if (const auto kept = folder_ / entry.filename(); !fs::exists(fs::symlink_status(kept, failure)))
        std::rename(entry.c_str(), kept.c_str());
    ::rmdir(folder.c_str());
  }
  /// Exchanges both names in one call; false if the system or the file system cannot.
  bool exchange() const {
#ifdef RENAME_EXCHANGE
    if (::renameat2(AT_FDCWD, partial().c_str(), AT_FDCWD, folder_.c_str(), RENAME_EXCHANGE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != ENOENT)
      refuse_call(folder_.string(), "exchange with " + partial().string());
#endif
    return false;
  }

  std::filesystem::path folder_, old_;
  std::vector<std::string> files_;
  temporary new_;
  bool committed_ = false;
};

/// Whether version 0.1 gave this name to a folder that a writer uses, or used when it was killed.
inline bool is_unfinished_name(std::string_view name) { return name.ends_with(".partial") || name.ends_with(".old"); }

/// The name that readers use for a folder. A temporary name between two renames, and "NAME.old" of version 0.1, give
/// the name of the replaced folder; any other name is returned as it is.
inline std::string folder_name(const std::string& name) {
  if (const auto replaced = parse_temporary_name(name); replaced && replaced->ending == replaced_ending)
    return replaced->target;
  constexpr std::string_view before = ".old";
  return name.ends_with(before) ? name.substr(0, name.size() - before.size()) : name;
}

/// The complete folder that `atomic_folder` keeps for this name. It is NAME, or the old folder if a writer is, or was
/// killed, between its two renames: the new folder is then still beside it. If NAME was removed, no copy of it is
/// found. The old folder's path is valid until the writer continues; if it fails, call again.
/// @param folder NAME
/// @param first a file that every folder of this kind has
inline std::optional<std::filesystem::path> find_folder(const std::filesystem::path& folder, std::string_view first) {
  namespace fs = std::filesystem;
  std::error_code none;  // ignored, also for a name that is too long
  const auto is_there = [&](const fs::path& path) { return fs::is_regular_file(path / first, none); };
  const fs::path place = place_of(folder);
  // Twice: a writer may put NAME in place after the first look at it, and before the look for the old folder.
  for (int round = 0; round < 2; ++round) {
    if (is_there(place)) return folder;
    if (fs::exists(place, none)) continue;  // it is of another kind, such as a run with an adapter in "best"
    for (temporary_name name : temporary_names(place)) {
      if (name.ending != replaced_ending) continue;
      const fs::path old = place.parent_path() / name.text();
      name.ending = written_ending;
      if (fs::is_directory(place.parent_path() / name.text(), none) && is_there(old)) return old;
    }
    if (const fs::path old = place.string() + ".old";
        fs::is_directory(place.string() + ".partial", none) && is_there(old))
      return old;  // written by version 0.1
  }
  return is_there(place) ? std::optional(folder) : std::nullopt;
}

/// Prevents the replacement of a folder while the result exists, or until its writer has waited for a second. So a
/// reader of several files reads them from one version.
/// @param folder a result of `find_folder`
inline descriptor hold_folder(const std::filesystem::path& folder) {
  return lock_folder(place_of(folder), lock_kind::shared);
}

/// The same as find_folder, but there must be one.
/// @throws io_error if there is none
inline std::filesystem::path complete_folder(const std::filesystem::path& folder, std::string_view first) {
  if (auto found = find_folder(folder, first)) return *std::move(found);
  throw io_error(place_of(folder).string() + ": there is no such folder, or no " + std::string(first) + " in it");
}

}  // namespace iapt
