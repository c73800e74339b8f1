// SPDX-License-Identifier: Apache-2.0
// Converts tokens to text while they are generated, in whole characters.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "iapt/text/tokenizer.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// Decodes tokens one by one. If a token ends inside a character, its bytes are held back until the rest arrives. All
/// returned strings together equal the result of `tokenizer::decode`.
class stream_decoder {
 public:
  /// Decodes tokens of `source`, which must outlive this object. The flags are those of `tokenizer::decode`.
  explicit stream_decoder(const tokenizer& source, bool skip_special = false, bool begins_text = true)
      : source_(&source), skip_special_(skip_special), strips_space_(begins_text && source.strips_space()) {}

  /// Adds a token and returns the text that is now complete, which may be empty.
  /// @throws error for an id that is not in the vocabulary
  std::string next(token_id id) {
    const std::string_view bytes = source_->bytes(id);
    if (!(skip_special_ && source_->is_special(id))) waiting_ += bytes;
    std::size_t whole = 0;
    while (whole < waiting_.size()) {
      const utf8::step s = utf8::next(std::string_view(waiting_).substr(whole));
      if (s.kind == utf8::step_kind::incomplete) break;
      whole += s.size;
    }
    std::string out = utf8::repair(std::string_view(waiting_).substr(0, whole));
    waiting_.erase(0, whole);
    if (!out.empty() && !std::exchange(begun_, true) && strips_space_ && out[0] == ' ') out.erase(0, 1);
    return out;
  }

  /// Ends the text: returns U+FFFD if the last character is incomplete, otherwise nothing. Resets the decoder.
  std::string finish() {
    begun_ = false;
    return utf8::repair(std::exchange(waiting_, {}));
  }

 private:
  const tokenizer* source_;
  bool skip_special_, strips_space_;
  bool begun_ = false;  // whether text was returned
  std::string waiting_;
};

}  // namespace iapt
