// SPDX-License-Identifier: Apache-2.0
// The version of the library. CMakeLists.txt reads it here.
#pragma once

namespace iapt {

/// Major, minor and patch; docs/decisions.md says what each may change. `--version` of the programs prints it, and
/// adapters and runs store it.
inline constexpr const char* library_version = "0.2.0";

}  // namespace iapt
