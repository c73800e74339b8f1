// SPDX-License-Identifier: Apache-2.0
// Parses JSON from untrusted sources.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "iapt/core/error.hpp"

namespace iapt {

/// Largest depth of JSON. Code that copies, compares or prints a value is recursive and needs stack for each level.
inline constexpr int deepest_json = 64;

/// Most keys of an object whose order is kept: such an object searches all its keys for each new one.
inline constexpr int most_ordered_keys = 2048;

/// Called with each key in the order of the text, which a parsed object does not keep: the depth (1: the outermost
/// object) and the key.
using json_key_callback = std::function<void(int depth, const std::string& key)>;

/// Parses JSON that may come from an untrusted source. As nlohmann::ordered_json it keeps the order of keys.
/// @throws nlohmann::json::exception if it is not JSON
/// @throws error if it nests deeper than `deepest_json`, or has too many keys to keep their order
template <class Json = nlohmann::json>
Json parse_json(std::string_view text, const json_key_callback& on_key = {}) {
  std::vector<int> keys(deepest_json + 2);  // of the objects that are open, by depth
  const auto event = [&](int depth, nlohmann::json::parse_event_t what, const Json& value) {
    if (depth > deepest_json) throw error("is nested over " + std::to_string(deepest_json) + " deep");
    if (what == Json::parse_event_t::object_start) keys[std::size_t(depth) + 1] = 0;
    if (what != Json::parse_event_t::key) return true;
    if (std::is_same_v<Json, nlohmann::ordered_json> && ++keys[std::size_t(depth)] > most_ordered_keys)
      throw error("has an object of over " + std::to_string(most_ordered_keys) + " fields");
    if (on_key) on_key(depth, value.template get_ref<const std::string&>());
    return true;
  };
  return Json::parse(text.begin(), text.end(), event);
}
/// Parses the JSON of a file.
/// @param text the JSON
/// @param file name of the file, for messages
/// @param what name of the content, for messages: "the configuration"
/// @throws io_error if it is not JSON, with the file and the byte, or if it nests deeper than `deepest_json`
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
