// SPDX-License-Identifier: Apache-2.0
// Programs whose code for each device is a translation unit of its own: train.cpp has Eigen's, the build makes one of
// train.hpp and Thrust's backend, and so on, and each makes itself known here.
#pragma once
#include <iapt/core/error.hpp>
#include <map>
#include <string>

namespace program {

/// Names of the devices that a program was built for, and how it runs there.
template <class Program>
std::map<std::string, int (*)(const Program&)>& devices() {
  static std::map<std::string, int (*)(const Program&)> all;
  return all;
}

/// Makes a device known: `static const program::device<Program, Backend> here("eigen");`.
template <class Program, class Backend>
struct device {
  explicit device(const char* name) {
    devices<Program>()[name] = [](const Program& program) {
      if constexpr (requires(const Backend& backend) { backend.threads(); }) {
        Backend backend({.threads = program.threads});
        return program.run(backend);
      } else {
        Backend backend;
        return program.run(backend);
      }
    };
  }
};

/// Runs a program on the device that its flags name.
/// @throws iapt::error if the build has no such device, iapt::device_error if the machine has none
template <class Program>
int run_on_device(const Program& program) {
  const auto& all = devices<Program>();
  if (const auto found = all.find(program.device); found != all.end()) return found->second(program);
  std::string names;
  for (const auto& one : all) names += (names.empty() ? "" : ", ") + one.first;
  throw iapt::device_error("--device " + program.device + ": this program was built for " + names + " alone" +
                           (program.device == "cuda" ? "; configure with -DIAPT_CUDA=ON for a GPU" : ""));
}

}  // namespace program
