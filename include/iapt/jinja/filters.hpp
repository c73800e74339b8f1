// SPDX-License-Identifier: Apache-2.0
// The table of filters.
#pragma once
#include <string_view>

#include "iapt/jinja/list_filters.hpp"
#include "iapt/jinja/text_filters.hpp"

namespace iapt::jinja::detail {

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

}  // namespace iapt::jinja::detail
