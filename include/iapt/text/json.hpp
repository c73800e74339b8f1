// SPDX-License-Identifier: Apache-2.0
// JSON from outside.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "iapt/core/error.hpp"

namespace iapt {

/// How deep JSON may nest: whatever copies, compares or prints a value goes down into it, on the stack.
inline constexpr int deepest_json = 64;

/// Parses JSON that may come from anybody.
/// @throws nlohmann::json::exception if it is none
/// @throws error if it nests deeper than `deepest_json`
inline nlohmann::json parse_json(std::string_view text) {
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    if (depth > deepest_json) throw error("is nested over " + std::to_string(deepest_json) + " deep");
    return true;
  };
  return nlohmann::json::parse(text.begin(), text.end(), shallow);
}
/// Parses the JSON of a file.
/// @param text the JSON
/// @param file name of the file, for messages
/// @param what what it is, for messages: "the configuration"
/// @throws io_error if it is none, naming file and byte, or nests deeper than `deepest_json`
inline nlohmann::json parse_json(std::string_view text, const std::string& file, const std::string& what) {
  try {
    return parse_json(text);
  } catch (const nlohmann::json::parse_error& failure) {
    throw io_error(file + ": byte " + std::to_string(failure.byte) + ": " + what +
                   " is not valid JSON; is the file damaged? (" + failure.what() + ")");
  } catch (const nlohmann::json::exception& failure) {
    throw io_error(file + ": " + what + " is not usable JSON: " + failure.what());
  } catch (const error& failure) { throw io_error(file + ": " + what + " " + failure.what()); }
}

}  // namespace iapt
