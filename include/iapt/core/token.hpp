// SPDX-License-Identifier: Apache-2.0
// The type of token ids.
#pragma once
#include <cstdint>

namespace iapt {

/// The id of a token in the vocabulary.
using token_id = std::int32_t;

}  // namespace iapt
