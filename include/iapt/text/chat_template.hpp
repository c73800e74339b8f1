// SPDX-License-Identifier: Apache-2.0
// Chat templates: from messages to token ids, so that no message can forge a turn.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/text/jinja_shape.hpp"
#include "iapt/text/tokenizer.hpp"
#include "iapt/text/unicode_ranges.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// One message of a conversation.
struct chat_message {
  std::string role;     ///< "system", "user" or "assistant"
  std::string content;  ///< plain text, even if it looks like a special token
};

/// How a model expects conversations. Model files have it as a Jinja program. This class does not run programs from
/// files but recognises the known ones by their shape: ChatML with or without a default system message (SmolLM2, Qwen2)
/// and Llama 3's. Only the template writes special tokens: those in a message's content are plain text.
class chat_template {
 public:
  /// Recognises Jinja source.
  /// @param jinja the template in the model's file
  /// @param source the file's name, for messages
  /// @throws io_error if the template is missing or unknown
  chat_template(std::string_view jinja, std::string source) : source_(std::move(source)) {
    if (jinja.empty())
      throw io_error(source_ + ": the model has no chat template, so it is no chat model or its file lacks it; use " +
                     "raw prompts (\"prompt\"/\"completion\" data, no --chat)");
    auto shape = jinja_shape::of(jinja);
    // Some templates first set add_generation_prompt if the caller does not pass it. We always pass it.
    const auto preamble = jinja_shape::of(
        "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}");
    if (shape.size() > preamble.size() && std::equal(preamble.begin(), preamble.end(), shape.begin()))
      shape.erase(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(preamble.size()));

    if (shape == jinja_shape::of(chatml(""))) {
      style_ = style::chatml;
    } else if (auto system = chatml_default(shape)) {
      style_ = style::chatml;
      default_system_ = std::move(system);
    } else if (shape == jinja_shape::of(llama3(true))) {
      style_ = style::llama3;
    } else if (shape == jinja_shape::of(llama3(false))) {
      style_ = style::llama3;
      always_prompts_ = true;
    } else {
      throw io_error(
          source_ + ": the model's chat template is not one that this library knows (ChatML as in SmolLM2 " +
          "and Qwen2, Llama 3); write the messages yourself as raw prompts (\"prompt\"/\"completion\" data, no " +
          "--chat), or give the model a known template. It begins: \"" + utf8::repair(jinja.substr(0, 80)) + "\"");
    }
  }

  /// The tokens of a conversation, equal to those of transformers' `apply_chat_template` if no content has the text of
  /// a special token.
  /// @param words the model's tokenizer
  /// @param messages the conversation, at least one message
  /// @param add_generation_prompt whether to end with the beginning of the assistant's next turn
  /// @throws io_error for an unknown role, content that is not UTF-8, or a vocabulary without the template's tokens
  std::vector<token_id> encode(const tokenizer& words, std::span<const chat_message> messages,
                               bool add_generation_prompt) const {
    if (messages.empty()) throw io_error("chat: a conversation needs at least one message");
    writer out(words, source_);
    if (style_ == style::llama3) out.bos();
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const auto& [role, content] = messages[i];
      const std::string which = "chat: message " + std::to_string(i + 1);
      if (role != "system" && role != "user" && role != "assistant")
        throw io_error(which + " has the role \"" + utf8::repair(role) + "\"; use system, user or assistant");
      utf8::require_valid(content, which + " (" + role + ")");
      if (i == 0 && default_system_ && role != "system") turn(out, "system", *default_system_);
      turn(out, role, content);
    }
    if (add_generation_prompt || always_prompts_) open(out, "assistant");
    return out.finish();
  }

  /// The tokens of the assistant's answer after a conversation encoded with `add_generation_prompt`: its content and
  /// the token that ends the turn.
  /// @throws io_error as `encode`
  std::vector<token_id> encode_reply(const tokenizer& words, std::string_view content) const {
    utf8::require_valid(content, "chat: the assistant's answer");
    writer out(words, source_);
    out.text(style_ == style::llama3 ? trimmed(content) : content);
    out.marker(end_marker());
    return out.finish();
  }

  /// The token that ends each turn: generation stops there.
  /// @throws io_error if it is not in the vocabulary
  token_id end_of_turn(const tokenizer& words) const { return writer(words, source_).id_of(end_marker()); }

  /// The system message that the template adds to a conversation without one.
  const std::optional<std::string>& default_system() const { return default_system_; }

 private:
  enum class style { chatml, llama3 };

  // The known templates. `first` is what ChatML does before the first message.
  static std::string chatml(const std::string& first) {
    return "{% for message in messages %}" + first +
           "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
           "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  }
  static std::string llama3(bool asks) {
    const std::string prompt = "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}";
    return "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' "
           "+ message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' %}"
           "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}" +
           (asks ? "{% if add_generation_prompt %}" + prompt + "{% endif %}" : prompt);
  }
  // The default system message, if the shape is ChatML with one.
  static std::optional<std::string> chatml_default(const std::vector<jinja_symbol>& shape) {
    const std::string open = "<|im_start|>system\n", close = "<|im_end|>\n";
    const auto known =
        jinja_shape::of(chatml("{% if loop.first and messages[0]['role'] != 'system' %}{{ 'default' }}{% endif %}"));
    if (shape.size() != known.size()) return {};
    std::optional<std::string> found;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == known[i]) continue;
      const std::string& value = shape[i].value;
      if (known[i].value != "default" || shape[i].kind != known[i].kind || value.size() < open.size() + close.size() ||
          !value.starts_with(open) || !value.ends_with(close))
        return {};
      found = value.substr(open.size(), value.size() - open.size() - close.size());
      if (found->find("<|im_") != std::string::npos) return {};  // more than one turn
    }
    return found;
  }

  // Collects tokens. Adjacent texts are encoded together, as in one string with the special tokens.
  class writer {
   public:
    writer(const tokenizer& words, const std::string& source) : words_(words), source_(source) {}
    void text(std::string_view more) { waiting_ += more; }
    void marker(std::string_view name) {
      flush();
      out_.push_back(id_of(name));
    }
    void bos() {
      if (!words_.bos()) throw io_error(source_ + ": the chat template wants a beginning-of-text token; none is named");
      out_.push_back(*words_.bos());
    }
    std::vector<token_id> finish() {
      flush();
      return std::move(out_);
    }
    token_id id_of(std::string_view name) const {
      for (const auto& token : words_.spec().added)
        if (token.text == name && token.special && !token.lstrip && !token.rstrip) return token.id;
      throw io_error(
          source_ + ": the chat template writes " + std::string(name) +
          ", which the vocabulary does not have as a special token, so a message could forge another one; use " +
          "the tokenizer that belongs to the model");
    }

   private:
    void flush() {
      const auto more = words_.encode(waiting_, {.special = special_tokens::as_text, .bos = false});
      out_.insert(out_.end(), more.begin(), more.end());
      waiting_.clear();
    }
    const tokenizer& words_;
    const std::string& source_;
    std::vector<token_id> out_;
    std::string waiting_;
  };

  void open(writer& out, std::string_view role) const {
    out.marker(style_ == style::llama3 ? "<|start_header_id|>" : "<|im_start|>");
    out.text(role);
    if (style_ == style::llama3) out.marker("<|end_header_id|>");
    out.text(style_ == style::llama3 ? "\n\n" : "\n");
  }
  void turn(writer& out, std::string_view role, std::string_view content) const {
    open(out, role);
    out.text(style_ == style::llama3 ? trimmed(content) : content);
    out.marker(end_marker());
    if (style_ == style::chatml) out.text("\n");
  }
  const char* end_marker() const { return style_ == style::llama3 ? "<|eot_id|>" : "<|im_end|>"; }

  // Python's str.strip: removes Unicode's white space and the four ASCII separators. `text` is valid UTF-8.
  static std::string_view trimmed(std::string_view text) {
    std::size_t begin = text.size(), end = 0;
    for (std::size_t at = 0; at < text.size();) {
      const utf8::step s = utf8::next(text.substr(at));
      const char32_t c = s.code_point;
      const bool separator = c >= 0x1C && c <= 0x1F;
      if (!separator && !unicode_ranges::is_white_space(c)) {
        begin = std::min(begin, at);
        end = at + s.size;
      }
      at += s.size;
    }
    return begin < end ? text.substr(begin, end - begin) : std::string_view();
  }

  std::string source_;
  style style_ = style::chatml;
  bool always_prompts_ = false;  // whether the template always ends with the beginning of the assistant's turn
  std::optional<std::string> default_system_;
};

}  // namespace iapt
