// SPDX-License-Identifier: Apache-2.0
// A Jinja template of a chat, as Hugging Face's transformers runs it, whose output knows who wrote each byte.
#pragma once
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "iapt/jinja/value.hpp"

namespace iapt::jinja {

namespace detail {
struct scoped_block;
}

/// The local time, as `strftime` wants it; a test gives a fixed one.
using local_clock = std::function<std::tm()>;

/// The time of this machine's clock, in its time zone.
inline std::tm local_time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

/// A parsed template. It does not change, and any number of threads may render it at once. Copies share it.
/// @par Source Jinja2 3.1 with the settings of transformers' `apply_chat_template`
class program {
 public:
  /// Parses `source`; `name` stands in errors.
  /// @throws template_error if the source is not UTF-8 or not a template, or needs what is not supported
  explicit program(std::string_view source, std::string name = "chat template");

  /// The text of the template with these variables. Every byte has the mark of who wrote it; the bytes of the
  /// template's literals, of numbers and of quotes are marked `writer::program`.
  /// @throws raised if the template calls `raise_exception`
  /// @throws template_error if an operation is refused or a limit is exceeded
  marked_text render(const dict& variables, const limits& bounds = {}, const local_clock& now = local_time_now) const;

 private:
  std::string name_;
  std::shared_ptr<const detail::scoped_block> statements_;
};

}  // namespace iapt::jinja
