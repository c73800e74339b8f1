// SPDX-License-Identifier: Apache-2.0
// Checks the folder of a run before the run starts.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "iapt/core/error.hpp"
#include "iapt/io/atomic_folder.hpp"
#include "iapt/train/checkpoint.hpp"

namespace iapt {

/// Creates a run's folder, if it does not exist.
/// @throws io_error if the system cannot
inline void make_run_folder(const std::filesystem::path& out) {
  std::error_code failure;
  std::filesystem::create_directories(out, failure);
  if (failure) throw io_error(out.string() + ": cannot create the folder: " + failure.message());
}

/// The run in a folder that is to be resumed; none if a new one starts.
/// @param out the run's folder
/// @param resume whether to resume an existing run
/// @param overwrite whether to replace an existing run
/// @throws error if there is a run and both are false, or only parts of a run and `overwrite` is false
/// @throws io_error if the checkpoint is damaged, or its folder has other files
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
