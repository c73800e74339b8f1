// SPDX-License-Identifier: Apache-2.0
// The flags of all methods, from the descriptions of their options.
#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "chosen_method.hpp"
#include "command_line.hpp"

namespace program {

/// A flag of one or more methods: the values of all, the bounds and the default of the first.
struct method_flag {
  std::string help, otherwise = "";       // help text; default, as text
  std::string old_name = "";              // of version 0.1
  std::vector<std::string> methods = {};  // methods that have it
  std::vector<std::string> values = {};   // allowed values; empty: any
  CLI::Validator bounds = {};             // for a number
  bool is_switch = false;                 // whether it has no value

  template <class V>
  void describe(const iapt::option& o, const V& value) {
    if constexpr (std::is_enum_v<V>)
      for (const std::string_view name : iapt::names_of<V>) admit(std::string(name));
    if (!otherwise.empty()) return;
    if constexpr (std::is_same_v<V, bool>)
      is_switch = true;
    else if constexpr (std::is_enum_v<V>)
      otherwise = iapt::names_of<V>[std::size_t(value)];
    else if constexpr (std::is_arithmetic_v<V>) {
      bounds = between<V>(V(o.least), V(o.most));
      otherwise = iapt::to_json(value).dump();
    } else if constexpr (std::is_same_v<V, std::vector<std::string>>) {
      for (const std::string& one : value) otherwise += (otherwise.empty() ? "" : ",") + one;
    }
  }
  void admit(const std::string& value) {
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }
};

/// Adds --method and the flags of every method in the list.
template <class Methods>
void add_method_flags(CLI::App& app, std::string& method, method_flags& given) {
  std::map<std::string, method_flag> flags;
  std::vector<std::string> methods;
  const auto seen = [&](const char* name, const char* help, const std::string& of) -> method_flag& {
    method_flag& flag = flags.try_emplace(name, method_flag{.help = help}).first->second;
    if (flag.methods.empty() || flag.methods.back() != of) flag.methods.push_back(of);
    return flag;
  };
  Methods::each([&]<class Method>(std::type_identity<Method>) {
    if (methods.empty() || methods.back() != Method::name) methods.push_back(Method::name);
    const typename Method::options_type defaults{};
    Method::options_type::visit(defaults, [&](const iapt::option& o, const auto& value) {
      if (!*o.flag) return;
      method_flag& flag = seen(o.flag, o.help, Method::name);
      flag.describe(o, value);
      flag.old_name = o.old_flag;
    });
    iapt::each_fixed<Method>([&](const iapt::fixed_option& o) {
      if (*o.flag) seen(o.flag, o.help, Method::name).admit(o.value);
    });
  });
  app.add_option("--method", method, "how to adapt the model")->check(CLI::IsMember(methods))->capture_default_str();
  for (auto& [name, flag] : flags) {
    std::string group = "Options of --method";
    for (const std::string& of : flag.methods) group += " " + of;
    if (flag.is_switch) {
      app.add_flag_callback(
             "--" + name, [&given, name = name] { given[name] = "true"; }, flag.help)
          ->group(group);
      continue;
    }
    CLI::Option* added = app.add_option("--" + name, given[name], flag.help)->check(not_empty())->group(group);
    if (!flag.values.empty()) added->check(CLI::IsMember(flag.values));
    added->check(flag.bounds);
    if (!flag.old_name.empty()) {
      const std::string old = "--" + flag.old_name;
      hide_old_name(app.add_option(old, given[name])->excludes(added), old, flag.bounds);
    }
    added->default_str(flag.otherwise.empty() && !flag.values.empty() ? flag.values[0] : flag.otherwise);
  }
}

}  // namespace program
