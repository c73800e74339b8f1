// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding of one word: its bytes as tokens, then the merges of the vocabulary, lowest rank first.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/text/bpe_merges.hpp"
#include "iapt/text/byte_alphabet.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// The merge rules of a byte-level vocabulary.
/// @par Source Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"
class bpe {
 public:
  /// Reads vocabulary and merges from `spec`.
  /// @throws io_error if a merge uses or gives a token that is not in the vocabulary, or if no token is a single byte
  explicit bpe(const tokenizer_spec& spec) : unknown_(spec.unknown), fuse_unknown_(spec.fuse_unknown) {
    std::unordered_map<std::string_view, token_id> ids;
    ids.reserve(spec.tokens.size());
    for (std::size_t id = 0; id < spec.tokens.size(); ++id)
      if (!spec.tokens[id].empty()) ids[spec.tokens[id]] = static_cast<token_id>(id);

    bool any = false;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const auto found = ids.find(byte_alphabet::from_bytes(std::string(1, static_cast<char>(byte))));
      byte_ids_[byte] = found == ids.end() ? none : found->second;
      any = any || found != ids.end();
    }
    if (!any)
      throw io_error(spec.source + ": no token of the vocabulary is a single byte, so this is not a byte-level BPE " +
                     "vocabulary");

    merges_.read(spec, ids, [](token_id) { return true; });

    if (!spec.ignore_merges) return;
    for (const added_token& token : spec.added) ids.erase(token.text);  // unrecognised ones stay text
    for (const auto& [token, id] : ids)
      if (auto word = byte_alphabet::to_bytes(token)) words_[*word] = id;
  }

  using workspace = bpe_merges::workspace;  ///< Memory of `encode`, used again for each word; for one thread.

  /// Appends the tokens of `word` (bytes) to `out`. It merges the leftmost pair of the lowest rank until no pair can be
  /// merged. Bytes that are not in the vocabulary become the unknown token; without one they are left out.
  /// @throws io_error for a word of 2 GiB or more
  void encode(std::string_view word, std::vector<token_id>& out, workspace& work) const {
    if (!words_.empty())
      if (const auto found = words_.find(std::string(word)); found != words_.end()) return out.push_back(found->second);
    work.begin(word.size());
    bool in_unknown = false;
    for (const char c : word) {
      const token_id id = byte_ids_[static_cast<unsigned char>(c)];
      const bool skipped = id == none && (!unknown_ || (fuse_unknown_ && in_unknown));
      in_unknown = id == none;
      if (skipped) continue;
      work.push(id == none ? *unknown_ : id);
    }
    merges_.apply(work, [&](token_id id) { out.push_back(id); });
  }

 private:
  static constexpr token_id none = -1;

  std::array<token_id, 256> byte_ids_{};
  bpe_merges merges_;
  std::unordered_map<std::string, token_id> words_;  // only with ignore_merges
  std::optional<token_id> unknown_;
  bool fuse_unknown_;
};

}  // namespace iapt
