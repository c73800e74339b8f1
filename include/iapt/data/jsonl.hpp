// SPDX-License-Identifier: Apache-2.0
// Reading examples to train on and to be judged by, from files of one JSON object a line.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "iapt/data/example.hpp"
#include "iapt/data/json_lines.hpp"
#include "iapt/text/chat_template.hpp"
#include "iapt/text/tokenizer.hpp"

namespace iapt {

/// What happens to a sequence that is longer than the limit.
enum class too_long {
  leave_out,  ///< it is reported and left out
  cut_left,   ///< the first tokens of its instruction are cut off, and it is reported
};

/// How files of examples are read.
struct jsonl_options {
  index_t max_length = 0;                           ///< tokens of instruction and response together; 0: any number
  too_long longer = too_long::leave_out;            ///< what happens to longer ones
  index_t shortest_instruction = 1;                 ///< fewer tokens make a bad line, and cutting leaves as many
  std::string consequence = "nothing was trained";  ///< how the message about bad lines ends
};

/// What reading a file did, for the user to see.
struct jsonl_report {
  index_t lines = 0;                  ///< lines that hold an example
  std::vector<std::size_t> left_out;  ///< lines over the length limit that were left out
  std::vector<std::size_t> cut;       ///< lines over the length limit whose instruction was cut
  index_t longest = 0;                ///< tokens of the longest sequence in the file
  index_t end_marks = 0;  ///< an assistant's messages that ended with an end-of-turn mark, which was dropped
};

/// Some words about sequences over the length limit; empty if there were none.
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

/// Some words about what a reader of a file changed or left out; empty if there is nothing to tell.
inline std::string to_text(const jsonl_report& report) {
  std::string text = over_limit_text(report);
  if (report.end_marks)
    text +=
        (text.empty() ? "" : "\n") + std::to_string(report.end_marks) +
        " message(s) of an assistant ended with an end-of-turn mark, which was dropped: the chat template writes it";
  return text;
}

/// The examples of a file, and what reading it did.
struct data_set {
  std::vector<example> examples;  ///< in the order of their lines
  jsonl_report report;            ///< what was left out or cut
};

/// Turns the fields of a line into tokens. Lines of three formats may stand in one file:
///   - `prompt`, `completion`: both as they stand, tokenised apart, the end token behind the completion. Where a token
///     that ends an answer stands there already, perhaps with white space behind it, the completion ends with that one;
///   - `instruction`, `output` and perhaps `input` (behind the instruction, an empty line between): one user message
///     and its answer, through the chat template;
///   - `messages`, an array of {`role`, `content`}, the last by the assistant: through the chat template.
/// The response is the completion or the assistant's last message, with the token that ends it. Where an
/// assistant's message ends with an end-of-turn mark, the mark is dropped: the template writes one, and the model would
/// learn the other as letters.
class example_reader {
 public:
  /// Reads with a tokenizer, which must outlive the reader.
  explicit example_reader(const tokenizer& words) : words_(words) {}

  /// One example. @throws io_error saying what is wrong with the line
  example read(const nlohmann::json& line) {
    const bool plain = line.contains("prompt") || line.contains("completion"), messages = line.contains("messages"),
               instruction = line.contains("instruction") || line.contains("output");
    if (plain + messages + instruction != 1) throw io_error(which_format(line, plain + messages + instruction));
    example e = plain ? read_plain(line) : messages ? read_messages(line) : read_instruction(line);
    if (e.instruction.empty()) throw io_error("the prompt has no tokens; a response needs something before it");
    e.tags = json_field::tags(line);
    return e;
  }
  /// A prompt as it stands. @throws io_error if it has no tokens
  std::vector<token_id> prompt(const std::string& text) const {
    auto tokens = words_.encode(text);
    if (tokens.empty()) throw io_error("the prompt has no tokens; a response needs something before it");
    return tokens;
  }
  /// A completion as it stands, and the end token, unless a token that ends an answer is the last but for white space.
  /// @throws io_error if it is empty
  std::vector<token_id> completion(const std::string& text, const char* field) const {
    if (text.empty()) throw io_error("\"" + std::string(field) + "\" is empty, so there is nothing to learn");
    if (!words_.eos())
      throw io_error("the tokenizer of " + words_.spec().source +
                     " names no end token, so a completion cannot be ended; use \"messages\" lines");
    auto tokens = words_.encode(text, {.bos = false});
    if (const std::size_t ended = size_to_last_end(tokens)) return {tokens.begin(), tokens.begin() + index_t(ended)};
    tokens.push_back(*words_.eos());
    return tokens;
  }
  /// How many of an assistant's messages ended with an end-of-turn mark so far.
  index_t end_marks() const { return end_marks_; }

 private:
  static std::string which_format(const nlohmann::json& line, int found) {
    const std::string wanted = "\"prompt\" and \"completion\", or \"instruction\" and \"output\", or \"messages\"";
    if (found > 1) return "expected the fields of one format, " + wanted + "; found those of " + std::to_string(found);
    std::string names;
    for (const auto& [name, value] : line.items())
      if (names.size() < 100) names += (names.empty() ? "" : ", ") + in_quotes(name);
    return "expected " + wanted + "; found " + (names.empty() ? "no fields" : names);
  }
  // How many tokens there are up to one that ends the answer, if nothing but white space is behind it; 0: there is
  // none.
  std::size_t size_to_last_end(const std::vector<token_id>& tokens) const {
    for (std::size_t size = tokens.size(); size > 0; --size) {
      if (words_.is_end_of_generation(tokens[size - 1])) return size;
      if (words_.bytes(tokens[size - 1]).find_first_not_of(space) != std::string_view::npos) break;
    }
    return 0;
  }
  example read_plain(const nlohmann::json& line) const {
    const std::string before = json_field::text(line, "prompt"), after = json_field::text(line, "completion");
    return {.instruction = words_.encode(before), .response = completion(after, "completion")};
  }
  example read_instruction(const nlohmann::json& line) {
    std::string request = json_field::text(line, "instruction");
    const std::string input = json_field::optional_text(line, "input"), answer = json_field::text(line, "output");
    if (!input.empty()) request += "\n\n" + input;
    return chat({{"user", request}}, without_end_mark(answer), "output");
  }
  example read_messages(const nlohmann::json& line) {
    const auto& list = line.at("messages");
    if (!list.is_array() || list.empty())
      throw io_error("expected \"messages\" (array of objects), found " +
                     std::string(list.is_array() ? "an empty array" : list.type_name()));
    std::vector<chat_message> messages;
    for (const auto& one : list) {
      const std::string which = "message " + std::to_string(messages.size() + 1) + ": ";
      if (!one.is_object()) throw io_error(which + "expected an object, found " + one.type_name());
      try {
        messages.push_back({json_field::text(one, "role"), json_field::text(one, "content")});
      } catch (const io_error& failure) { throw io_error(which + failure.what()); }
      if (auto& [role, content] = messages.back(); role == "assistant") content = without_end_mark(std::move(content));
    }
    const chat_message last = std::move(messages.back());
    messages.pop_back();
    if (last.role != "assistant")
      throw io_error("the last message is by " + in_quotes(last.role) + ", expected \"assistant\": it is the response");
    if (messages.empty()) throw io_error("the response has no message before it");
    return chat(messages, last.content, "content");
  }
  // A text without the marks of a turn's end that it ends with, and without the white space behind them. Only a control
  // token is a mark: letters may end an answer, too, but a text may end with them.
  std::string without_end_mark(std::string text) {
    const auto mark_before = [&](std::size_t end) -> std::size_t {  // where it begins, or npos
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
  example chat(const std::vector<chat_message>& messages, const std::string& answer, const char* field) {
    if (answer.empty()) throw io_error("\"" + std::string(field) + "\" is empty, so there is nothing to learn");
    if (!template_) template_.emplace(words_.spec().chat_template, words_.spec().source);
    return {.instruction = template_->encode(words_, messages, true),
            .response = template_->encode_reply(words_, answer)};
  }

  static constexpr const char* space = " \t\r\n";
  const tokenizer& words_;
  index_t end_marks_ = 0;
  std::optional<chat_template> template_;  // only lines that go through it need one
};

/// Refuses an instruction that is too short.
/// @throws io_error saying so
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

/// Reads a file of examples, all of it or nothing.
/// @param path one JSON object a line, in the formats of `example_reader`, perhaps with `tags` (array of strings)
/// @param words the model's tokenizer
/// @param options length limit
/// @throws io_error listing every bad line (up to twenty) with its number and what is wrong, or if no example is left
inline data_set load_jsonl(const std::filesystem::path& path, const tokenizer& words,
                           const jsonl_options& options = {}) {
  data_set data;
  bad_lines bad(path.string(), options.consequence);
  example_reader reader(words);
  for_each_json_line(path, bad, [&](const nlohmann::json& line, std::size_t number) {
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
