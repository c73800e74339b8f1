// SPDX-License-Identifier: Apache-2.0
// The folders of tenants' adapters: which there are now, and what tells one writing of an adapter from the next.
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

/// A folder whose folders are tenants' adapters, by their names. They may come, change or go at any time. A tenant's
/// name comes from outside, so only a plain name of a folder leads anywhere.
class tenant_folders {
 public:
  /// What tells one writing of an adapter from another.
  struct state {
    std::filesystem::path folder;  ///< where it is
    /// Of each of its files identity, length and time; 0 of one that is not there.
    std::array<std::array<std::int64_t, 4>, adapter_files.size()> files = {};

    /// Whether both are of one writing.
    bool operator==(const state&) const = default;
  };

  /// The folders of a folder.
  /// @throws io_error if there is no such folder
  explicit tenant_folders(std::filesystem::path path) : path_(std::move(path)) {
    if (!std::filesystem::is_directory(path_)) throw io_error(path_.string() + ": there is no such folder");
  }

  /// The folder that holds them.
  const std::filesystem::path& path() const { return path_; }
  /// The names of all tenants that are there now, in order.
  std::vector<std::string> names() const {
    namespace fs = std::filesystem;
    std::set<std::string> found;
    std::error_code none;
    // A folder that is renamed while they are listed may be passed over, so they are listed again then.
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
  /// Where a tenant's adapter is now, if there is such a tenant.
  std::optional<std::filesystem::path> find(const std::string& tenant) const {
    return is_name(tenant) ? find_adapter(path_ / tenant) : std::nullopt;
  }
  /// The state of a tenant's adapter now, if there is such a tenant.
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
  // One part of a path, which leads neither up nor to what is hidden, nor to what is being written.
  static bool is_name(const std::string& name) {
    return !name.empty() && name[0] != '.' && !is_unfinished_name(name) &&
           std::none_of(name.begin(), name.end(),
                        [](unsigned char c) { return c < ' ' || c == '/' || c == '\\' || c == 0x7F; });
  }

  std::filesystem::path path_;
};

}  // namespace iapt
