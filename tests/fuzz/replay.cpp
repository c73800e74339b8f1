// SPDX-License-Identifier: Apache-2.0
// Runs fuzz targets on stored files, without libFuzzer: fuzz_replay CORPUS [TARGET]... Files good_* must be read.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "fuzz/support.hpp"

namespace {

namespace fs = std::filesystem;

using fuzz_target = int (*)(const std::uint8_t* data, std::size_t size);

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::uint8_t> bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Runs each target on the files of its folder; a target without one fails.
int replay(const std::map<std::string, fuzz_target>& targets, int count, char** arguments) {
  const fs::path corpus = count > 1 ? arguments[1] : "";
  int failures = 0;
  for (const auto& [name, target] : targets) {
    if (count > 2 && std::find(arguments + 2, arguments + count, name) == arguments + count) continue;
    if (!fs::is_directory(corpus / name)) {
      std::printf("%s: there is no folder %s\n", name.c_str(), (corpus / name).c_str());
      ++failures;
      continue;
    }
    target(nullptr, 0);
    std::size_t replayed = 0;
    for (const auto& file : files_of(corpus / name)) {
      std::printf("%s\n", file.c_str());  // before the run: after a crash it is the last line
      std::fflush(stdout);
      const auto bytes = bytes_of(file);
      iapt::fuzz::last_outcome = {};
      target(bytes.data(), bytes.size());
      ++replayed;
      const auto& [read, refusal] = iapt::fuzz::last_outcome;
      if (read == 0 && file.filename().string().starts_with("good_")) {
        std::printf("  was refused: %s\n", refusal.c_str());
        ++failures;
      }
    }
    std::printf("%s: %zu files replayed\n", name.c_str(), replayed);
  }
  return failures ? 1 : 0;
}

}  // namespace
