// SPDX-License-Identifier: Apache-2.0
// For code that is no template and takes long to compile: a program of several translation units may compile it once.
#pragma once

/// Stands before the definition of such a function. By default it is inline: every unit that calls it compiles it. A
/// program may instead define IAPT_COMPILED_ELSEWHERE for all of its units, and have one more unit, which defines
/// IAPT_COMPILED_HERE and includes iapt/compiled_once.hpp.
#if defined(IAPT_COMPILED_HERE)
#define IAPT_COMPILED_ONCE
#else
#define IAPT_COMPILED_ONCE inline
#endif
