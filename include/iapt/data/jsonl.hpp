// SPDX-License-Identifier: Apache-2.0
// Reads examples for training and evaluation from files of one JSON object a line.
#pragma once
#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "iapt/chat/chat_template.hpp"
#include "iapt/data/example.hpp"
#include "iapt/data/json_lines.hpp"
#include "iapt/text/tokenizer.hpp"

namespace iapt {

/// What to do with a sequence that is longer than the limit.
enum class too_long {
  leave_out,  ///< leave it out, and report it
  cut_left,   ///< cut off the first tokens of its instruction, and report it
};

/// Options for reading examples.
struct jsonl_options {
  index_t max_length = 0;                           ///< tokens of instruction and response at most; 0: no limit
  too_long longer = too_long::leave_out;            ///< what to do with longer sequences
  index_t shortest_instruction = 1;                 ///< fewer tokens make a bad line; a cut leaves this many
  std::string consequence = "nothing was trained";  ///< end of the message about bad lines
};

/// The report of reading a file, for the user.
struct jsonl_report {
  index_t lines = 0;                  ///< number of lines with an example
  std::vector<std::size_t> left_out;  ///< lines over the length limit that were left out
  std::vector<std::size_t> cut;       ///< lines over the length limit whose instruction was cut
  index_t longest = 0;                ///< number of tokens of the longest sequence in the file
  index_t end_marks = 0;              ///< number of assistant messages whose end-of-turn mark was dropped
};

/// A text about sequences over the length limit; empty if there were none.
inline std::string over_limit_text(const jsonl_report& report) {
  const auto list = [](const std::vector<std::size_t>& lines) {
    constexpr std::size_t most = 10;
    std::string text;
    for (std::size_t i = 0; i < lines.size() && i < most; ++i) text += (i ? ", " : "") + std::to_string(lines[i]);
    return text + (lines.size() > most ? ", ..." : "");
  };
  std::string text;
  if (!report.left_out.empty())
    text += std::to_string(report.left_out.size()) + " of " + std::to_string(report.lines) +
            " sequences are over the length limit and were left out (lines " + list(report.left_out) + ")";
  if (!report.cut.empty())
    text += (text.empty() ? "" : "; ") + std::to_string(report.cut.size()) + " of " + std::to_string(report.lines) +
            " sequences were cut on the left of the instruction (lines " + list(report.cut) + ")";
  if (!text.empty()) text += "; the longest has " + std::to_string(report.longest) + " tokens";
  return text;
}

/// A text about what a reader changed or left out; empty if nothing.
inline std::string to_text(const jsonl_report& report) {
  std::string text = over_limit_text(report);
  if (report.end_marks)
    text +=
        (text.empty() ? "" : "\n") + std::to_string(report.end_marks) +
        " message(s) of an assistant ended with an end-of-turn mark, which was dropped: the chat template writes it";
  return text;
}

/// The examples of a file, and the report of reading it.
struct data_set {
  std::vector<example> examples;  ///< examples, in the order of their lines
  jsonl_report report;            ///< lines that were left out or cut
};

/// Converts the fields of a line to tokens. One file may have lines of three formats:
///   - `prompt`, `completion`: both unchanged, tokenized separately, with the end token after the completion. If the
///     completion ends with a token that ends an answer, and perhaps white space, it ends with that token instead;
///   - `instruction`, `output` and optionally `input` (after the instruction and an empty line): one user message and
///     its answer, through the chat template;
///   - `messages`, an array of objects with `role` and `content`, the last by the assistant: through the chat template,
///     which may read more of them, such as `tool_calls`. `tools`, `documents` and the fields of `chat_template_kwargs`
///     are for the template, too.
/// The response is the completion or the assistant's last message, with the token that ends it. If an assistant's
/// message ends with an end-of-turn mark, the mark is dropped: the template writes one, and the model would learn the
/// other as plain text.
class example_reader {
 public:
  /// Reads with a tokenizer, which must outlive the reader.
  explicit example_reader(const tokenizer& words) : words_(words) {}

  /// Reads one example. @throws io_error with what is wrong in the line
  example read(const nlohmann::ordered_json& line) {
    const bool plain = line.contains("prompt") || line.contains("completion"), messages = line.contains("messages"),
               instruction = line.contains("instruction") || line.contains("output");
    if (plain + messages + instruction != 1) throw io_error(which_format(line, plain + messages + instruction));
    example e = plain ? read_plain(line) : messages ? read_messages(line) : read_instruction(line);
    if (e.instruction.empty()) throw io_error("the prompt has no tokens; a response needs something before it");
    e.tags = json_field::tags(line);
    return e;
  }
  /// The tokens of an unchanged prompt. @throws io_error if it has no tokens
  std::vector<token_id> prompt(const std::string& text) const {
    auto tokens = words_.encode(text);
    if (tokens.empty()) throw io_error("the prompt has no tokens; a response needs something before it");
    return tokens;
  }
  /// The tokens of an unchanged completion, and the end token, unless it ends with a token that ends an answer; white
  /// space after that is dropped.
  /// @param text the completion
  /// @param field name of its field, for messages
  /// @param prompt the tokens that it continues
  /// @throws io_error if it is empty, or the tokenizer has no end token
  std::vector<token_id> completion(const std::string& text, const char* field,
                                   const std::vector<token_id>& prompt) const {
    if (text.empty()) throw io_error("\"" + std::string(field) + "\" is empty, so there is nothing to learn");
    if (!words_.eos())
      throw io_error("the tokenizer of " + words_.spec().source +
                     " names no end token, so a completion cannot be ended; use \"messages\" lines");
    const auto after = prompt.empty() ? std::nullopt : std::optional(prompt.back());
    auto tokens = words_.encode(text, {.bos = false, .after = after});
    if (const std::size_t ended = size_to_last_end(tokens)) return {tokens.begin(), tokens.begin() + index_t(ended)};
    tokens.push_back(*words_.eos());
    return tokens;
  }
  /// Number of assistant messages so far that ended with an end-of-turn mark.
  index_t end_marks() const { return end_marks_; }

 private:
  static std::string which_format(const nlohmann::ordered_json& line, int found) {
    const std::string wanted = "\"prompt\" and \"completion\", or \"instruction\" and \"output\", or \"messages\"";
    if (found > 1) return "expected the fields of one format, " + wanted + "; found those of " + std::to_string(found);
    std::string names;
    for (const auto& [name, value] : line.items())
      if (names.size() < 100) names += (names.empty() ? "" : ", ") + in_quotes(name);
    return "expected " + wanted + "; found " + (names.empty() ? "no fields" : names);
  }
  // Number of tokens up to the last one that ends an answer, if only white space follows it; 0: there is none.
  std::size_t size_to_last_end(const std::vector<token_id>& tokens) const {
    for (std::size_t size = tokens.size(); size > 0; --size) {
      if (words_.is_end_of_generation(tokens[size - 1])) return size;
      if (words_.bytes(tokens[size - 1]).find_first_not_of(space) != std::string_view::npos) break;
    }
    return 0;
  }
  example read_plain(const nlohmann::ordered_json& line) const {
    const std::string before = json_field::text(line, "prompt"), after = json_field::text(line, "completion");
    example e{.instruction = words_.encode(before), .response = {}};
    e.response = completion(after, "completion", e.instruction);
    return e;
  }
  example read_instruction(const nlohmann::ordered_json& line) {
    std::string request = json_field::text(line, "instruction");
    const std::string input = json_field::optional_text(line, "input"), answer = json_field::text(line, "output");
    if (!input.empty()) request += "\n\n" + input;
    if (answer.empty()) throw io_error("\"output\" is empty, so there is nothing to learn");
    return answered(conversation().add("user", request).add("assistant", without_end_mark(answer)));
  }
  example read_messages(const nlohmann::ordered_json& line) {
    const auto& list = line.at("messages");
    if (!list.is_array() || list.empty())
      throw io_error("expected \"messages\" (array of objects), found " +
                     std::string(list.is_array() ? "an empty array" : list.type_name()));
    conversation chat;
    for (const auto& one : list) {
      const std::string which = "message " + std::to_string(chat.messages.size() + 1) + ": ";
      if (!one.is_object()) throw io_error(which + "expected an object, found " + one.type_name());
      auto message = one;
      try {
        check_message(one);
        if (one["role"] == "assistant" && one.contains("content") && one["content"].is_string())
          message["content"] = without_end_mark(one["content"]);
      } catch (const io_error& failure) { throw io_error(which + failure.what()); }
      chat.messages.push_back(std::move(message));
    }
    const auto& last = chat.messages.back();
    if (last["role"] != "assistant")
      throw io_error("the last message is by " + in_quotes(last["role"].get<std::string>()) +
                     ", expected \"assistant\": it is the response");
    if (chat.messages.size() == 1) throw io_error("the response has no message before it");
    if (!calls_tools(last) && (last["content"].empty() || last["content"] == ""))
      throw io_error("\"content\" is empty, so there is nothing to learn");
    for (const char* name : {"tools", "documents"})
      if (line.contains(name)) chat.variables[name] = line[name];
    if (line.contains("chat_template_kwargs")) chat.variables.update(line["chat_template_kwargs"]);
    return answered(chat);
  }
  // Refuses what no template means, such as a misspelt role: many templates would write it without a word.
  static void check_message(const nlohmann::ordered_json& message) {
    static constexpr std::array roles{"system", "developer", "user", "assistant", "tool"};
    const std::string role = json_field::text(message, "role");
    if (std::find(roles.begin(), roles.end(), role) == roles.end())
      throw io_error("it has the role " + in_quotes(role) + "; use system, developer, user, assistant or tool");
    const bool parts = message.contains("content") && message["content"].is_array();
    if (!parts && !calls_tools(message)) json_field::text(message, "content");
  }
  static bool calls_tools(const nlohmann::ordered_json& message) {
    return message.contains("tool_calls") && message["tool_calls"].is_array() && !message["tool_calls"].empty();
  }
  // The text without end-of-turn marks at its end, and without white space after them. Only control tokens are marks:
  // other tokens may end an answer too, but a text may end with their characters.
  std::string without_end_mark(std::string text) {
    const auto mark_before = [&](std::size_t end) -> std::size_t {  // index where it begins, or npos
      for (const token_id id : words_.end_of_generation()) {
        const std::string_view mark = words_.bytes(id);
        if (words_.is_special(id) && !mark.empty() && std::string_view(text).substr(0, end).ends_with(mark))
          return end - mark.size();
      }
      return std::string::npos;
    };
    const auto trimmed_size = [&](std::size_t end) { return end ? text.find_last_not_of(space, end - 1) + 1 : 0; };
    std::size_t end = text.size();
    for (std::size_t at; (at = mark_before(trimmed_size(end))) != std::string::npos;) end = at;
    end_marks_ += end != text.size();
    text.resize(end);
    return text;
  }
  example answered(const conversation& chat) {
    if (!template_) template_.emplace(words_.spec().chat_template, words_.spec().source);
    auto tokens = template_->encode_answered(words_, chat);
    return {.instruction = std::move(tokens.prompt), .response = std::move(tokens.answer)};
  }

  static constexpr const char* space = " \t\r\n";
  const tokenizer& words_;
  index_t end_marks_ = 0;
  std::optional<chat_template> template_;  // only lines that use it need one
};

/// Refuses an instruction that is too short.
/// @throws io_error with its length
inline void require_length(const std::vector<token_id>& instruction, const jsonl_options& options) {
  if (const index_t n = index_t(instruction.size()); n < options.shortest_instruction)
    throw io_error("the instruction has " + std::to_string(n) + " token(s), at least " +
                   std::to_string(options.shortest_instruction) + " are needed (where soft tokens stand late: 2)");
}

/// Applies the length limit to an example. @return whether it is kept
inline bool limit_length(example& e, const jsonl_options& options, jsonl_report& report) {
  const index_t length = length_of(e);
  ++report.lines;
  report.longest = std::max(report.longest, length);
  if (!options.max_length || length <= options.max_length) return true;
  const index_t excess = length - options.max_length;
  if (options.longer == too_long::leave_out || excess > index_t(e.instruction.size()) - options.shortest_instruction) {
    report.left_out.push_back(e.line);
    return false;
  }
  e.instruction.erase(e.instruction.begin(), e.instruction.begin() + excess);
  report.cut.push_back(e.line);
  return true;
}

/// Reads a file of examples, completely or not at all.
/// @param path file of one JSON object a line in the formats of `example_reader`, optionally with `tags` (array of
/// strings)
/// @param words the model's tokenizer
/// @param options length limit
/// @throws io_error with every bad line (up to twenty), its number and what is wrong, or if no example is left
inline data_set load_jsonl(const std::filesystem::path& path, const tokenizer& words,
                           const jsonl_options& options = {}) {
  data_set data;
  bad_lines bad(path.string(), options.consequence);
  example_reader reader(words);
  for_each_json_line(path, bad, [&](const nlohmann::ordered_json& line, std::size_t number) {
    example e = reader.read(line);
    e.line = number;
    require_length(e.instruction, options);
    if (limit_length(e, options, data.report)) data.examples.push_back(std::move(e));
  });
  data.report.end_marks = reader.end_marks();
  if (data.examples.empty())
    throw io_error(path.string() + ": no example is left: " +
                   (data.report.lines ? over_limit_text(data.report) + "; raise the limit" : "the file has no lines") +
                   "\n      " + options.consequence);
  return data;
}

}  // namespace iapt
