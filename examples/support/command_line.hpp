// SPDX-License-Identifier: Apache-2.0
// What all programs share, with or without a model: bounds of flags, and the handling of errors.
#pragma once
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <iapt/core/error.hpp>
#include <iapt/core/version.hpp>
#include <iostream>
#include <limits>
#include <sstream>
#include <string>
#include <type_traits>

namespace program {

/// Rejects a value that is not a number from `least` to `most`. CLI11 itself would accept -1 as a huge unsigned number,
/// and NaN as any number. Its messages begin with the flag's name.
template <class T>
CLI::Validator between(std::type_identity_t<T> least, T most = std::numeric_limits<T>::max()) {
  return {[=](const std::string& given) -> std::string {
            const auto refusal = [&](const char* rule, const auto& bound) {
              std::ostringstream text;
              text << "must be " << rule << bound << ", found " << (given.empty() ? "nothing" : given);
              return text.str();
            };
            constexpr bool whole = std::is_integral_v<T>;
            char* end = nullptr;
            const long double value = std::strtold(given.c_str(), &end);  // wide enough for every T
            if (given.empty() || *end || std::isnan(value) ||
                (whole && given.find_first_not_of("+-0123456789") != std::string::npos))
              return refusal(whole ? "a whole number" : "a number", "");
            if (value < least) return refusal("at least ", least);
            if (value > most) return refusal("at most ", most);
            return "";
          },
          ""};
}

/// Rejects an empty text: a flag with an empty value by mistake ("$unset") differs from a flag that is not given.
inline CLI::Validator not_empty() {
  return {[](const std::string& given) { return given.empty() ? "must not be empty" : ""; }, ""};
}

/// Makes an option the hidden alias of a flag that had another name in version 0.1. CLI11 does not name hidden options
/// in its messages, so the check does.
inline void hide_old_name(CLI::Option* old, const std::string& name, const CLI::Validator& check) {
  old->group("")->check(CLI::Validator(
      [name, check](std::string& given) {
        const std::string failure = check(given);
        return failure.empty() ? failure : name + ": " + failure;
      },
      ""));
}

/// Runs a program. The exit status is 1, with one message, if it fails, also for an invalid flag or a full standard
/// output; 130 if it was interrupted.
template <class F>
int run(CLI::App& app, int argc, char** argv, F body) {
  try {
    int status = 0;
    try {
      app.set_version_flag("--version", std::string("iapt ") + iapt::library_version, "print the version and exit");
      app.parse(argc, argv);
      status = body();
    } catch (const CLI::ParseError& failure) {  // or --help, which is a success
      status = app.exit(failure) == 0 ? 0 : 1;
    }
    if (!std::cout.flush()) throw iapt::io_error("cannot write to standard output");
    return status;
  } catch (const std::exception& failure) {
    std::cerr << "iapt: " << failure.what() << '\n';
    return 1;
  }
}

}  // namespace program
