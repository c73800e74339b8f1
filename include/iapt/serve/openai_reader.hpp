// SPDX-License-Identifier: Apache-2.0
// Reads the parameters of OpenAI's API, and reports errors in its format.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "iapt/core/error.hpp"
#include "iapt/core/shape.hpp"
#include "iapt/text/json.hpp"

namespace iapt {

/// An error for a client: an HTTP status and OpenAI's error object.
struct openai_error : error {
  int status;         ///< HTTP status
  std::string param;  ///< name of the invalid parameter, or empty
  std::string code;   ///< error code for programs, or empty

  /// With a message for users.
  openai_error(int status, const std::string& message, std::string param = "", std::string code = "")
      : error(message), status(status), param(std::move(param)), code(std::move(code)) {}
  /// The error object as JSON text.
  std::string body() const {
    const auto or_null = [](const std::string& s) {
      return s.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(s);
    };
    const nlohmann::ordered_json found = {{"error",
                                           {{"message", what()},
                                            {"type", status < 500 ? "invalid_request_error" : "server_error"},
                                            {"param", or_null(param)},
                                            {"code", or_null(code)}}}};
    return found.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
};

/// Reads parameters from the JSON of a request, and remembers which were read.
class openai_reader {
 public:
  using json = nlohmann::ordered_json;  ///< a JSON value

  /// Parses a body.
  /// @throws openai_error if it is not a JSON object, with the position
  explicit openai_reader(std::string_view body) {
    try {
      all_ = parse_json<json>(body);
    } catch (const json::exception& failure) {
      throw openai_error(400, "the body is not valid JSON: " + without_name(failure.what()));
    } catch (const error& failure) { throw openai_error(400, std::string("the body ") + failure.what()); }
    if (!all_.is_object()) throw openai_error(400, "the body must be a JSON object");
  }
  /// A parameter; null if it is not given.
  const json& take(const std::string& name) {
    static const json none;
    known_.insert(name);
    const auto found = all_.find(name);
    return found == all_.end() ? none : *found;
  }
  /// Reads a boolean into `to`, if it is given.
  /// @throws openai_error if it has another type
  void into(const std::string& name, bool& to) {
    if (const json& value = take(name); !value.is_null()) need(value.is_boolean(), name, "a boolean"), to = value;
  }
  /// Reads a number into `to`, if it is given.
  /// @throws openai_error if it has another type
  void into(const std::string& name, double& to) {
    if (const json& value = take(name); !value.is_null()) need(value.is_number(), name, "a number"), to = value;
  }
  /// Reads a string into `to`, if it is given.
  /// @throws openai_error if it has another type
  void into(const std::string& name, std::string& to) {
    if (const json& value = take(name); !value.is_null()) need(value.is_string(), name, "a string"), to = value;
  }
  /// Reads an integer within bounds into `to`, if it is given.
  /// @throws openai_error if it has another type or is out of bounds
  void into(const std::string& name, std::optional<index_t>& to, index_t least, index_t most) {
    const json& value = take(name);
    if (value.is_null()) return;
    const bool whole = value.is_number_integer() && !(value.is_number_unsigned() && value > json(INT64_MAX));
    need(whole && value >= json(least) && value <= json(most), name,
         "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    to = value.get<index_t>();
  }
  /// Reads a parameter that may have one value only.
  /// @throws openai_error if it has another value
  void only(const std::string& name, const json& value) {
    const json& found = take(name);
    need(found.is_null() || found == value, name, value.dump() + " here");
  }
  /// Refuses parameters that were not read, unless they are off (null, false or empty).
  /// @throws openai_error with the parameter's name
  void finish() const {
    for (const auto& [name, value] : all_.items())
      if (!known_.contains(name) && !(value.is_null() || value == false || (value.is_structured() && value.empty())))
        throw openai_error(400, "unknown parameter: " + name.substr(0, 64), name.substr(0, 64), "unknown_parameter");
  }
  /// @throws openai_error that the parameter must be `what`, unless `good`
  static void need(bool good, const std::string& name, const std::string& what) { need_at(good, name, name, what); }
  /// @param path the invalid part of the parameter, such as stop[1]
  /// @throws openai_error that this part must be `what`, unless `good`
  static void need_at(bool good, const std::string& name, const std::string& path, const std::string& what) {
    if (!good) throw openai_error(400, path + " must be " + what, name);
  }
  /// Refuses a list that is too long.
  /// @throws openai_error with its length and the limit
  static void need_length(const json& list, const std::string& name, std::size_t most) {
    need(list.size() <= most, name,
         "of at most " + std::to_string(most) + " entries, found " + std::to_string(list.size()));
  }

 private:
  // A message of the JSON library without its exception's name; cut, because it may quote a long text.
  static std::string without_name(const std::string& message) {
    constexpr std::size_t longest = 300;
    const std::size_t name = message.find("] ");
    return message.substr(name == std::string::npos ? 0 : name + 2, longest);
  }

  json all_;
  std::set<std::string> known_;
};

}  // namespace iapt
