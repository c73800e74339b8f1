// SPDX-License-Identifier: Apache-2.0
// Blocks of a cache by what was read into them, so that requests that begin alike read it once.
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

/// What rows of a cache depend on beside their tokens.
struct prefix_scope {
  std::uint64_t method = 0;                ///< number of the method that has a part in them; 0: the bare model alone
  std::span<const token_id> written = {};  ///< what its soft tokens were written from, if from a prompt
  index_t soft_rows = 0;                   ///< rows of soft tokens before those of the first token
};

/// Finds full blocks by the tokens that they and all blocks before them were read from: exactly, not by a hash of them.
/// It holds what it knows, each block once, until the blocks are needed; those that were used longest ago go first, and
/// of blocks that follow each other the last.
template <class T, class Backend>
class prefix_index {
 public:
  /// Of a cache, which must outlive it.
  explicit prefix_index(kv_cache<T, Backend>& cache) : cache_(cache) {}
  prefix_index(const prefix_index&) = delete;
  prefix_index& operator=(const prefix_index&) = delete;

  /// The blocks whose rows a request with these tokens would begin with, at most so many rows of them.
  std::vector<std::int32_t> find(const prefix_scope& scope, std::span<const token_id> tokens, index_t most_rows) {
    std::vector<entry> found;
    for (walk at{scope, tokens, rows()}; at.end <= most_rows && at.has_tokens(); at.next(found.back()->second.number)) {
      const entry next = nodes_.find(at.key);
      if (next == nodes_.end()) break;
      found.push_back(next);
    }
    touch(found);
    std::vector<std::int32_t> blocks;
    for (const entry& one : found) blocks.push_back(one->second.block);
    return blocks;
  }
  /// Learns the blocks that a sequence has of these tokens, as far as they are full and at most so many rows of them.
  void add(const prefix_scope& scope, std::span<const token_id> tokens, index_t sequence, index_t most_rows) {
    std::vector<entry> all;
    for (walk at{scope, tokens, rows()}; at.end <= most_rows && at.has_tokens(); at.next(all.back()->second.number)) {
      entry one = nodes_.find(at.key);
      if (one == nodes_.end()) {
        const std::int32_t block = cache_.block(sequence, at.end / rows() - 1);
        if (cache_.held(block)) break;  // known already, behind another block that was forgotten
        one = nodes_.try_emplace(at.key).first;
        one->second = {block, ++numbers_, used_.insert(used_.end(), one)};
        cache_.hold(block);
      }
      all.push_back(one);
    }
    touch(all);
  }
  /// Forgets blocks that no sequence has until so many are free, or none is left.
  void make_room(index_t blocks) {
    for (auto oldest = used_.begin(); oldest != used_.end() && cache_.free_blocks() < blocks;) {
      const entry one = *oldest++;
      if (!cache_.idle(one->second.block)) continue;
      cache_.drop(one->second.block);
      used_.erase(one->second.use);
      nodes_.erase(one);
    }
  }
  /// Number of blocks that it knows.
  std::size_t size() const { return nodes_.size(); }

 private:
  // What a block was read from: all that came before by the number of the block before it.
  struct node_key {
    std::uint64_t before;  // 0: nothing
    std::uint64_t method;
    std::vector<token_id> tokens;
    auto operator<=>(const node_key&) const = default;
  };
  struct node;
  using map = std::map<node_key, node>;
  using entry = typename map::iterator;
  struct node {
    std::int32_t block = 0;
    std::uint64_t number = 0;  // never used again
    typename std::list<entry>::iterator use = {};
  };
  // Goes from block to block of a request's tokens.
  struct walk {
    std::span<const token_id> tokens;
    index_t rows, soft_rows;
    index_t end;   // rows up to the end of the block
    node_key key;  // of the block

    walk(const prefix_scope& scope, std::span<const token_id> tokens, index_t rows)
        : tokens(tokens),
          rows(rows),
          soft_rows(scope.soft_rows),
          end(rows),
          key{0, scope.method, {scope.written.begin(), scope.written.end()}} {
      add_tokens();
    }
    bool has_tokens() const { return end - soft_rows <= index_t(tokens.size()); }
    void next(std::uint64_t number) {
      end += rows, key.before = number, key.tokens.clear();
      add_tokens();
    }
    void add_tokens() {
      const index_t from = std::max<index_t>(end - rows - soft_rows, 0), to = std::max<index_t>(end - soft_rows, 0);
      if (has_tokens()) key.tokens.insert(key.tokens.end(), tokens.begin() + from, tokens.begin() + to);
    }
  };
  index_t rows() const { return cache_.size().block_rows; }
  // The first one last, so that no block was used longer ago than what follows it.
  void touch(const std::vector<entry>& chain) {
    for (auto i = chain.rbegin(); i != chain.rend(); ++i) used_.splice(used_.end(), used_, (*i)->second.use);
  }

  kv_cache<T, Backend>& cache_;
  map nodes_;
  std::list<entry> used_;  // the one that was used longest ago first
  std::uint64_t numbers_ = 0;
};

}  // namespace iapt
