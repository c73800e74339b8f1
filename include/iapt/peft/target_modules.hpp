// SPDX-License-Identifier: Apache-2.0
// Target modules by their names, as PEFT's configurations have them.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/core/error.hpp"

namespace iapt {

/// Whether a target names a module: by its whole name, by its last parts ("q_proj"), or as "all-linear".
/// @par Source PEFT's check_target_module_exists
inline bool names_module(std::string_view target, std::string_view module) {
  return target == "all-linear" || module == target ||
         (module.ends_with(target) && module[module.size() - target.size() - 1] == '.');
}
/// Whether any of the targets names a module.
inline bool any_names(const std::vector<std::string>& targets, std::string_view module) {
  return std::any_of(targets.begin(), targets.end(), [&](const auto& target) { return names_module(target, module); });
}
/// Refuses a list without targets, and a target that names none of a model's modules.
/// @throws shape_error with the method's name and the target
inline void require_modules(const char* method, const std::vector<std::string>& targets,
                            const std::vector<std::string>& modules) {
  if (targets.empty()) throw shape_error(std::string(method) + ": there is no target module; name one, or all-linear");
  for (const std::string& target : targets)
    if (std::none_of(modules.begin(), modules.end(), [&](const auto& module) { return names_module(target, module); }))
      throw shape_error(std::string(method) + ": the model has no linear map \"" + target +
                        "\"; choose among q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, all-linear");
}

}  // namespace iapt
