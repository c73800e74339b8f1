// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: the log of a run, one JSON object a line. It contains no times, so equal runs write equal files.
#pragma once
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "iapt/core/error.hpp"
#include "iapt/core/shape.hpp"
#include "iapt/io/atomic_file.hpp"
#include "iapt/io/failure.hpp"
#include "iapt/text/json.hpp"

namespace iapt {

/// The lines of a metrics file up to a step: the first ones that are complete and whose "step" is not greater. An
/// incomplete line of a killed run ends them.
inline std::string metrics_until(const std::filesystem::path& path, index_t step) {
  std::ifstream file(path, std::ios::binary);
  std::string kept, line;
  while (std::getline(file, line) && !file.eof()) {
    try {
      const auto object = parse_json(line);
      const auto& at = object.at("step");
      if (!at.is_number_integer() || at.get<index_t>() > step) break;
    } catch (const nlohmann::json::exception&) { break; } catch (const error&) {
      break;
    }
    kept += line + "\n";
  }
  return kept;
}

/// Appends lines to a file and flushes each.
class metrics_log {
 public:
  /// Writes nothing.
  metrics_log() = default;
  /// Continues after the lines of steps up to `step`; later lines are dropped. With step −1 it starts a new file.
  /// @throws io_error if the file cannot be written
  metrics_log(const std::filesystem::path& path, index_t step) : path_(path.string()) {
    write_text_file(path, step < 0 ? std::string() : metrics_until(path, step));
    file_.open(path, std::ios::binary | std::ios::app);
    if (!file_) refuse_call(path_, "open");
  }
  /// Appends one line.
  /// @throws io_error if the disk is full or fails
  void write(const nlohmann::ordered_json& line) {
    if (path_.empty()) return;
    file_ << line.dump() << '\n' << std::flush;
    if (!file_) throw io_error(path_ + ": cannot write; is the disk full?");
  }
  /// Makes the lines durable.
  /// @throws io_error if the system cannot
  void sync() const {
    if (!path_.empty()) sync_to_disk(path_);
  }

 private:
  std::string path_;
  std::ofstream file_;
};

}  // namespace iapt
