// SPDX-License-Identifier: Apache-2.0
// JSON from outside.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "iapt/core/error.hpp"

namespace iapt {

/// How deep JSON may nest: whatever copies, compares or prints a value goes down into it, on the stack.
inline constexpr int deepest_json = 64;

/// Told of each key where it stands, which a parsed object does not remember: how deep (1: of the outermost object) and
/// which.
using json_key_callback = std::function<void(int depth, const std::string& key)>;

/// Parses JSON that may come from anybody.
/// @throws nlohmann::json::exception if it is none
/// @throws error if it nests deeper than `deepest_json`
inline nlohmann::json parse_json(std::string_view text, const json_key_callback& on_key = {}) {
  const auto event = [&](int depth, nlohmann::json::parse_event_t what, const nlohmann::json& value) {
    if (depth > deepest_json) throw error("is nested over " + std::to_string(deepest_json) + " deep");
    if (on_key && what == nlohmann::json::parse_event_t::key) on_key(depth, value.get_ref<const std::string&>());
    return true;
  };
  return nlohmann::json::parse(text.begin(), text.end(), event);
}
/// Parses the JSON of a file.
/// @param text the JSON
/// @param file name of the file, for messages
/// @param what what it is, for messages: "the configuration"
/// @throws io_error if it is none, naming file and byte, or nests deeper than `deepest_json`
inline nlohmann::json parse_json(std::string_view text, const std::string& file, const std::string& what,
                                 const json_key_callback& on_key = {}) {
  try {
    return parse_json(text, on_key);
  } catch (const nlohmann::json::parse_error& failure) {
    throw io_error(file + ": byte " + std::to_string(failure.byte) + ": " + what +
                   " is not valid JSON; is the file damaged? (" + failure.what() + ")");
  } catch (const nlohmann::json::exception& failure) {
    throw io_error(file + ": " + what + " is not usable JSON: " + failure.what());
  } catch (const error& failure) { throw io_error(file + ": " + what + " " + failure.what()); }
}

}  // namespace iapt
