// SPDX-License-Identifier: Apache-2.0
// The devices of a program. The code for each device and element type is a translation unit of its own: the build
// generates one from train.hpp and Eigen's backend, one from train.hpp and Thrust's, and so on. Each registers itself
// here.
#pragma once
#include <iapt/core/bfloat16.hpp>
#include <iapt/core/error.hpp>
#include <map>
#include <string>
#include <type_traits>

namespace program {

/// The functions that run a program, by the name of the device and the name of the element type.
template <class Program>
std::map<std::string, std::map<std::string, int (*)(const Program&)>>& devices() {
  static std::map<std::string, std::map<std::string, int (*)(const Program&)>> all;
  return all;
}
/// The keys of a map, for a message.
template <class Map>
std::string names_of(const Map& map) {
  std::string names;
  for (const auto& one : map) names += (names.empty() ? "" : ", ") + one.first;
  return names;
}

/// The backend that a program's flags describe.
/// @throws iapt::device_error if it does not have an option that they ask for
template <class Backend, class Program>
Backend backend_for(const Program& program) {
  bool batch_invariant = false;
  if constexpr (requires { program.batch_invariant; }) batch_invariant = program.batch_invariant;
  if constexpr (requires(const Backend& backend) { backend.batch_invariant(); }) {
    return Backend({.threads = program.threads, .batch_invariant = batch_invariant});
  } else {
    if (batch_invariant)
      throw iapt::device_error("--batch-invariant: --device " + program.device + " has no such option; eigen has");
    if constexpr (requires(const Backend& backend) { backend.threads(); })
      return Backend({.threads = program.threads});
    else
      return Backend();
  }
}

/// Registers a device: `static const program::device<Program, Backend, float> train_here("eigen");`.
template <class Program, class Backend, class T>
struct device {
  explicit device(const char* name) {
    devices<Program>()[name][std::is_same_v<T, float> ? "float32" : "bfloat16"] = [](const Program& program) {
      Backend backend = backend_for<Backend>(program);
      return program.template run<T>(backend);
    };
  }
};

/// Runs a program on the device and with the element type that its flags name. The default type is the smallest one.
/// @throws iapt::device_error if the build or the machine has no such device, or the device no such type
template <class Program>
int run_on_device(const Program& program) {
  const auto& all = devices<Program>();
  const auto found = all.find(program.device);
  if (found == all.end())
    throw iapt::device_error("--device " + program.device + ": this program was built for " + names_of(all) + " alone" +
                             (program.device == "cuda" ? "; configure with -DIAPT_CUDA=ON for a GPU" : ""));
  const auto& numbers = found->second;  // "bfloat16" comes before "float32"
  const auto run = program.dtype.empty() ? numbers.begin() : numbers.find(program.dtype);
  if (run == numbers.end())
    throw iapt::device_error("--dtype " + program.dtype + ": --device " + program.device + " has " + names_of(numbers) +
                             " alone");
  return run->second(program);
}

}  // namespace program
