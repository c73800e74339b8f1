// SPDX-License-Identifier: Apache-2.0
// The tables of filters and tests, and those of them that find others by their names.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/is_tests.hpp"
#include "iapt/jinja/list_filters.hpp"
#include "iapt/jinja/text_filters.hpp"

namespace iapt::jinja::detail {

// The filter or the test of a name, or null.
inline filter_function find_filter(std::string_view name);
inline test_function find_test(std::string_view name);

namespace filters {

inline arguments without_first(const arguments& a, std::size_t count) {
  return {{a.positional.begin() + static_cast<std::ptrdiff_t>(count), a.positional.end()}, a.keywords};
}
inline value map(runtime& rt, const value& v, const arguments& a) {
  std::vector<value> out;
  if (!truth(v)) return make_list(rt, {}, kind::generator);
  const std::vector<value> items = read_all(rt, v);
  if (a.positional.empty()) {
    const auto [attribute, otherwise] = bind<2>("map", a, {"attribute", "default"});
    if (!attribute) throw refusal("map: a filter or an attribute must be named");
    const attribute_path path(attribute);
    for (const value& item : items) out.push_back(path.get(rt, item, otherwise));
  } else {
    const marked_text* name = text_of(&a.positional[0]);
    const auto function = name ? find_filter(name->bytes()) : nullptr;
    if (!function) throw refusal("map: there is no filter " + (name ? name->bytes() : "None"));
    const arguments rest = without_first(a, 1);
    const runtime::level nested(rt);
    for (const value& item : items) rt.work(), out.push_back(function(rt, item, rest));
  }
  return make_list(rt, std::move(out), kind::generator);
}
template <bool Selects, bool ByAttribute>
value select(runtime& rt, const value& v, const arguments& a) {
  if (!truth(v)) return make_list(rt, {}, kind::generator);
  if (ByAttribute && a.positional.empty()) throw refusal("selectattr and rejectattr need the name of an attribute");
  const attribute_path path(ByAttribute ? &a.positional[0] : nullptr);
  const bool has_test = a.positional.size() > ByAttribute;
  const marked_text* name = has_test ? text_of(&a.positional[ByAttribute]) : nullptr;
  const auto function = name ? find_test(name->bytes()) : nullptr;
  if (has_test && !function) throw refusal("there is no test " + (name ? name->bytes() : "None"));
  const arguments rest = has_test ? without_first(a, 1 + ByAttribute) : arguments{};
  std::vector<value> out;
  for (const value& item : read_all(rt, v)) {
    rt.work();
    const value tested = path.get(rt, item);
    if ((function ? function(rt, tested, rest) : truth(tested)) == Selects) out.push_back(item);
  }
  return make_list(rt, std::move(out), kind::generator);
}

}  // namespace filters

namespace is_tests {

inline bool filter(runtime&, const value& v, const arguments& a) {
  bind_none("filter", a);
  return v.is<text>() && find_filter(v.as_text()->bytes());
}
inline bool test(runtime&, const value& v, const arguments& a) {
  bind_none("test", a);
  return v.is<text>() && find_test(v.as_text()->bytes());
}

}  // namespace is_tests

inline filter_function find_filter(std::string_view name) {
  using namespace filters;
  static const function_table<filter_function> table = {{"abs", absolute},
                                                        {"attr", attr},
                                                        {"batch", batch},
                                                        {"capitalize", change<capitalize>},
                                                        {"center", center},
                                                        {"count", length_filter},
                                                        {"d", default_filter},
                                                        {"default", default_filter},
                                                        {"dictsort", dictsort},
                                                        {"e", escape},
                                                        {"escape", escape},
                                                        {"first", first},
                                                        {"float", to_float},
                                                        {"format", filters::format},
                                                        {"groupby", groupby},
                                                        {"indent", indent},
                                                        {"int", to_integer},
                                                        {"items", items_filter},
                                                        {"join", join_filter},
                                                        {"last", last},
                                                        {"length", length_filter},
                                                        {"list", to_list},
                                                        {"lower", change<lower>},
                                                        {"map", map},
                                                        {"max", extreme<true>},
                                                        {"min", extreme<false>},
                                                        {"reject", select<false, false>},
                                                        {"rejectattr", select<false, true>},
                                                        {"replace", filters::replace},
                                                        {"reverse", reverse},
                                                        {"round", filters::round},
                                                        {"safe", safe},
                                                        {"select", select<true, false>},
                                                        {"selectattr", select<true, true>},
                                                        {"slice", slice_filter},
                                                        {"sort", filters::sort},
                                                        {"string", string},
                                                        {"sum", sum},
                                                        {"title", change<title_of_words>},
                                                        {"tojson", tojson},
                                                        {"trim", trim},
                                                        {"unique", unique},
                                                        {"upper", change<upper>},
                                                        {"wordcount", wordcount}};
  return find_in(table, name);
}

inline test_function find_test(std::string_view name) {
  using namespace is_tests;
  static const function_table<test_function> table = {
      {"odd", odd},
      {"even", even},
      {"divisibleby", divisibleby},
      {"defined", simple<is_defined>},
      {"undefined", simple<is_undefined>},
      {"filter", is_tests::filter},
      {"test", test},
      {"none", simple<is_none>},
      {"boolean", simple<is_boolean>},
      {"false", simple<is_false>},
      {"true", simple<is_tests::is_true>},
      {"integer", simple<is_integer>},
      {"float", simple<is_float>},
      {"lower", is_tests::has_case<is_lower>},
      {"upper", is_tests::has_case<is_upper>},
      {"string", simple<is_text>},
      {"mapping", simple<is_mapping>},
      {"number", simple<is_number>},
      {"sequence", simple<is_tests::is_sequence>},
      {"iterable", simple<is_iterable>},
      {"callable", simple<is_callable>},
      {"sameas", sameas},
      {"escaped", simple<is_escaped>},
      {"in", is_tests::in},
      {"==", ordered<comparison::equal>},
      {"eq", ordered<comparison::equal>},
      {"equalto", ordered<comparison::equal>},
      {"!=", ordered<comparison::not_equal>},
      {"ne", ordered<comparison::not_equal>},
      {">", ordered<comparison::greater>},
      {"gt", ordered<comparison::greater>},
      {"greaterthan", ordered<comparison::greater>},
      {">=", ordered<comparison::greater_equal>},
      {"ge", ordered<comparison::greater_equal>},
      {"<", ordered<comparison::less>},
      {"lt", ordered<comparison::less>},
      {"lessthan", ordered<comparison::less>},
      {"<=", ordered<comparison::less_equal>},
      {"le", ordered<comparison::less_equal>},
  };
  return find_in(table, name);
}

}  // namespace iapt::jinja::detail
