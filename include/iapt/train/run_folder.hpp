// SPDX-License-Identifier: Apache-2.0
// What a run finds in its folder before it begins.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "iapt/core/error.hpp"
#include "iapt/io/atomic_folder.hpp"
#include "iapt/train/checkpoint.hpp"

namespace iapt {

/// Makes a run's folder, if there is none.
/// @throws io_error if the system cannot
inline void make_run_folder(const std::filesystem::path& out) {
  std::error_code failure;
  std::filesystem::create_directories(out, failure);
  if (failure) throw io_error(out.string() + ": cannot create the folder: " + failure.message());
}

/// The run in a folder that is to go on; nothing where one begins.
/// @param out the run's folder
/// @param resume whether to go on with a run that is there
/// @param overwrite whether to begin in the place of one that is there
/// @throws error if there is a run and neither is asked, or only parts of one and the second is not
/// @throws io_error if the checkpoint is damaged or somebody else's
inline std::optional<stored_run> run_to_resume(const std::filesystem::path& out, bool resume, bool overwrite) {
  const auto checkpoint = out / "checkpoint";
  require_replaceable(checkpoint, checkpoint_files[0]);
  const std::string choices = "overwrite it, or choose another folder";
  if (find_folder(checkpoint, checkpoint_files[0])) {
    if (resume) return read_run(checkpoint);
    if (overwrite) return {};
    if (const index_t step = read_run(checkpoint).at.step; step > 0)
      throw error(out.string() + ": holds a run that stands at step " + std::to_string(step) + "; resume it, " +
                  choices);
    return {};
  }
  if (!overwrite)
    for (const char* part : {"best", "last", "metrics.jsonl"})
      if (std::filesystem::exists(out / part))
        throw error(out.string() + ": holds " + in_quotes(part) +
                    " of a run, but no checkpoint, so the run cannot be resumed; " + choices);
  return {};
}

}  // namespace iapt
