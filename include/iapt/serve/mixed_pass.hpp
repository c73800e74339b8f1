// SPDX-License-Identifier: Apache-2.0
// Requests of many tenants, and what one pass reads of them.
// Shapes: P soft tokens of a request.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "iapt/serve/any_method.hpp"
#include "iapt/serve/beam_search.hpp"
#include "iapt/serve/prefix_index.hpp"

namespace iapt {

/// Why a request ended.
enum class finish_reason {
  stop,       ///< a stop token came
  length,     ///< it has as many tokens as were asked for
  cancelled,  ///< nobody wanted it any more
  failed      ///< its logits were not finite, or its pass failed
};

/// What one tenant asks for.
template <class T, class Backend>
struct engine_request {
  std::vector<token_id> prompt;                        ///< of at least `shortest_prompt` tokens
  generation_options options = {};                     ///< length, stop tokens, sampling
  shared_method<T, Backend> method = {};               ///< the tenant's; null: the bare model
  std::function<bool(const chosen_token&)> seen = {};  ///< hears of each token; returns whether it goes on
  std::function<void(finish_reason)> finished = {};    ///< hears of the end, once
  std::function<bool()> wanted = {};                   ///< asked before each pass; where it says no, the request ends
  /// Hears of each token of the prompt and, but for the first, how likely it was, and of a token that ends the answer:
  /// of all that was read or chosen and is no part of the answer. All of the prompt is read then.
  std::function<void(const chosen_token&)> read = {};
  std::uint64_t client = 0;  ///< whom it is for, where a client's requests are bounded

  /// P; 0 without soft tokens.
  index_t soft_tokens() const { return method ? method->soft_tokens() : 0; }
  /// Tokens that a prompt must have: what its soft tokens are written from, and one to read behind them.
  index_t shortest_prompt() const { return (method ? method->shortest_instruction() : 1) + (late() ? 1 : 0); }
  /// Whether its soft tokens are written from the prompt.
  bool writes_soft_tokens() const { return soft_tokens() > 0 && !method->shares_soft_tokens(); }
  /// Whether there are soft tokens, and late.
  bool late() const { return soft_tokens() > 0 && method->where() == placement::late; }
  /// Rows of a cache for the prompt, the soft tokens and an answer; the answer's last token is never read.
  index_t rows() const { return index_t(prompt.size()) + soft_tokens() + std::max<index_t>(options.max_new, 1) - 1; }
  /// What its rows depend on beside their tokens; late, those of the prompt but the last.
  prefix_scope scope() const {
    if (!method || late()) return {};
    return {method->number(), writes_soft_tokens() ? std::span<const token_id>(prompt) : std::span<const token_id>(),
            soft_tokens()};
  }
};

/// A sequence of a request at work: its only one, or one of those that a beam search follows.
struct engine_line {
  std::vector<token_id> tokens;  ///< the prompt, then what was generated
  index_t place = -1;            ///< sequence of the cache; -1 while its request waits
  index_t read = 0;              ///< of its tokens, into the cache
  index_t known = 0;             ///< blocks that others may find

  /// Number of tokens.
  index_t size() const { return index_t(tokens.size()); }
};

/// A request at work.
template <class T, class Backend>
struct engine_job {
  engine_request<T, Backend> request;     ///< what is asked
  std::optional<beam_search> beams = {};  ///< of more than one, instead
  std::vector<engine_line> lines = {};    ///< none before it begins, then one, or as many as beams live
  std::vector<index_t> places = {};       ///< of the cache, that it has
  std::vector<index_t> spare = {};        ///< of them, for lines to come
  index_t reached = 0;                    ///< tokens of each beam when its blocks were given back
  bool counted = false;                   ///< whether what others had read for it has been counted
  bool begun = false;                     ///< whether a pass has read some of it
  bool done = false;                      ///< whether it has ended
  bool suspect = false;                   ///< whether a pass failed that read it: its method is read apart then
  index_t told = 0;                       ///< tokens of the prompt that `request.read` has heard of

  /// Number of tokens of the prompt.
  index_t prompt_size() const { return index_t(request.prompt.size()); }
  /// What came so far of one that has no beams.
  std::span<const token_id> generated() const { return std::span(lines[0].tokens).subspan(request.prompt.size()); }
  /// Rows of the cache, of so many, that hold what `request.scope()` says.
  index_t in_scope(index_t rows) const { return request.late() ? std::min(rows, prompt_size() - 1) : rows; }
};

/// What a pass reads of one request.
template <class T, class Backend>
struct engine_share {
  engine_job<T, Backend>* of;  ///< the request
  engine_line* line;           ///< which of its sequences
  index_t from;                ///< its first token
  index_t to;                  ///< one past the last
  bool writes;                 ///< whether its soft tokens are written
  bool ends;                   ///< whether all tokens have been read then; the line itself may go on, or go, meanwhile

  /// What comes next of a sequence, at most so many rows. A generator needs the whole prompt at once, late without its
  /// last token, which comes next; where the cache keeps states, it reads them there when that token comes.
  static engine_share next(engine_job<T, Backend>& job, engine_line& line, index_t most, bool keeps_states) {
    const auto& r = job.request;
    const index_t context = r.late() ? job.prompt_size() - 1 : 0;
    const bool kept = r.late() && keeps_states, writes = r.soft_tokens() > 0 && line.read == (kept ? context : 0);
    index_t to = line.read < context ? context : line.size();
    if (!writes || kept || r.method->shares_soft_tokens()) to = std::min(to, line.read + std::max<index_t>(most, 1));
    return {&job, &line, line.read, to, writes, to == line.size()};
  }
  /// Rows of the pass.
  index_t rows() const { return to - from; }
  /// Rows that the cache has more behind it.
  index_t added() const { return rows() + (writes ? of->request.soft_tokens() : 0); }
  /// Whether the next token is to be chosen then.
  bool asks() const { return ends && of->request.options.max_new > 0; }
};

/// A row that says how likely a token of a prompt was.
template <class T, class Backend>
struct scored_row {
  engine_job<T, Backend>* of;  ///< whose prompt
  index_t token;               ///< which of its tokens
};

/// One pass over shares of requests, for whose rows the cache has the blocks already. Those of one method stand
/// together.
template <class T, class Backend>
class mixed_pass {
 public:
  using share = engine_share<T, Backend>;  ///< of a request

  /// Of these shares, behind what a cache holds of their requests.
  mixed_pass(std::vector<share> shares, const kv_cache<T, Backend>& cache) : shares_(std::move(shares)) {
    // In the order in which methods first come: addresses would differ from run to run.
    std::vector<const any_method<T, Backend>*> order;
    for (const share& s : shares_)
      if (std::find(order.begin(), order.end(), method_of(s)) == order.end()) order.push_back(method_of(s));
    const auto number = [&](const share& s) { return std::find(order.begin(), order.end(), method_of(s)); };
    std::stable_sort(shares_.begin(), shares_.end(),
                     [&](const share& a, const share& b) { return number(a) < number(b); });
    method_.cache = &cache;
    for (const share& s : shares_) add(s, cache);
    asked_ = index_t(plan_.wanted.size());
    plan_.wanted.insert(plan_.wanted.end(), scored_rows_.begin(), scored_rows_.end());
    for (std::size_t i = 0; i < kept_.size(); ++i)
      if (!kept_[i].empty()) method_.parts[i].kept.emplace(cache.layer(0).keys.backend(), kept_[i]);
    method_.plan_lora_batch(cache.layer(0).keys.backend(), int(cache.layers()));
  }
  /// The shares, in the order of their rows.
  const std::vector<share>& shares() const { return shares_; }
  /// Which rows are read, and what they see.
  const pass_plan& plan() const { return plan_; }
  /// Rows whose next tokens are to be chosen: the first of those that are wanted.
  index_t asked() const { return asked_; }
  /// What the other wanted rows say.
  const std::vector<scored_row<T, Backend>>& scored() const { return scored_; }
  /// The methods of the rows.
  const mixed_method<T, Backend>& method() const { return method_; }

 private:
  static const any_method<T, Backend>* method_of(const share& s) { return s.of->request.method.get(); }

  void add(const share& s, const kv_cache<T, Backend>& cache) {
    const auto& request = s.of->request;
    const index_t P = request.soft_tokens(), begin = index_t(plan_.tokens.size());
    const index_t filled = cache.filled(0, s.line->place);
    auto& parts = method_.parts;
    if (parts.empty() || parts.back().method != method_of(s))
      parts.push_back({method_of(s), {begin, begin}, {method_.soft_rows, method_.soft_rows}}), kept_.emplace_back();
    auto& own = parts.back();
    attention_segment seen{
        .begin = begin, .count = s.rows(), .past_begin = cache.begin(s.line->place), .past_count = filled};
    index_t first = filled;  // position of the first row
    if (s.writes) {
      const bool late = request.late(), kept = late && cache.size().keeps_states;
      const index_t before = late && !kept ? s.rows() : 0;  // of these rows, none of which sees them then
      if (!request.method->shares_soft_tokens() || own.soft.count() == 0) {  // shared ones are there once
        for (index_t p = 0; p < P; ++p) plan_.soft_positions.push_back(filled + before + p);
        method_.soft_rows += P, own.soft.end += P;
      }
      seen.prefix_begin = own.soft.end - P, seen.prefix_count = P;
      seen.prefix_from = before;
      if (kept) {
        auto& rows = kept_.back();
        own.instructions.push_back({index_t(rows.size()), index_t(rows.size()) + filled});
        for (index_t i = 0; i < filled; ++i) rows.push_back(std::int32_t(cache.row(s.line->place, i)));
      } else {
        own.instructions.push_back({begin, begin + (late ? s.rows() : s.of->prompt_size())});
      }
      if (!before) first += P;
    }
    for (index_t i = s.from; i < s.to; ++i) {
      plan_.tokens.push_back(s.line->tokens[std::size_t(i)]);
      plan_.positions.push_back(first + i - s.from);
    }
    own.rows.end = begin + s.rows();
    plan_.segments.push_back(seen);
    plan_.sequences.push_back(s.line->place);
    if (s.asks()) plan_.wanted.push_back(std::int32_t(begin + s.rows() - 1));
    if (!request.read) return;
    for (index_t token = std::max(s.from + 1, s.of->told); token < std::min(s.to + 1, s.of->prompt_size()); ++token) {
      scored_.push_back({s.of, token});
      scored_rows_.push_back(std::int32_t(begin + token - 1 - s.from));
    }
  }

  std::vector<share> shares_;
  pass_plan plan_;
  mixed_method<T, Backend> method_;
  std::vector<std::vector<std::int32_t>> kept_;  // of each part
  index_t asked_ = 0;
  std::vector<scored_row<T, Backend>> scored_;
  std::vector<std::int32_t> scored_rows_;  // of the pass
};

}  // namespace iapt
