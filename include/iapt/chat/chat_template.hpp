// SPDX-License-Identifier: Apache-2.0
// Chat templates: from a conversation to token ids, so that no message can forge a turn.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/chat/conversation.hpp"
#include "iapt/core/error.hpp"
#include "iapt/jinja/program.hpp"
#include "iapt/text/tokenizer.hpp"

namespace iapt {

/// A conversation refused by the model's chat template. `reason` is the template's own message, for a client.
struct refused_conversation : io_error {
  std::string reason;  ///< what the template said

  /// With the whole message and the template's part of it.
  refused_conversation(const std::string& all, std::string reason) : io_error(all), reason(std::move(reason)) {}
};

/// How a model expects conversations: a Jinja program of the model's files, which runs within bounds and reaches
/// nothing but the conversation. Only the template writes control tokens: those in what a caller wrote are plain text.
class chat_template {
 public:
  /// Parses Jinja source.
  /// @param jinja the template in the model's file
  /// @param source the file's name, for messages
  /// @throws io_error if the template is missing, or is not Jinja as chat templates use it
  chat_template(std::string_view jinja, std::string source) : source_(std::move(source)) {
    if (jinja.empty())
      throw io_error(source_ + ": the model has no chat template, so it is no chat model or its file lacks it; use " +
                     "raw prompts (\"prompt\"/\"completion\" data, no --chat)");
    try {
      program_ = std::make_shared<const jinja::program>(jinja, source_ + ": chat template");
    } catch (const jinja::template_error& failure) {
      throw io_error(std::string(failure.what()) +
                     "; write the messages yourself as raw prompts, or give the model a " +
                     "template that can be read");
    }
  }

  /// The tokens of a conversation, equal to those of transformers' `apply_chat_template` if nothing that the caller
  /// wrote has the text of a special token.
  /// @param words the model's tokenizer
  /// @param chat the conversation, at least one message
  /// @throws refused_conversation if the template raises an exception
  /// @throws io_error if the template fails, or a text is not UTF-8
  std::vector<token_id> encode(const tokenizer& words, const conversation& chat) const {
    return tokens(words, render(words, chat, jinja::writer::caller));
  }

  /// A conversation that ends with the assistant's answer, as tokens: what a model reads, and what it answers.
  struct answered {
    std::vector<token_id> prompt;  ///< the conversation before the answer, up to the beginning of the answer's turn
    std::vector<token_id> answer;  ///< the answer, and the token that ends it
  };
  /// Encodes a conversation whose last message is the answer. Where the template marks it by `{% generation %}`, the
  /// answer is what is marked; else it is what the template writes after the prompt, or from the first byte of the
  /// message on if the prompt is not the beginning of the whole. It ends with the token that ends an answer, which the
  /// template writes behind the message, or with the tokenizer's end token.
  /// @throws refused_conversation, io_error as `encode`, or if the template does not show the answer
  answered encode_answered(const tokenizer& words, conversation chat) const {
    chat.add_generation_prompt = false;
    const jinja::marked_text whole = render(words, chat, jinja::writer::answer);
    chat.messages.erase(chat.messages.size() - 1);
    chat.add_generation_prompt = true;
    const jinja::marked_text prompt = render(words, chat, jinja::writer::caller);
    const auto [begin, end] = span_of_answer(whole, prompt);
    answered out{.prompt = tokens(words, prompt), .answer = {}};
    out.answer = ended(words, whole, begin, end, last_of(out.prompt));
    return out;
  }

  /// The token that ends an answer.
  /// @throws refused_conversation, io_error as `encode_answered`
  token_id end_of_turn(const tokenizer& words) const {
    return encode_answered(words, conversation().add("user", "a").add("assistant", "b")).answer.back();
  }

 private:
  jinja::marked_text render(const tokenizer& words, const conversation& chat, jinja::writer last) const {
    if (chat.messages.empty()) throw io_error("chat: a conversation needs at least one message");
    try {
      return program_->render(detail::template_variables(chat, words, last));
    } catch (const jinja::raised& failure) {
      throw refused_conversation(failure.what(), failure.message);
    } catch (const jinja::template_error& failure) { throw io_error(failure.what()); }
  }

  static std::optional<token_id> last_of(const std::vector<token_id>& ids) {
    return ids.empty() ? std::nullopt : std::optional(ids.back());
  }

  // Control tokens are recognised where the template wrote every byte. The text continues the one that ends with
  // `after`, if any.
  static std::vector<token_id> tokens(const tokenizer& words, const jinja::marked_text& text,
                                      std::optional<token_id> after = {}) {
    const auto& marks = text.marks();
    return words.encode(text.bytes(), {.bos = false,
                                       .trusted =
                                           [&](std::size_t begin, std::size_t end) {
                                             return std::all_of(marks.begin() + std::ptrdiff_t(begin),
                                                                marks.begin() + std::ptrdiff_t(end), [](jinja::mark m) {
                                                                  return m.by == jinja::writer::program;
                                                                });
                                           },
                                       .after = after});
  }

  // The bytes from the answer's beginning to the end of its last byte.
  std::pair<std::size_t, std::size_t> span_of_answer(const jinja::marked_text& whole,
                                                     const jinja::marked_text& prompt) const {
    const auto& marks = whole.marks();
    std::size_t first = marks.size(), end = 0, generated = marks.size();
    for (std::size_t i = 0; i < marks.size(); ++i) {
      if (marks[i].by == jinja::writer::answer) first = std::min(first, i), end = i + 1;
      if (marks[i].generated && (i == 0 || !marks[i - 1].generated)) generated = i;  // of the last message
    }
    if (generated < marks.size()) return {generated, std::max(end, generated)};
    if (whole.bytes().starts_with(prompt.bytes())) return {prompt.size(), std::max(end, prompt.size())};
    if (end == 0)
      throw io_error(source_ + ": the chat template does not show the assistant's last message; it cannot be learnt");
    return {first, end};
  }

  // The tokens from `begin` on, behind `after`, up to the one that ends the answer: the first control token behind
  // `end` that ends answers, or else any control token.
  static std::vector<token_id> ended(const tokenizer& words, const jinja::marked_text& whole, std::size_t begin,
                                     std::size_t end, std::optional<token_id> after) {
    const auto is_special = [&](token_id id) { return words.is_special(id); };
    const auto inside = tokens(words, whole.substr(begin, end - begin), after);
    auto all = tokens(words, whole.substr(begin, whole.size() - begin), after);
    auto behind = all.begin();
    for (auto left = std::count_if(inside.begin(), inside.end(), is_special); left > 0 && behind != all.end(); ++behind)
      left -= is_special(*behind);
    auto last =
        std::find_if(behind, all.end(), [&](token_id id) { return is_special(id) && words.is_end_of_generation(id); });
    if (last == all.end()) last = std::find_if(behind, all.end(), is_special);
    if (last != all.end()) {
      all.erase(last + 1, all.end());
    } else {
      if (!words.eos())
        throw io_error(words.spec().source + ": neither the chat template nor the tokenizer ends answers");
      all.push_back(*words.eos());
    }
    return all;
  }

  std::string source_;
  std::shared_ptr<const jinja::program> program_;
};

}  // namespace iapt
