// SPDX-License-Identifier: Apache-2.0
// The parameters of OpenAI's interface, and what is wrong with them in its own words.
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

/// What a client is told: a status of HTTP, and OpenAI's error object.
struct openai_error : error {
  int status;         ///< of HTTP
  std::string param;  ///< what is wrong, or empty
  std::string code;   ///< for programs, or empty

  /// With a message for people.
  openai_error(int status, const std::string& message, std::string param = "", std::string code = "")
      : error(message), status(status), param(std::move(param)), code(std::move(code)) {}
  /// The object, as text.
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

/// Takes a request's parameters out of its JSON, each once.
class openai_reader {
 public:
  using json = nlohmann::json;  ///< a value

  /// Of a body.
  /// @throws openai_error if it is no JSON object, saying where it is not
  explicit openai_reader(std::string_view body) {
    try {
      all_ = parse_json(body);
    } catch (const json::exception& failure) {
      throw openai_error(400, "the body is not valid JSON: " + without_name(failure.what()));
    } catch (const error& failure) { throw openai_error(400, std::string("the body ") + failure.what()); }
    if (!all_.is_object()) throw openai_error(400, "the body must be a JSON object");
  }
  /// A parameter; null where it is not given.
  const json& take(const std::string& name) {
    static const json none;
    known_.insert(name);
    const auto found = all_.find(name);
    return found == all_.end() ? none : *found;
  }
  /// Puts a boolean where it belongs, if it is given.
  /// @throws openai_error if it is something else
  void into(const std::string& name, bool& to) {
    if (const json& value = take(name); !value.is_null()) need(value.is_boolean(), name, "a boolean"), to = value;
  }
  /// Puts a number where it belongs, if it is given.
  /// @throws openai_error if it is something else
  void into(const std::string& name, double& to) {
    if (const json& value = take(name); !value.is_null()) need(value.is_number(), name, "a number"), to = value;
  }
  /// Puts a string where it belongs, if it is given.
  /// @throws openai_error if it is something else
  void into(const std::string& name, std::string& to) {
    if (const json& value = take(name); !value.is_null()) need(value.is_string(), name, "a string"), to = value;
  }
  /// Puts a whole number within bounds where it belongs, if it is given.
  /// @throws openai_error if it is something else
  void into(const std::string& name, std::optional<index_t>& to, index_t least, index_t most) {
    const json& value = take(name);
    if (value.is_null()) return;
    const bool whole = value.is_number_integer() && !(value.is_number_unsigned() && value > json(INT64_MAX));
    need(whole && value >= json(least) && value <= json(most), name,
         "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    to = value.get<index_t>();
  }
  /// Takes a parameter that may have one value alone.
  /// @throws openai_error if it has another
  void only(const std::string& name, const json& value) {
    const json& found = take(name);
    need(found.is_null() || found == value, name, value.dump() + " here");
  }
  /// Ends the reading.
  /// @throws openai_error naming a parameter that was not taken and is not off
  void finish() const {
    for (const auto& [name, value] : all_.items())
      if (!known_.contains(name) && !(value.is_null() || value == false || (value.is_structured() && value.empty())))
        throw openai_error(400, "unknown parameter: " + name.substr(0, 64), name.substr(0, 64), "unknown_parameter");
  }
  /// @throws openai_error that a parameter must be something else, unless it is good
  static void need(bool good, const std::string& name, const std::string& what) { need_at(good, name, name, what); }
  /// @param path of what is wrong within the parameter, such as stop[1]
  /// @throws openai_error that this must be something else, unless it is good
  static void need_at(bool good, const std::string& name, const std::string& path, const std::string& what) {
    if (!good) throw openai_error(400, path + " must be " + what, name);
  }
  /// Refuses a list that is too long.
  /// @throws openai_error saying how long it is, and may be
  static void need_length(const json& list, const std::string& name, std::size_t most) {
    need(list.size() <= most, name,
         "of at most " + std::to_string(most) + " entries, found " + std::to_string(list.size()));
  }

 private:
  // A message of the JSON library without the name of its exception, and without all of a long text that it cites.
  static std::string without_name(const std::string& message) {
    constexpr std::size_t longest = 300;
    const std::size_t name = message.find("] ");
    return message.substr(name == std::string::npos ? 0 : name + 2, longest);
  }

  json all_;
  std::set<std::string> known_;
};

}  // namespace iapt
