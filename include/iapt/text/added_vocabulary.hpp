// SPDX-License-Identifier: Apache-2.0
// Gives added tokens their ids.
#pragma once
#include <cstddef>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "iapt/core/error.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// The added tokens of a definition from Hugging Face's files. A token that is in the vocabulary keeps its id there.
/// Each other one gets the next id, counted from the number of tokens; ids in the files are ignored.
/// @par Source tokenizers 0.23
class added_vocabulary {
 public:
  /// Starts with `spec.tokens` as the model's vocabulary, without added tokens.
  explicit added_vocabulary(tokenizer_spec& spec) : spec_(spec) {
    spec.added.clear();
    for (std::size_t id = 0; id < spec.tokens.size(); ++id)
      if (!spec.tokens[id].empty()) ids_[spec.tokens[id]] = static_cast<token_id>(id), last_ = id + 1;
    vocabulary_ = ids_.size();
    next_ = static_cast<token_id>(vocabulary_);
  }

  /// Adds a token, or changes the flags of an existing one, but never clears `special`. Its id is ignored.
  /// @throws io_error for a new token if the vocabulary leaves out ids: its id could belong to another token
  void add(added_token token) {
    if (token.text.empty()) return;
    const auto [found, is_new] = ids_.emplace(token.text, next_);
    if (is_new) refuse_gaps(token.text), ++next_;
    token.id = found->second;
    if (token.special) special_.insert(token.text);
    token.special = special_.contains(token.text);
    if (const auto at = static_cast<std::size_t>(token.id); at >= spec_.tokens.size()) spec_.tokens.resize(at + 1);
    const auto [place, is_first] = places_.emplace(token.id, spec_.added.size());
    if (is_first) {
      spec_.added.push_back(std::move(token));
    } else {
      spec_.added[place->second] = std::move(token);
    }
  }

  /// The id of a token of the vocabulary, or of an added one.
  /// @throws std::out_of_range if there is none
  token_id id_of(const std::string& text) const { return ids_.at(text); }

 private:
  void refuse_gaps(const std::string& text) const {
    if (last_ != vocabulary_)
      throw io_error(spec_.source + ": the vocabulary has " + std::to_string(vocabulary_) + " tokens, but ids up to " +
                     std::to_string(last_ - 1) + ", so it is not certain which one the added token \"" + text +
                     "\" has; write the added tokens into the vocabulary, too, with their ids");
  }

  tokenizer_spec& spec_;
  std::unordered_map<std::string, token_id> ids_;
  std::unordered_map<token_id, std::size_t> places_;  // index in spec_.added
  std::unordered_set<std::string> special_;
  std::size_t vocabulary_ = 0, last_ = 0;  // number of its tokens; the id after its last one
  token_id next_ = 0;
};

}  // namespace iapt
