// SPDX-License-Identifier: Apache-2.0
// Files and folders that are being written, under a unique temporary name beside their target.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "iapt/io/failure.hpp"
#include "iapt/io/lock.hpp"

namespace iapt {

/// A temporary name of this library, ".NAME.0123456789abcdef.iapt", where NAME is a file or folder in the same folder.
/// A writer chooses the digits at random, so two writers never have the same.
struct temporary_name {
  std::string target;  ///< NAME
  std::string digits;  ///< random digits of the writer
  std::string ending;  ///< "iapt": is being written; "iapt-old": was replaced

  /// The complete name.
  std::string text() const { return "." + target + "." + digits + "." + ending; }
};
inline constexpr std::string_view written_ending = "iapt";       ///< ending of what is being written
inline constexpr std::string_view replaced_ending = "iapt-old";  ///< ending of what is being replaced

/// The parts of a name, if it is a temporary name.
inline std::optional<temporary_name> parse_temporary_name(std::string_view name) {
  const std::size_t end = name.rfind('.');
  constexpr std::size_t digits = 16;
  if (!name.starts_with('.') || end == name.npos || end < digits + 3 || name[end - digits - 1] != '.') return {};
  const std::string_view number = name.substr(end - digits, digits), ending = name.substr(end + 1);
  if (number.find_first_not_of("0123456789abcdef") != number.npos) return {};
  if (ending != written_ending && ending != replaced_ending) return {};
  return temporary_name{std::string(name.substr(1, end - digits - 2)), std::string(number), std::string(ending)};
}

/// The target of a path: without a slash at the end, with symbolic links followed; it need not exist.
inline std::filesystem::path place_of(std::filesystem::path path) {
  constexpr int most_links = 40;  // the system's limit
  if (!path.has_filename()) path = path.parent_path();
  std::error_code none;
  for (int links = 0; links < most_links && std::filesystem::is_symlink(path, none); ++links)
    path = path.parent_path() / std::filesystem::read_symlink(path, none);
  return path;
}

/// All temporary names of a target.
inline std::vector<temporary_name> temporary_names(const std::filesystem::path& target) {
  std::vector<temporary_name> found;
  std::error_code failure;  // on failure there are none
  const auto folder = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  for (std::filesystem::directory_iterator at(folder, failure), end; !failure && at != end; at.increment(failure))
    if (auto name = parse_temporary_name(at->path().filename().native()); name && name->target == target.filename())
      found.push_back(*std::move(name));
  return found;
}

/// Gives a file or folder the owner, group and permissions of the one that it replaces, if there is one; its owner may
/// always write it. If the system does not allow the group, the group gets the permissions of all others.
inline void keep_permissions(const std::filesystem::path& replaced, const std::filesystem::path& by) {
  struct stat old {
  }, now{};
  if (::stat(replaced.c_str(), &old) != 0) return;
  if (::chown(by.c_str(), old.st_uid, old.st_gid) != 0) (void)!::chown(by.c_str(), uid_t(-1), old.st_gid);
  if (::stat(by.c_str(), &now) != 0) return;
  mode_t mode = old.st_mode & (S_ISDIR(old.st_mode) ? 03777 : 0777);
  mode |= S_ISDIR(old.st_mode) ? S_IRWXU : S_IRUSR | S_IWUSR;
  if (now.st_gid != old.st_gid) mode = (mode & ~mode_t(S_IRWXG)) | (mode & S_IRWXO) << 3;
  (void)::chmod(by.c_str(), mode);
}

/// A file or folder that is being written. It is locked while the object exists, so that other processes know it. If it
/// replaces another one, only its owner can read it until `keep_permissions`.
struct temporary {
  std::filesystem::path path = {};  ///< its path
  temporary_name name = {};         ///< the parts of its name
  descriptor opened = {};           ///< the file, open for writing, or the folder

  /// Creates an empty file beside its target.
  /// @throws io_error if the folder is missing or not writable
  static temporary file(const std::filesystem::path& target) {
    return make(target, [](const char* path, bool replaces) {
      return ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, replaces ? 0600 : 0666);
    });
  }
  /// Creates an empty folder beside its target.
  /// @throws io_error if the folder is missing or not writable
  static temporary folder(const std::filesystem::path& target) {
    return make(target, [](const char* path, bool replaces) {
      return ::mkdir(path, replaces ? 0700 : 0777) == 0 ? ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    });
  }

 private:
  template <class Open>
  static temporary make(const std::filesystem::path& target, const Open& open) {
    std::random_device random;
    for (int tries = 8;; --tries) {
      char digits[17];
      std::snprintf(digits, sizeof digits, "%08x%08x", unsigned(random()), unsigned(random()));
      temporary made{.name = {target.filename().string(), digits, std::string(written_ending)}};
      made.path = target.parent_path() / made.name.text();
      made.opened = descriptor(open(made.path.c_str(), std::filesystem::exists(target)));
      if (!made.opened && tries == 0) refuse_call(target.string(), "create");
      // A process that clears up may have found it before it was locked.
      if (made.opened && lock(made.opened) != lock_state::taken && leads_to(made.path, made.opened)) return made;
    }
  }
};

/// Calls remove(path) for what killed writers of a target left. What a live process has locked stays; so does
/// everything on a file system without locks, which does not tell who is alive.
template <class Remove>
void clear_leftovers(const std::filesystem::path& target, const Remove& remove) {
  for (temporary_name name : temporary_names(target)) {
    const auto path = target.parent_path() / name.text();
    name.ending = written_ending;  // the one that its writer has locked
    const auto written = target.parent_path() / name.text();
    const descriptor opened(::open(written.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (opened ? lock(opened) == lock_state::held : errno == ENOENT) remove(path);
  }
}

}  // namespace iapt
