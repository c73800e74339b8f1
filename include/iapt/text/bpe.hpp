// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding of one word: its bytes as tokens, then the merges of the vocabulary, lowest rank first.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "iapt/core/error.hpp"
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
                     "vocabulary (a SentencePiece model is not supported)");

    merges_.reserve(spec.merges.size());
    for (std::size_t rank = 0; rank < spec.merges.size(); ++rank) {
      const std::string &left = spec.merges[rank].first, &right = spec.merges[rank].second;
      auto id_of = [&](const std::string& token) {
        const auto found = ids.find(token);
        if (found == ids.end())
          throw io_error(spec.source + ": merge " + std::to_string(rank) + " (\"" + left + "\" with \"" + right +
                         "\") needs the token \"" + token + "\", which is not in the vocabulary; the file is damaged");
        return found->second;
      };
      // If a pair is listed twice, its last rank counts, as in Hugging Face's tokenizers.
      const token_id l = id_of(left), r = id_of(right);
      merges_[pair_key(l, r)] = {static_cast<std::uint32_t>(rank), id_of(left + right)};
    }

    if (!spec.ignore_merges) return;
    for (const added_token& token : spec.added) ids.erase(token.text);  // unrecognised ones stay text
    for (const auto& [token, id] : ids)
      if (auto word = byte_alphabet::to_bytes(token)) words_[*word] = id;
  }

  /// Memory of `encode`, used again for each word; for one thread.
  class workspace {
    friend class bpe;
    struct symbol {
      token_id id;
      std::int32_t previous, next;
    };
    std::vector<symbol> symbols_;
    std::vector<std::uint64_t> heap_;  // proposed merges: rank in the upper half, index of the symbol in the lower
  };

  /// Appends the tokens of `word` (bytes) to `out`. It merges the leftmost pair of the lowest rank until no pair can be
  /// merged. Bytes that are not in the vocabulary become the unknown token; without one they are left out.
  /// @throws io_error for a word of 2 GiB or more
  void encode(std::string_view word, std::vector<token_id>& out, workspace& work) const {
    if (!words_.empty())
      if (const auto found = words_.find(std::string(word)); found != words_.end()) return out.push_back(found->second);
    if (word.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      throw io_error("tokenizer: a word of " + std::to_string(word.size()) + " bytes is too long; split the text");

    auto& symbols = work.symbols_;
    auto& heap = work.heap_;
    symbols.clear();
    heap.clear();
    bool in_unknown = false;
    for (const char c : word) {
      const token_id id = byte_ids_[static_cast<unsigned char>(c)];
      const bool skipped = id == none && (!unknown_ || (fuse_unknown_ && in_unknown));
      in_unknown = id == none;
      if (skipped) continue;
      const auto at = static_cast<std::int32_t>(symbols.size());
      symbols.push_back({id == none ? *unknown_ : id, at - 1, at + 1});
    }
    if (symbols.empty()) return;
    symbols.back().next = -1;

    // Merges of a symbol with its right neighbour, the lowest rank first, then the leftmost.
    auto rule_at = [&](std::int32_t at) {
      const auto& left = symbols[static_cast<std::size_t>(at)];
      if (left.id == none || left.next < 0) return merges_.end();
      return merges_.find(pair_key(left.id, symbols[static_cast<std::size_t>(left.next)].id));
    };
    auto propose = [&](std::int32_t at) {
      if (at < 0) return false;
      const auto rule = rule_at(at);
      if (rule == merges_.end()) return false;
      heap.push_back(static_cast<std::uint64_t>(rule->second.rank) << 32 | static_cast<std::uint32_t>(at));
      return true;
    };
    for (std::size_t at = 0; at + 1 < symbols.size(); ++at) propose(static_cast<std::int32_t>(at));
    std::make_heap(heap.begin(), heap.end(), std::greater<>());

    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      const std::uint64_t best = heap.back();
      heap.pop_back();
      const auto at = static_cast<std::int32_t>(best & 0xFFFFFFFFu);
      const auto rule = rule_at(at);
      if (rule == merges_.end() || rule->second.rank != best >> 32) continue;  // a symbol was merged meanwhile
      auto& left = symbols[static_cast<std::size_t>(at)];
      auto& right = symbols[static_cast<std::size_t>(left.next)];
      left.id = rule->second.merged;
      left.next = right.next;
      right.id = none;
      if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = at;
      for (const std::int32_t changed : {left.previous, at})
        if (propose(changed)) std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
    for (std::int32_t at = 0; at >= 0; at = symbols[static_cast<std::size_t>(at)].next)
      out.push_back(symbols[static_cast<std::size_t>(at)].id);
  }

 private:
  static constexpr token_id none = -1;
  struct merge {
    std::uint32_t rank;
    token_id merged;
  };
  static std::uint64_t pair_key(token_id left, token_id right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }
  // Keys are two small ids in two halves: mixing spreads them over the buckets.
  struct mix {
    std::size_t operator()(std::uint64_t key) const {
      key *= 0x9E3779B97F4A7C15u;
      return static_cast<std::size_t>(key ^ key >> 32);
    }
  };

  std::array<token_id, 256> byte_ids_{};
  std::unordered_map<std::uint64_t, merge, mix> merges_;
  std::unordered_map<std::string, token_id> words_;  // only with ignore_merges
  std::optional<token_id> unknown_;
  bool fuse_unknown_;
};

}  // namespace iapt
