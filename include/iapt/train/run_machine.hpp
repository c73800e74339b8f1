// SPDX-License-Identifier: Apache-2.0
// What a run's exact bits depend on besides its settings.
#pragma once
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "iapt/data/batches.hpp"

namespace iapt {

/// The processor's name; empty if the system does not tell it.
inline std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (const std::size_t colon = line.find(": "); colon != line.npos) return line.substr(colon + 2);
  return "";
}

/// The element type of a model's weights; for a model without a type, that of the trained tensors.
template <class Model, class Number>
constexpr const char* name_of_weights() {
  if constexpr (requires { typename Model::value_type; })
    return name_of_weights<void, typename Model::value_type>();
  else
    return sizeof(Number) == 8 ? "float64" : sizeof(Number) == 4 ? "float32" : "bfloat16";
}

/// Describes what computes a run, and its evaluation batches, which a resumed run may change, as one JSON object. If
/// all of it is equal, a resumed run has the same bits as one that never stopped; otherwise sums are rounded
/// differently.
/// @param device the backend's description: device, threads, matmul library
/// @param dtype element type of the model's weights
/// @param evaluated largest batch of an evaluation
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
