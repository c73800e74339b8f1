// SPDX-License-Identifier: Apache-2.0
// Commands of the shell, and what they did.
#pragma once
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "support/catch.hpp"

namespace iapt::test {

/// What a command did.
struct outcome {
  int status;        ///< of its exit
  std::string text;  ///< standard output and standard error
};

/// Runs a command of the shell.
inline outcome shell(const std::string& command) {
  outcome found{-1, ""};
  std::FILE* pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
  REQUIRE(pipe);
  for (int c; (c = std::fgetc(pipe)) != EOF;) found.text += char(c);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) found.status = WEXITSTATUS(status);
  return found;
}

/// One word of the shell.
inline std::string word(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

}  // namespace iapt::test
