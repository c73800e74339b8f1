// SPDX-License-Identifier: Apache-2.0
// A conversation, and the variables that a chat template reads it from.
#pragma once
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/chat/template_value.hpp"
#include "iapt/core/error.hpp"
#include "iapt/jinja/value.hpp"
#include "iapt/text/tokenizer.hpp"

namespace iapt {

/// A conversation, as a client or a data set writes it.
struct conversation {
  using json = nlohmann::ordered_json;  ///< keeps the order of keys
  json messages = json::array();        ///< objects with `role` and `content`, and what else the template knows
  json variables = json::object();      ///< what else the template reads, such as `tools` or `enable_thinking`
  bool add_generation_prompt = true;    ///< whether to end with the beginning of the assistant's next turn

  /// Adds a message of plain text.
  conversation& add(std::string_view role, std::string_view content) {
    messages.push_back({{"role", role}, {"content", content}});
    return *this;
  }
};

namespace detail {

// A message. All of an answer but its role is marked as the answer.
inline jinja::value template_message(const nlohmann::ordered_json& message, jinja::writer by) {
  if (!message.is_object()) throw io_error(std::string("expected an object, found ") + message.type_name());
  jinja::dict fields;
  for (const auto& [key, one] : message.items())
    fields.set(template_value(key, by),
               template_value(one, key == "role" || key == "name" ? jinja::writer::caller : by));
  return fields;
}

// What a template reads: the variables that transformers passes. `last` wrote the last message.
inline jinja::dict template_variables(const conversation& chat, const tokenizer& words, jinja::writer last) {
  jinja::dict all;
  all.set("tools", jinja::none{}), all.set("documents", jinja::none{});
  for (const auto& [name, one] : chat.variables.items()) all.set(name, template_value(one, jinja::writer::caller));
  std::vector<jinja::value> messages;
  for (std::size_t i = 0; i < chat.messages.size(); ++i) try {
      messages.push_back(
          template_message(chat.messages[i], i + 1 == chat.messages.size() ? last : jinja::writer::caller));
    } catch (const error& failure) { throw io_error("chat: message " + std::to_string(i + 1) + ": " + failure.what()); }
  all.set("messages", jinja::list(std::move(messages)));
  all.set("add_generation_prompt", chat.add_generation_prompt);
  const auto set_token = [&](std::string_view name, std::optional<token_id> id) {
    if (id) all.set(name, jinja::marked_text(words.bytes(*id), {}));
  };
  set_token("bos_token", words.bos()), set_token("eos_token", words.eos());
  set_token("unk_token", words.spec().unknown);
  return all;
}

}  // namespace detail
}  // namespace iapt
