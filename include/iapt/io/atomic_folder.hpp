// SPDX-License-Identifier: Apache-2.0
// Replacing a whole folder (a checkpoint, an adapter) so that a complete one can be found at every moment.
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

/// Refuses to have a folder replaced that is somebody else's.
/// @param folder may be missing or empty
/// @param first the file that is in every folder of the kind that is about to be written
/// @throws io_error if the folder is none, or holds files, but not the first
inline void require_replaceable(const std::filesystem::path& folder, std::string_view first) {
  namespace fs = std::filesystem;
  const descriptor held = lock_folder(place_of(folder), lock_kind::shared);  // it is not renamed between two looks
  if (!held && errno == ENOENT) return;
  if (!fs::is_directory(folder)) throw io_error(folder.string() + ": is not a folder");
  if (!fs::is_empty(folder) && !fs::exists(folder / first))
    throw io_error(folder.string() + ": holds other files and no " + std::string(first) +
                   ", so it is not replaced; choose another");
}

/// A folder under construction. Files are written into a folder of its own beside it (temporary.hpp); `commit` flushes
/// them and swaps the folder with the one that has the name, NAME. Where the system can exchange two names (Linux, on
/// its own file systems), NAME is complete at every moment. Elsewhere the old folder is first renamed, so for an
/// instant NAME is missing. A reader calls `find_folder(NAME, ...)`, which finds the old one then.
///
/// Of the old folder no other file is removed than those that such folders have; what else is in it moves to the new
/// one. What killed writers left is cleared up in the same way once NAME is in place. Several may write one folder at a
/// time; the last stays.
class atomic_folder {
 public:
  /// Begins with an empty folder.
  /// @param folder NAME; behind a symbolic link it is the link's target that is replaced
  /// @param files that folders of the kind have: the first always, the others perhaps
  /// @throws io_error if NAME is somebody else's, or the parent is missing or not writable
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
    std::rename(old_.c_str(), folder_.c_str());  // there is none, but where the second of two renames has failed
    remove(old_), remove(partial());
  }
  atomic_folder(const atomic_folder&) = delete;
  atomic_folder& operator=(const atomic_folder&) = delete;

  /// Where to write the files until `commit`.
  const std::filesystem::path& partial() const { return new_.path; }

  /// Flushes everything to the disk and puts the folder in place. Call it once, last.
  /// @throws io_error if the system cannot; a complete folder can still be found
  void commit() {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(partial())) {
      keep_permissions(folder_ / entry.path().lexically_relative(partial()), entry.path());
      sync_to_disk(entry.path());
    }
    keep_permissions(folder_, partial());
    sync_to_disk(partial());
    const descriptor before = lock_folder(folder_, lock_kind::exclusive);  // when nobody reads it
    // A folder can be renamed to a name that is free, or an empty folder's.
    while (std::rename(partial().c_str(), folder_.c_str()) != 0) {
      if (errno != ENOTEMPTY && errno != EEXIST) refuse_call(partial().string(), "rename to " + folder_.string());
      if (exchange()) break;
      remove(old_);  // another writer was faster than the second rename: what it wrote is replaced now
      if (std::rename(folder_.c_str(), old_.c_str()) != 0 && errno != ENOENT)
        refuse_call(folder_.string(), "rename to " + old_.string());
    }
    committed_ = true;
    new_.opened = {};  // others may read it now
    sync_to_disk(folder_.parent_path());
    // What cannot be removed yet (NFS keeps files that a reader has open) is left to the next writer.
    remove(old_), remove(partial());  // one of them is what was replaced
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
  /// Removes a folder that is not NAME, but for files of others: they move to NAME, or stay where the name is taken.
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
  /// One call that swaps both names; false where the system or the file system has no such call.
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

/// Whether version 0.1 gave this name to a folder that a writer worked on, or was killed at.
inline bool is_unfinished_name(std::string_view name) { return name.ends_with(".partial") || name.ends_with(".old"); }

/// The name of the folder that one of this name stands for: a name that only a writer gives between two renames, or
/// version 0.1 gave ("NAME.old"), is that of the folder it replaces; any other stands for itself.
inline std::string folder_name(const std::string& name) {
  if (const auto replaced = parse_temporary_name(name); replaced && replaced->ending == replaced_ending)
    return replaced->target;
  constexpr std::string_view before = ".old";
  return name.ends_with(before) ? name.substr(0, name.size() - before.size()) : name;
}

/// The complete folder that `atomic_folder` keeps under this name: NAME, or the old one where a writer is, or was
/// killed, between its two renames. Then the new one is still beside it. Where NAME was removed, no copy of it counts.
/// The old one's path is good until the writer has gone on; ask anew where it fails.
/// @param folder NAME
/// @param first the file that is in every folder of the kind that is looked for
inline std::optional<std::filesystem::path> find_folder(const std::filesystem::path& folder, std::string_view first) {
  namespace fs = std::filesystem;
  std::error_code none;  // also of a name that is too long
  const auto is_there = [&](const fs::path& path) { return fs::is_regular_file(path / first, none); };
  const fs::path place = place_of(folder);
  // Twice, because NAME may have been put in place after it was missed and before its old one was looked for.
  for (int round = 0; round < 2; ++round) {
    if (is_there(place)) return folder;
    if (fs::exists(place, none)) continue;  // it is of another kind, as a run is that has an adapter in "best"
    for (temporary_name name : temporary_names(place)) {
      if (name.ending != replaced_ending) continue;
      const fs::path old = place.parent_path() / name.text();
      name.ending = written_ending;
      if (fs::is_directory(place.parent_path() / name.text(), none) && is_there(old)) return old;
    }
    if (const fs::path old = place.string() + ".old";
        fs::is_directory(place.string() + ".partial", none) && is_there(old))
      return old;  // of version 0.1
  }
  return is_there(place) ? std::optional(folder) : std::nullopt;
}

/// Keeps a folder from being replaced for as long as the result lives, or until its writer has waited for a second: who
/// reads several of its files reads them of one writing.
/// @param folder that `find_folder` has found
inline descriptor hold_folder(const std::filesystem::path& folder) {
  return lock_folder(place_of(folder), lock_kind::shared);
}

/// The same, where there must be one.
/// @throws io_error if there is none
inline std::filesystem::path complete_folder(const std::filesystem::path& folder, std::string_view first) {
  if (auto found = find_folder(folder, first)) return *std::move(found);
  throw io_error(place_of(folder).string() + ": there is no such folder, or no " + std::string(first) + " in it");
}

}  // namespace iapt
