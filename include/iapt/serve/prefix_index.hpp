// SPDX-License-Identifier: Apache-2.0
// Prefix caching: full KV blocks by the tokens that they were computed from.
#pragma once
#include <algorithm>
#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "iapt/core/token.hpp"
#include "iapt/model/kv_cache.hpp"

namespace iapt {

/// What keys and values depend on besides the tokens.
struct prefix_scope {
  std::uint64_t method = 0;                ///< id of the method that changes them; 0: the base model
  std::span<const token_id> written = {};  ///< the prompt that its soft tokens were written from, if any
  index_t soft_slots = 0;                  ///< slots of soft tokens before the first token
};

/// Finds full blocks by the tokens of the block and of all blocks before it: by the tokens themselves, not by a hash.
/// Its blocks stay cached until memory is needed. Then the least recently used block is evicted first, and of a chain
/// of blocks the last.
template <class T, class Backend>
class prefix_index {
 public:
  /// The index of a cache, which must outlive it.
  explicit prefix_index(kv_cache<T, Backend>& cache) : cache_(cache) {}
  prefix_index(const prefix_index&) = delete;
  prefix_index& operator=(const prefix_index&) = delete;

  /// The cached blocks of the longest known prefix of these tokens, at most `max_slots` slots.
  std::vector<std::int32_t> find(const prefix_scope& scope, std::span<const token_id> tokens, index_t max_slots) {
    std::vector<entry> found;
    for (walk at{scope, tokens, block_size()}; at.end <= max_slots && at.has_tokens();
         at.next(found.back()->second.id)) {
      const entry next = nodes_.find(at.key);
      if (next == nodes_.end()) break;
      found.push_back(next);
    }
    touch(found);
    std::vector<std::int32_t> blocks;
    for (const entry& one : found) blocks.push_back(one->second.block);
    return blocks;
  }
  /// Adds the full blocks of a sequence with these tokens, at most `max_slots` slots.
  void add(const prefix_scope& scope, std::span<const token_id> tokens, index_t sequence, index_t max_slots) {
    std::vector<entry> all;
    for (walk at{scope, tokens, block_size()}; at.end <= max_slots && at.has_tokens(); at.next(all.back()->second.id)) {
      entry one = nodes_.find(at.key);
      if (one == nodes_.end()) {
        const std::int32_t block = cache_.block(sequence, at.end / block_size() - 1);
        if (cache_.is_cached(block)) break;  // indexed under a parent that was evicted
        one = nodes_.try_emplace(at.key).first;
        one->second = {block, ++last_id_, used_.insert(used_.end(), one)};
        cache_.mark_cached(block);
      }
      all.push_back(one);
    }
    touch(all);
  }
  /// Evicts blocks until `blocks` are free or nothing is evictable.
  void make_room(index_t blocks) {
    for (auto oldest = used_.begin(); oldest != used_.end() && cache_.free_blocks() < blocks;) {
      const entry one = *oldest++;
      if (!cache_.is_evictable(one->second.block)) continue;
      cache_.evict(one->second.block);
      used_.erase(one->second.use);
      nodes_.erase(one);
    }
  }
  /// Number of indexed blocks.
  std::size_t size() const { return nodes_.size(); }

 private:
  // What a block was computed from: its tokens, and the id of the block before it.
  struct node_key {
    std::uint64_t parent;  // id of the block before; 0: none
    std::uint64_t method;
    std::vector<token_id> tokens;
    auto operator<=>(const node_key&) const = default;
  };
  struct node;
  using map = std::map<node_key, node>;
  using entry = typename map::iterator;
  struct node {
    std::int32_t block = 0;
    std::uint64_t id = 0;  // unique
    typename std::list<entry>::iterator use = {};
  };
  // Goes from block to block of a request's tokens.
  struct walk {
    std::span<const token_id> tokens;
    index_t block_size, soft_slots;
    index_t end;   // slots up to the end of the block
    node_key key;  // the block's

    walk(const prefix_scope& scope, std::span<const token_id> tokens, index_t block_size)
        : tokens(tokens),
          block_size(block_size),
          soft_slots(scope.soft_slots),
          end(block_size),
          key{0, scope.method, {scope.written.begin(), scope.written.end()}} {
      add_tokens();
    }
    bool has_tokens() const { return end - soft_slots <= index_t(tokens.size()); }
    void next(std::uint64_t parent) {
      end += block_size, key.parent = parent, key.tokens.clear();
      add_tokens();
    }
    void add_tokens() {
      const index_t from = std::max<index_t>(end - block_size - soft_slots, 0),
                    to = std::max<index_t>(end - soft_slots, 0);
      if (has_tokens()) key.tokens.insert(key.tokens.end(), tokens.begin() + from, tokens.begin() + to);
    }
  };
  index_t block_size() const { return cache_.size().block_size; }
  // Marks a chain as used, the first block last: no block is older than those behind it.
  void touch(const std::vector<entry>& chain) {
    for (auto i = chain.rbegin(); i != chain.rend(); ++i) used_.splice(used_.end(), used_, (*i)->second.use);
  }

  kv_cache<T, Backend>& cache_;
  map nodes_;
  std::list<entry> used_;  // least recently used first
  std::uint64_t last_id_ = 0;
};

}  // namespace iapt
