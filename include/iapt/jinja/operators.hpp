// SPDX-License-Identifier: Apache-2.0
// Arithmetic, subscripts and slices.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/ast.hpp"
#include "iapt/jinja/compare.hpp"
#include "iapt/jinja/percent_format.hpp"

namespace iapt::jinja::detail {

[[noreturn]] inline void refuse_operands(const char* symbol, const value& a, const value& b) {
  if (a.is<undefined>()) refuse_undefined(a);
  if (b.is<undefined>()) refuse_undefined(b);
  throw refusal(std::string("the operator ") + symbol + " has no meaning for values of the types " + type_name(a) +
                " and " + type_name(b));
}

// Python's floor division and its remainder.
inline std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0) throw refusal("division by zero");
  if (b == -1 && a == INT64_MIN) refuse_overflow();
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
inline std::int64_t modulo(std::int64_t a, std::int64_t b) {
  if (b == 0) throw refusal("division by zero");
  if (b == -1) return 0;
  const std::int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
inline double modulo(double a, double b) {
  if (b == 0) throw refusal("division by zero");
  const double r = std::fmod(a, b);
  if (r == 0) return std::copysign(0.0, b);
  return (r < 0) != (b < 0) ? r + b : r;
}
inline double floor_divide(double a, double b) {
  const double r = modulo(a, b), quotient = (a - r) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double below = std::floor(quotient);
  return quotient - below > 0.5 ? below + 1 : below;  // (a - r) / b is a whole number but for rounding
}
inline std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (exponent > 0) {
    if (exponent & 1 && __builtin_mul_overflow(result, base, &result)) refuse_overflow();
    exponent >>= 1;
    if (exponent && __builtin_mul_overflow(base, base, &base)) refuse_overflow();
  }
  return result;
}
inline double power(double base, double exponent) {
  if (base == 0 && exponent < 0) throw refusal("division by zero");
  if (base < 0 && std::floor(exponent) != exponent && !std::isinf(base)) throw refusal("a power is not a real number");
  const double result = std::pow(base, exponent);
  if (std::isinf(result) && !std::isinf(base) && !std::isinf(exponent))
    throw refusal("a power is too large for a float");
  return result;
}

inline value compute_ints(binary_operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case binary_operator::add:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case binary_operator::subtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case binary_operator::multiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case binary_operator::divide:
      if (b == 0) throw refusal("division by zero");
      return static_cast<double>(a) / static_cast<double>(b);
    case binary_operator::floor_divide:
      return floor_divide(a, b);
    case binary_operator::modulo:
      return modulo(a, b);
    case binary_operator::power:
      return b < 0 ? value(power(static_cast<double>(a), static_cast<double>(b))) : value(power(a, b));
  }
  if (overflow) refuse_overflow();
  return result;
}
inline value compute_floats(binary_operator op, double a, double b) {
  switch (op) {
    case binary_operator::add:
      return a + b;
    case binary_operator::subtract:
      return a - b;
    case binary_operator::multiply:
      return a * b;
    case binary_operator::divide:
      if (b == 0) throw refusal("division by zero");
      return a / b;
    case binary_operator::floor_divide:
      return floor_divide(a, b);
    case binary_operator::modulo:
      return modulo(a, b);
    case binary_operator::power:
      break;
  }
  return power(a, b);
}

// Appends a text with the characters of HTML escaped, as the filter `escape` does.
inline void append_escaped(text_builder& out, const marked_text& t) {
  for (std::size_t i = 0; i < t.size(); ++i) {
    constexpr std::string_view from = "&<>'\"";
    constexpr std::string_view to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    const auto at = from.find(t.bytes()[i]);
    if (at == from.npos)
      out.append(t, i, 1);
    else
      out.append(to[at], t.marks()[i]);
  }
}
// a + b. If one of them is safe, the other one is escaped.
inline value add_texts(runtime& rt, const text& a, const text& b) {
  text_builder out(rt);
  const bool safe = a.safe || b.safe;
  for (const text* t : {&a, &b})
    if (safe && !t->safe)
      append_escaped(out, *t->content);
    else
      out.append(*t->content);
  return text{std::make_shared<marked_text>(out.take()), safe};
}
// A text or a list, n times.
inline value repeat(runtime& rt, const value& v, std::int64_t n) {
  const std::size_t times = n > 0 ? static_cast<std::size_t>(n) : 0;
  if (const text* t = v.as<text>()) {
    text_builder out(rt);
    if (!t->content->empty() && times > rt.limit.value_bytes / t->content->size())
      out.pad(rt.limit.value_bytes + 1, "x");
    for (std::size_t i = 0; i < times && !t->content->empty(); ++i) out.append(*t->content);
    return text{std::make_shared<marked_text>(out.take()), t->safe};
  }
  const std::vector<value>& items = v.as_list()->items();
  std::vector<value> all;
  for (std::size_t i = 0; i < times && !items.empty(); ++i) {
    rt.work(items.size());
    all.insert(all.end(), items.begin(), items.end());
  }
  return make_list(rt, std::move(all), v.as_list()->is_tuple() ? list::kind_type::tuple : list::kind_type::list);
}
inline bool is_repeatable(const value& v) {
  const list* l = v.as_list();
  return v.is<text>() || (l && (l->kind() == list::kind_type::list || l->is_tuple()));
}

inline value compute(runtime& rt, binary_operator op, const value& a, const value& b) {
  constexpr const char* symbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  if (const auto i = as_int(a), j = as_int(b); i && j) return compute_ints(op, *i, *j);
  if (is_number(a) && is_number(b)) return compute_floats(op, *as_float(a), *as_float(b));
  const text *s = a.as<text>(), *t = b.as<text>();
  if (op == binary_operator::modulo && s) return percent_format(rt, *s, b);
  if (op == binary_operator::add && s && t) return add_texts(rt, *s, *t);
  if (const list* l = a.as_list(), *m = b.as_list();
      op == binary_operator::add && l && m && is_repeatable(a) && is_repeatable(b) && l->is_tuple() == m->is_tuple()) {
    rt.work(l->items().size() + m->items().size());
    std::vector<value> all = l->items();
    all.insert(all.end(), m->items().begin(), m->items().end());
    return value(
        std::make_shared<const list>(std::move(all), l->is_tuple() ? list::kind_type::tuple : list::kind_type::list));
  }
  if (op == binary_operator::multiply) {
    if (const auto n = as_int(b); n && is_repeatable(a)) return repeat(rt, a, *n);
    if (const auto n = as_int(a); n && is_repeatable(b)) return repeat(rt, b, *n);
  }
  refuse_operands(symbols[static_cast<std::size_t>(op)], a, b);
}
inline value compute(unary_operator op, const value& v) {
  if (op == unary_operator::logical_not) return !truth(v);
  if (v.is<undefined>()) refuse_undefined(v);
  const bool minus = op == unary_operator::minus;
  if (const double* d = v.as<double>()) return minus ? -*d : *d;
  if (const auto i = as_int(v)) return minus ? compute_ints(binary_operator::subtract, 0, *i) : value(*i);
  throw refusal("a value of type " + type_name(v) + " has no sign");
}

// ---- subscripts ----

// Index of the byte where each character begins, and the size at the end.
inline std::vector<std::size_t> character_offsets(runtime& rt, const marked_text& t) {
  rt.work(1 + t.size() / 8);
  std::vector<std::size_t> offsets;
  for (std::size_t i = 0; i < t.size(); ++i)
    if ((static_cast<unsigned char>(t.bytes()[i]) & 0xC0) != 0x80) offsets.push_back(i);
  offsets.push_back(t.size());
  return offsets;
}

// v[index] for what has indices and keys; nothing where Python raises an error.
inline std::optional<value> subscript_of(runtime& rt, const value& v, const value& index) {
  if (const dict* d = v.as_dict()) {
    if (const marked_text* t = index.as_text()) rt.read(t->size());
    const value* found = d->find(index);
    return found ? std::optional(*found) : std::nullopt;
  }
  const auto i = as_int(index);
  const list* l = v.as_list();
  if (!i || !(v.is<text>() || (l && l->is_sequence()))) return std::nullopt;
  const std::size_t size = length(rt, v);
  const std::uint64_t at = static_cast<std::uint64_t>(*i) + (*i < 0 ? size : 0);
  if (at >= size) return std::nullopt;
  if (l) return l->items()[at];
  const text& t = *v.as<text>();
  std::size_t begin = 0, end = 0, n = 0;
  for_each_character(t.content->bytes(),
                     [&](char32_t, std::size_t b, std::size_t s) { return begin = b, end = b + s, n++ < at; });
  return text{std::make_shared<marked_text>(t.content->substr(begin, end - begin)), t.safe};
}

// v[start:stop:step]; a bound may be None.
inline value slice_of(runtime& rt, const value& v, const value& start, const value& stop, const value& step) {
  if (v.is<undefined>()) refuse_undefined(v);
  const list* l = v.as_list();
  if (!v.is<text>() && !(l && l->is_sequence())) throw refusal("a value of type " + type_name(v) + " has no slices");
  const auto bound = [](const value& b, std::int64_t otherwise) {
    if (b.is<none>()) return otherwise;
    if (const auto i = as_int(b)) return *i;
    throw refusal("a bound of a slice must be an integer or None");
  };
  const std::int64_t by = std::max<std::int64_t>(bound(step, 1), -INT64_MAX);
  if (by == 0) throw refusal("the step of a slice cannot be zero");
  std::vector<std::size_t> offsets;
  if (!l) offsets = character_offsets(rt, *v.as_text());
  const auto size = static_cast<std::int64_t>(l ? l->items().size() : offsets.size() - 1);
  const std::int64_t low = by > 0 ? 0 : -1, high = by > 0 ? size : size - 1;
  const auto place = [&](std::int64_t i) { return std::clamp(i < 0 ? i + size : i, low, high); };
  const std::int64_t first = start.is<none>() ? (by > 0 ? low : high) : place(bound(start, 0));
  const std::int64_t last = stop.is<none>() ? (by > 0 ? high : low) : place(bound(stop, 0));
  std::vector<value> items;
  text_builder out(rt);
  if (!l && by == 1 && first < last) {  // one piece
    out.append(*v.as_text(), offsets[static_cast<std::size_t>(first)],
               offsets[static_cast<std::size_t>(last)] - offsets[static_cast<std::size_t>(first)]);
    return text{std::make_shared<marked_text>(out.take()), v.as<text>()->safe};
  }
  for (std::int64_t i = first; by > 0 ? i < last : i > last; i += by) {
    rt.work();
    const auto at = static_cast<std::size_t>(i);
    if (l)
      items.push_back(l->items()[at]);
    else
      out.append(*v.as_text(), offsets[at], offsets[at + 1] - offsets[at]);
    if (by > 0 ? last - i <= by : i - last <= -by) break;  // the next index might overflow
  }
  if (!l) return text{std::make_shared<marked_text>(out.take()), v.as<text>()->safe};
  return value(std::make_shared<const list>(std::move(items), l->is_tuple() ? list::kind_type::tuple : l->kind()));
}

}  // namespace iapt::jinja::detail
