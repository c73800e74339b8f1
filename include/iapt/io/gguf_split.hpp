// SPDX-License-Identifier: Apache-2.0
// File names of a model that is split into several GGUF files.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

namespace iapt {

/// The end of a part's file name: "-00001-of-00003.gguf".
/// @param number number of the part, from 1
/// @param count number of parts
/// @par Source llama.cpp, whose tools write such files
inline std::string gguf_part_ending(unsigned number, unsigned count) {
  const auto digits = [](unsigned n) {
    const std::string text = std::to_string(n);
    return std::string(text.size() < 5 ? 5 - text.size() : 0, '0') + text;
  };
  return "-" + digits(number) + "-of-" + digits(count) + ".gguf";
}

/// The path of another part of the same model.
/// @param path path of part `number` of `count`
/// @param other number of the part to find
/// @return none if `path` does not end like the name of such a part
inline std::optional<std::filesystem::path> gguf_part_path(const std::filesystem::path& path, unsigned number,
                                                           unsigned count, unsigned other) {
  const std::string text = path.string(), ending = gguf_part_ending(number, count);
  if (!text.ends_with(ending)) return {};
  return text.substr(0, text.size() - ending.size()) + gguf_part_ending(other, count);
}

}  // namespace iapt
