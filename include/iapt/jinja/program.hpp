// SPDX-License-Identifier: Apache-2.0
// A Jinja template of a chat, as Hugging Face's transformers runs it, whose output knows who wrote each byte.
#pragma once
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "iapt/jinja/interpreter.hpp"
#include "iapt/jinja/parser.hpp"

namespace iapt::jinja {

/// The time of this machine's clock, in its time zone.
inline std::tm local_time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

/// A parsed template. It does not change, and any number of threads may render it at once.
/// @par Source Jinja2 3.1 with the settings of transformers' `apply_chat_template`
class program {
 public:
  /// Parses `source`; `name` stands in errors.
  /// @throws template_error if the source is not UTF-8 or not a template, or needs what is not supported
  explicit program(std::string_view source, std::string name = "chat template") : name_(std::move(name)) {
    if (const auto at = utf8::find_invalid(source); at != source.npos)
      throw template_error(name_, 1, "byte " + std::to_string(at) + " is not valid UTF-8; convert the template first");
    try {
      statements_ = detail::parser::parse(source);
    } catch (const detail::syntax_refusal& refused) { throw template_error(name_, refused.line, refused.what()); }
  }

  /// The text of the template with these variables. Every byte has the mark of who wrote it; the bytes of the
  /// template's literals, of numbers and of quotes are marked `writer::program`.
  /// @throws raised if the template calls `raise_exception`
  /// @throws template_error if an operation is refused or a limit is exceeded
  marked_text render(const dict& variables, const limits& bounds = {}, const local_clock& now = local_time_now) const {
    detail::runtime rt(bounds, now);
    try {
      return detail::interpreter(rt, variables).run(statements_);
    } catch (const detail::raised_message& message) {
      throw raised(name_, rt.line, message.what());
    } catch (const detail::refusal& refused) { throw template_error(name_, rt.line, refused.what()); }
  }

 private:
  std::string name_;
  detail::scoped_block statements_;
};

}  // namespace iapt::jinja
