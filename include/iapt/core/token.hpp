// SPDX-License-Identifier: Apache-2.0
// Tokens, as the tokenizer writes them and the model reads them.
#pragma once
#include <cstdint>

namespace iapt {

/// A token's number in the vocabulary.
using token_id = std::int32_t;

}  // namespace iapt
