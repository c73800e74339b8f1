// SPDX-License-Identifier: Apache-2.0
// The types of filters, tests and methods, and how they read their arguments.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "iapt/jinja/python_text.hpp"

namespace iapt::jinja::detail {

// A filter or a method: what it is applied to, and its arguments.
using filter_function = value (*)(runtime&, const value&, const arguments&);
using method_function = filter_function;
using test_function = bool (*)(runtime&, const value&, const arguments&);

template <class F>
using function_table = std::unordered_map<std::string_view, F>;
template <class F>
F find_in(const function_table<F>& table, std::string_view name) {
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

// The arguments of a function by its parameters; null if one is not given. It throws for arguments that do not fit.
template <std::size_t N>
std::array<const value*, N> bind(std::string_view function, const arguments& given,
                                 const std::array<std::string_view, N>& parameters, std::size_t required = 0) {
  const auto refuse = [&](const std::string& what) -> void { throw refusal(std::string(function) + "(): " + what); };
  std::array<const value*, N> bound{};
  if (given.positional.size() > N)
    refuse("it takes at most " + std::to_string(N) + " arguments, not " + std::to_string(given.positional.size()));
  for (std::size_t i = 0; i < given.positional.size(); ++i) bound[i] = &given.positional[i];
  for (const auto& [name, content] : given.keywords) {
    std::size_t at = 0;
    while (at < N && parameters[at] != name.bytes()) ++at;
    if (at == N) refuse("it has no argument " + name.bytes());
    if (bound[at]) refuse("the argument " + name.bytes() + " is given twice");
    bound[at] = &content;
  }
  for (std::size_t i = 0; i < required; ++i)
    if (!bound[i]) refuse("the argument " + std::string(parameters[i]) + " is missing");
  return bound;
}
inline void bind_none(std::string_view function, const arguments& given) {
  (void)bind<1>(function, given, {"-"});
  if (!given.positional.empty()) throw refusal(std::string(function) + "(): it takes no arguments");
}

// An argument as an integer.
inline std::int64_t int_of(const value* v, std::int64_t otherwise) {
  if (!v) return otherwise;
  if (v->is<undefined>()) refuse_undefined(*v);
  if (const auto i = as_int(*v)) return *i;
  throw refusal("an integer is needed here, not a value of type " + type_name(*v));
}
// An argument as a text; null if it is None or not given.
inline const marked_text* text_of(const value* v) {
  if (!v || v->is<none>()) return nullptr;
  if (v->is<undefined>()) refuse_undefined(*v);
  if (const marked_text* t = v->as_text()) return t;
  throw refusal("a text is needed here, not a value of type " + type_name(*v));
}

}  // namespace iapt::jinja::detail
