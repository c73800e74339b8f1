// SPDX-License-Identifier: Apache-2.0
// Chat templates: the class `program`, and its members unless they are compiled elsewhere.
#pragma once
#include "iapt/jinja/program_class.hpp"
#if !defined(IAPT_COMPILED_ELSEWHERE)
#include "iapt/jinja/program_members.hpp"
#endif
