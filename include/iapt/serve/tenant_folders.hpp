// SPDX-License-Identifier: Apache-2.0
// The folders of tenants' adapters: which exist now, and in which version.
#pragma once
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "iapt/io/adapter.hpp"

namespace iapt {

/// A folder whose folders are tenants' adapters, by their names. They may be added, changed or removed at any time. A
/// tenant's name comes from a client, so only a plain name of a folder is accepted.
class tenant_folders {
 public:
  /// Identifies a version of an adapter.
  struct state {
    std::filesystem::path folder;  ///< folder of the adapter
    /// Inode, size and time of each of its files; 0 for a file that does not exist.
    std::array<std::array<std::int64_t, 4>, adapter_files.size()> files = {};

    /// Whether both are the same version.
    bool operator==(const state&) const = default;
  };

  /// The tenants in a folder.
  /// @throws io_error if there is no such folder
  explicit tenant_folders(std::filesystem::path path) : path_(std::move(path)) {
    if (!std::filesystem::is_directory(path_)) throw io_error(path_.string() + ": there is no such folder");
  }

  /// The folder that has the tenants' folders.
  const std::filesystem::path& path() const { return path_; }
  /// The names of the present tenants, sorted.
  std::vector<std::string> names() const {
    namespace fs = std::filesystem;
    std::set<std::string> found;
    std::error_code none;
    // A folder that is renamed meanwhile may be missed; then the names are listed again.
    fs::file_time_type before, after = fs::last_write_time(path_, none);
    int tries = 4;
    do {
      before = after;
      for (fs::directory_iterator at(path_, none), end; !none && at != end; at.increment(none))
        if (std::string name = folder_name(at->path().filename().string()); find(name)) found.insert(std::move(name));
      after = fs::last_write_time(path_, none);
    } while (after != before && --tries > 0);
    return {found.begin(), found.end()};
  }
  /// The folder of a tenant's adapter now, if there is such a tenant.
  std::optional<std::filesystem::path> find(const std::string& tenant) const {
    return is_name(tenant) ? find_adapter(path_ / tenant) : std::nullopt;
  }
  /// The present state of a tenant's adapter, if there is such a tenant.
  std::optional<state> look(const std::string& tenant) const {
    auto found = find(tenant);
    if (!found) return {};
    state now{*std::move(found)};
    for (std::size_t i = 0; i < adapter_files.size(); ++i)
      if (struct stat facts{}; ::stat((now.folder / adapter_files[i]).c_str(), &facts) == 0)
        now.files[i] = {std::int64_t(facts.st_ino), facts.st_size, facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec};
    return now;
  }

 private:
  // Whether a name is one part of a path, not hidden, and not one of a folder that is being written.
  static bool is_name(const std::string& name) {
    return !name.empty() && name[0] != '.' && !is_unfinished_name(name) &&
           std::none_of(name.begin(), name.end(),
                        [](unsigned char c) { return c < ' ' || c == '/' || c == '\\' || c == 0x7F; });
  }

  std::filesystem::path path_;
};

}  // namespace iapt
