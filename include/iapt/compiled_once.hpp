// SPDX-License-Identifier: Apache-2.0
// What a program of several translation units may compile once; see core/compiled_once.hpp.
#pragma once
#include "iapt/jinja/program_members.hpp"
