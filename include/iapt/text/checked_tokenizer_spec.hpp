// SPDX-License-Identifier: Apache-2.0
// Checks the definition of a tokenizer, from which `tokenizer` is built.
#pragma once
#include <cstddef>
#include <optional>
#include <string>

#include "iapt/core/error.hpp"
#include "iapt/text/end_of_generation.hpp"
#include "iapt/text/tokenizer_spec.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// `spec`, with every id in the vocabulary and with all tokens that end an answer.
/// @throws io_error if an id is not in the vocabulary, or an added token is not valid UTF-8
inline tokenizer_spec checked_tokenizer_spec(tokenizer_spec spec) {
  auto in_range = [&](std::optional<token_id> id, const std::string& what) {
    if (id && (*id < 0 || static_cast<std::size_t>(*id) >= spec.tokens.size()))
      throw io_error(spec.source + ": " + what + " has id " + std::to_string(*id) + ", but the vocabulary has " +
                     std::to_string(spec.tokens.size()) + " tokens; the file is damaged");
  };
  in_range(spec.first, "the token that a prompt starts with");
  in_range(spec.bos, "the beginning-of-text token");
  in_range(spec.eos, "the end token");
  in_range(spec.unknown, "the unknown token");
  for (const auto& token : spec.added) {
    // Invalid UTF-8 would split characters, but the matchers of the splits need whole ones.
    utf8::require_valid(token.text, spec.source + ": the added token of id " + std::to_string(token.id));
    in_range(token.id, "the added token \"" + token.text + "\"");
  }
  for (const token_id id : spec.end_of_generation) in_range(id, "a token that ends an answer");
  complete_end_of_generation(spec);
  return spec;
}

}  // namespace iapt
