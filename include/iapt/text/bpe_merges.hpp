// SPDX-License-Identifier: Apache-2.0
// The merges of byte-pair encoding: pairs of adjacent symbols become one, the lowest rank first.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// Which pairs of symbols merge, and in which order. A symbol is a token, or a part of one that has an id of its own.
/// @par Source Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"
class bpe_merges {
 public:
  /// The symbols of a word, and memory that is used again for the next word; for one thread.
  class workspace {
   public:
    /// Begins a word without symbols.
    /// @param size its size in bytes, which limits the number of symbols
    /// @throws io_error for a word of 2 GiB or more
    void begin(std::size_t size) {
      if (size > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
        throw io_error("tokenizer: a word of " + std::to_string(size) + " bytes is too long; split the text");
      symbols_.clear();
    }
    /// Appends a symbol, which is not negative.
    void push(token_id id) {
      const auto at = static_cast<std::int32_t>(symbols_.size());
      symbols_.push_back({id, at - 1, at + 1});
    }

   private:
    friend class bpe_merges;
    struct symbol {
      token_id id;
      std::int32_t previous, next;
    };
    std::vector<symbol> symbols_;
    std::vector<std::uint64_t> heap_;  // proposed merges: rank in the upper half, index of the symbol in the lower
  };

  /// Sets the rank and the result of a pair. If a pair is set twice, the last rank counts.
  void set(token_id left, token_id right, std::uint32_t rank, token_id merged) {
    merges_[pair_key(left, right)] = {rank, merged};
  }

  /// Sets the merges of a definition.
  /// @param spec the definition, of which the merges are read
  /// @param ids the vocabulary
  /// @param usable usable(id): whether a merge may give this token; one that may not is left out
  /// @throws io_error if a merge uses or gives a token that is not in the vocabulary
  template <class Usable>
  void read(const tokenizer_spec& spec, const std::unordered_map<std::string_view, token_id>& ids, Usable&& usable) {
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
      const token_id l = id_of(left), r = id_of(right), merged = id_of(left + right);
      if (usable(merged)) set(l, r, static_cast<std::uint32_t>(rank), merged);
    }
  }

  /// Merges the leftmost pair of the lowest rank until no pair can be merged, then calls `take(id)` for each symbol. It
  /// takes n log n time.
  template <class Take>
  void apply(workspace& work, Take&& take) const {
    auto& symbols = work.symbols_;
    auto& heap = work.heap_;
    heap.clear();
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
      take(symbols[static_cast<std::size_t>(at)].id);
  }

 private:
  static constexpr token_id none = -1;  // a symbol that was merged into the one before it
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

  std::unordered_map<std::uint64_t, merge, mix> merges_;
};

}  // namespace iapt
