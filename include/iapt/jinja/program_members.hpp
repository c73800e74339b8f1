// SPDX-License-Identifier: Apache-2.0
// The members of jinja::program. They are most of the folder's code, so a program may compile them once.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "iapt/core/compiled_once.hpp"
#include "iapt/jinja/interpreter.hpp"
#include "iapt/jinja/parser.hpp"
#include "iapt/jinja/program_class.hpp"

namespace iapt::jinja {

IAPT_COMPILED_ONCE program::program(std::string_view source, std::string name) : name_(std::move(name)) {
  if (const auto at = utf8::find_invalid(source); at != source.npos)
    throw template_error(name_, 1, "byte " + std::to_string(at) + " is not valid UTF-8; convert the template first");
  try {
    statements_ = std::make_shared<const detail::scoped_block>(detail::parser::parse(source));
  } catch (const detail::syntax_refusal& refused) { throw template_error(name_, refused.line, refused.what()); }
}

IAPT_COMPILED_ONCE marked_text program::render(const dict& variables, const limits& bounds,
                                               const local_clock& now) const {
  detail::runtime rt(bounds, now);
  try {
    return detail::interpreter(rt, variables).run(*statements_);
  } catch (const detail::raised_message& message) {
    throw raised(name_, rt.line, message.what());
  } catch (const detail::refusal& refused) { throw template_error(name_, rt.line, refused.what()); }
}

}  // namespace iapt::jinja
