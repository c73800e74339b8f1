// SPDX-License-Identifier: Apache-2.0
// Examples to learn from or to evaluate: one line of a data file, as tokens.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "iapt/core/shape.hpp"
#include "iapt/model/packed_batch.hpp"

namespace iapt {

/// An instruction and the response to learn.
struct example {
  std::vector<token_id> instruction;   ///< all tokens before the response, at least one
  std::vector<token_id> response;      ///< the response, end token included
  std::size_t line = 0;                ///< number of its line in the file, from 1
  std::vector<std::string> tags = {};  ///< categories by which results are counted
};

/// A question with several answers, one of them right.
struct choice_example {
  std::vector<token_id> instruction;           ///< all tokens before the answer, at least one
  std::vector<std::vector<token_id>> choices;  ///< the answers, end token included
  std::size_t answer = 0;                      ///< index of the right one
  std::size_t line = 0;                        ///< number of its line in the file, from 1
  std::vector<std::string> tags = {};          ///< categories by which results are counted
};

/// Number of tokens that count for a length limit: instruction and response.
inline index_t length_of(const example& e) { return index_t(e.instruction.size() + e.response.size()); }

}  // namespace iapt
