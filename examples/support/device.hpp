// SPDX-License-Identifier: Apache-2.0
// Programs whose code for each device is a translation unit of its own: the build makes one of train.hpp and Eigen's
// backend, one of train.hpp and Thrust's, and so on, and each makes itself known here.
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

/// The backend that a program's flags describe.
/// @throws iapt::device_error if they ask for what it has not
template <class Backend, class Program>
Backend backend_for(const Program& program) {
  bool bit_for_bit = false;
  if constexpr (requires { program.bit_for_bit; }) bit_for_bit = program.bit_for_bit;
  if constexpr (requires(const Backend& backend) { backend.batch_invariant(); }) {
    return Backend({.threads = program.threads, .batch_invariant = bit_for_bit});
  } else {
    if (bit_for_bit)
      throw iapt::device_error("--bit-for-bit: --device " + program.device + " has no such option; eigen has");
    if constexpr (requires(const Backend& backend) { backend.threads(); })
      return Backend({.threads = program.threads});
    else
      return Backend();
  }
}

/// Makes a device known: `static const program::device<Program, Backend> train_here("eigen");`.
template <class Program, class Backend>
struct device {
  explicit device(const char* name) {
    devices<Program>()[name] = [](const Program& program) {
      Backend backend = backend_for<Backend>(program);
      return program.run(backend);
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
