// SPDX-License-Identifier: Apache-2.0
// Tests, as in `x is defined`.
#pragma once
#include <string_view>

#include "iapt/jinja/lookup.hpp"

namespace iapt::jinja::detail::is_tests {

// A test without arguments.
template <bool (*Is)(const value&)>
bool simple(runtime&, const value& v, const arguments& a) {
  bind_none("a test", a);
  return Is(v);
}
inline const value& operand(const arguments& a) { return *bind<1>("a test", a, {"-"}, 1)[0]; }

template <comparison Op>
bool ordered(runtime& rt, const value& v, const arguments& a) {
  const value& other = operand(a);
  if constexpr (Op == comparison::equal) return equal(rt, v, other);
  if constexpr (Op == comparison::not_equal) return !equal(rt, v, other);
  const auto o = order(rt, v, other);
  if constexpr (Op == comparison::less) return o < 0;
  if constexpr (Op == comparison::less_equal) return o <= 0;
  if constexpr (Op == comparison::greater) return o > 0;
  return o >= 0;
}
inline bool in(runtime& rt, const value& v, const arguments& a) { return contains(rt, operand(a), v); }
inline bool remainder_is(runtime& rt, const value& v, const value& divisor, std::int64_t expected) {
  const value r = compute(rt, binary_operator::modulo, v, divisor);
  return equal(rt, r, value(expected));
}
inline bool odd(runtime& rt, const value& v, const arguments& a) {
  bind_none("odd", a);
  return remainder_is(rt, v, value(2), 1);
}
inline bool even(runtime& rt, const value& v, const arguments& a) {
  bind_none("even", a);
  return remainder_is(rt, v, value(2), 0);
}
inline bool divisibleby(runtime& rt, const value& v, const arguments& a) { return remainder_is(rt, v, operand(a), 0); }
template <bool (*Is)(char32_t)>
bool has_case(runtime& rt, const value& v, const arguments& a) {
  bind_none("a test", a);
  return methods::has_case<Is>(rt, *str(rt, v).content);
}
// The same object: what is equal and of one type for the values that Python shares.
inline bool sameas(runtime&, const value& v, const arguments& a) {
  const value& other = operand(a);
  if (const bool* b = v.as<bool>(), *c = other.as<bool>(); b && c) return *b == *c;
  if (v.is<none>() && other.is<none>()) return true;
  if (v.as_object() || v.as_list() || v.as_dict())
    return v.as_object() == other.as_object() && v.as_list() == other.as_list() && v.as_dict() == other.as_dict();
  if (v.is<undefined>() || type_name(v) != type_name(other)) return false;
  throw refusal("sameas: Python does not say whether numbers or texts are the same object; compare them with ==");
}
inline bool is_defined(const value& v) { return !v.is<undefined>(); }
inline bool is_undefined(const value& v) { return v.is<undefined>(); }
inline bool is_none(const value& v) { return v.is<none>(); }
inline bool is_boolean(const value& v) { return v.is<bool>(); }
inline bool is_false(const value& v) { return v.is<bool>() && !truth(v); }
inline bool is_true(const value& v) { return v.is<bool>() && truth(v); }
inline bool is_integer(const value& v) { return v.is<std::int64_t>(); }
inline bool is_float(const value& v) { return v.is<double>(); }
inline bool is_text(const value& v) { return v.is<text>(); }
inline bool is_escaped(const value& v) { return v.is<text>() && v.as<text>()->safe; }
inline bool is_mapping(const value& v) { return v.as_dict() != nullptr; }
inline bool is_callable(const value& v) { return v.is<undefined>() || (v.as_object() && v.as_object()->callable()); }
inline bool is_iterable(const value& v) { return v.is<text>() || v.as_list() || v.as_dict() || v.is<undefined>(); }
inline bool is_sequence(const value& v) { return is_iterable(v) && !(v.as_list() && !v.as_list()->is_sequence()); }

}  // namespace iapt::jinja::detail::is_tests
