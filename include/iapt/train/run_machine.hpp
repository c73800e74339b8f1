// SPDX-License-Identifier: Apache-2.0
// What the bits of a run depend on beside its settings.
#pragma once
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "iapt/data/batches.hpp"

namespace iapt {

/// The processor's name, or nothing where the system does not tell it.
inline std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (const std::size_t colon = line.find(": "); colon != line.npos) return line.substr(colon + 2);
  return "";
}

/// What a model's weights are stored as; for a model that has no type, the type of what is trained.
template <class Model, class Number>
constexpr const char* name_of_weights() {
  if constexpr (requires { typename Model::value_type; })
    return name_of_weights<void, typename Model::value_type>();
  else
    return sizeof(Number) == 8 ? "float64" : sizeof(Number) == 4 ? "float32" : "bfloat16";
}

/// What computes a run, and how much at once where a run may change that, as one JSON object. Where all of it is equal,
/// a run goes on bit for bit as if it had never stopped; where it is not, sums round otherwise.
/// @param device the backend's description: the device, its threads, the library of its products
/// @param dtype what the model's weights are stored as
/// @param evaluated what goes through the model at once when evaluating
inline nlohmann::json run_machine(const std::string& device, const std::string& dtype, const batch_limits& evaluated) {
  const std::string compiler =
#if defined(__clang__)
      __VERSION__;  // "Clang 19.1.7"
#else
      "GCC " __VERSION__;
#endif
  return {
      {"device", device},
      {"dtype", dtype},
      {"evaluated_at_once", std::to_string(evaluated.sequences) + " sequences, " + std::to_string(evaluated.tokens) +
                                " tokens, " + std::to_string(evaluated.responses) + " of responses; 0: any number"},
      {"processor", processor_name()},
      {"compiler", compiler + ", vectors of " + std::to_string(8 * __BIGGEST_ALIGNMENT__) + " bits"}};
}

}  // namespace iapt
