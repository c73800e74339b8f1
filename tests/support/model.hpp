// SPDX-License-Identifier: Apache-2.0
// Where the tests find the model, the data sets, stored references and built programs.
//
//   TEST_CASE("logits agree with the reference", "[model]") {
//     const auto model = iapt::test::require_model();
//     if (!model) return;   // skipped, with a warning; in CI require_model has failed the test
#pragma once
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "support/catch.hpp"

namespace iapt::test {

/// The environment variable, or nothing where it is unset or empty.
inline std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? std::optional<std::string>(value) : std::nullopt;
}

/// Whether a missing model is a failure: CI sets the variable CI.
inline bool in_ci() { return environment("CI").value_or("false") != "false"; }

/// The path that a variable names, if something is there.
inline std::optional<std::string> existing_path(const char* variable, const std::string& below = "") {
  const auto base = environment(variable);
  if (!base) return std::nullopt;
  const std::string path = below.empty() ? *base : *base + "/" + below;
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

/// SmolLM2-135M-Instruct.Q4_1.gguf, if it is there.
inline std::optional<std::string> model_path() { return existing_path("IAPT_TEST_MODEL"); }

/// The model, or nothing and a warning; fails in CI, where a skipped model test would hide that nothing was tested.
inline std::optional<std::string> require_model() {
  auto path = model_path();
  if (!path && in_ci()) FAIL("no model: run scripts/fetch_model.sh, or set IAPT_TEST_MODEL to its path");
  if (!path) WARN("skipped: no model (run scripts/fetch_model.sh, or set IAPT_TEST_MODEL to its path)");
  return path;
}

/// A file or folder of the data sets, "sst2" or "e2e/dev.jsonl", or nothing and a warning.
inline std::optional<std::string> require_dataset(const std::string& name) {
  auto path = existing_path("IAPT_DATASETS", name);
  if (!path) WARN("skipped: no data set " << name << " (set IAPT_DATASETS to the folder that holds it)");
  return path;
}

/// A program of examples/ by its name, or nothing and a warning.
inline std::optional<std::string> require_program(const std::string& name) {
  auto path = existing_path("IAPT_PROGRAMS", name);
  if (!path && in_ci()) FAIL("no program " << name << ": build it, or set IAPT_PROGRAMS to its folder");
  if (!path) WARN("skipped: no program " << name << " (set IAPT_PROGRAMS to the folder of the built examples)");
  return path;
}

/// A stored file of tests/data.
inline std::string test_data(const std::string& name) { return std::string(IAPT_TEST_DATA) + "/" + name; }

}  // namespace iapt::test
