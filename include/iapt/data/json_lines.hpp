// SPDX-License-Identifier: Apache-2.0
// Files of one JSON object a line. All bad lines are collected and reported together.
#pragma once
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/io/failure.hpp"
#include "iapt/io/mapped_file.hpp"
#include "iapt/text/json.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// The bad lines of a file.
class bad_lines {
 public:
  /// A file's name, and what did not happen because of its bad lines ("nothing was trained"), for messages.
  bad_lines(std::string file, std::string consequence) : file_(std::move(file)), consequence_(std::move(consequence)) {}
  /// Adds a line with the reason why it is bad.
  void add(std::size_t line, std::string_view reason) {
    if (++count_ <= listed) text_ += file_ + ":" + std::to_string(line) + ": " + std::string(reason) + "\n      ";
  }
  /// Reports the bad lines, if there are any.
  /// @throws io_error with the first twenty of them and the number of the others
  void raise() const {
    if (!count_) return;
    const std::string others =
        count_ > listed ? "and " + std::to_string(count_ - listed) + " more bad lines\n      " : "";
    throw io_error(text_ + others + consequence_);
  }

 private:
  static constexpr std::size_t listed = 20;
  std::string file_, consequence_, text_;
  std::size_t count_ = 0;
};

/// Readers of a line's fields. Their io_error says what was expected and what was found.
namespace json_field {

/// What was found, for messages: "found number", "found no such field".
inline std::string found(const nlohmann::ordered_json* value) {
  return value ? std::string("found ") + value->type_name() : "found no such field";
}
/// A field that is a string.
/// @throws io_error if it is missing or has another type
inline std::string text(const nlohmann::ordered_json& line, const char* name) {
  const auto at = line.find(name);
  if (at == line.end() || !at->is_string())
    throw io_error("expected \"" + std::string(name) + "\" (string), " + found(at == line.end() ? nullptr : &*at));
  return at->get<std::string>();
}
/// A field that is a string; "" if it is missing.
/// @throws io_error if it has another type
inline std::string optional_text(const nlohmann::ordered_json& line, const char* name) {
  return line.contains(name) ? text(line, name) : std::string();
}
/// A field that is an array of strings.
/// @throws io_error if it is missing or has another type
inline std::vector<std::string> texts(const nlohmann::ordered_json& line, const char* name) {
  const auto at = line.find(name);
  const std::string expected = "expected \"" + std::string(name) + "\" (array of strings), ";
  if (at == line.end() || !at->is_array()) throw io_error(expected + found(at == line.end() ? nullptr : &*at));
  std::vector<std::string> all;
  for (const auto& one : *at) {
    if (!one.is_string()) throw io_error(expected + found(&one) + " in it");
    all.push_back(one.get<std::string>());
  }
  return all;
}
/// The field "tags"; empty if it is missing.
/// @throws io_error if it is not an array of strings
inline std::vector<std::string> tags(const nlohmann::ordered_json& line) {
  return line.contains("tags") ? texts(line, "tags") : std::vector<std::string>();
}

}  // namespace json_field

/// Reads a file line by line and calls use(object, line number) for each; blank lines are skipped. If `use` throws an
/// io_error, the line is bad for this reason. All lines are read before bad ones are reported.
/// @throws io_error if the file cannot be read, or through `bad` if lines are bad
template <class Use>
void for_each_json_line(const std::filesystem::path& path, bad_lines& bad, Use use) {
  constexpr std::size_t longest = std::size_t(16) << 20;
  const mapped_file file(path);
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);  // the byte order mark
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      if (line.size() > longest) throw io_error("the line has over 16 MiB; is this a file of one JSON object a line?");
      utf8::require_valid(line, "the line");
      const auto object = parse_json<nlohmann::ordered_json>(line);
      if (!object.is_object()) throw io_error(std::string("expected an object, {...}, found ") + object.type_name());
      use(object, number);
    } catch (const nlohmann::json::parse_error& failure) {
      bad.add(number, "invalid JSON at byte " + std::to_string(failure.byte) + " of the line");
    } catch (const nlohmann::json::exception& failure) {
      bad.add(number, std::string("invalid JSON: ") + failure.what());
    } catch (const io_error& failure) { bad.add(number, failure.what()); } catch (const error& failure) {
      bad.add(number, std::string("the line ") + failure.what());
    }
  }
  bad.raise();
}

}  // namespace iapt
