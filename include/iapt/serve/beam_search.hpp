// SPDX-License-Identifier: Apache-2.0
// Beam search: several continuations of one prompt at once.  Shapes: W beams, H live hypotheses, V vocabulary.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "iapt/serve/choice.hpp"

namespace iapt {

/// One continuation.
struct beam_hypothesis {
  std::vector<token_id> tokens = {};                            ///< tokens of the continuation, without a stop token
  std::vector<token_log_probabilities> log_probabilities = {};  ///< log-probabilities of these tokens, if requested
  double score = 0;      ///< Σ log p while it is live; then divided by (number of tokens, the last included)^penalty
  bool stopped = false;  ///< whether a stop token ended it
};

/// Follows the W likeliest continuations. A hypothesis is finished if a stop token ends it and it is among the W best
/// of a step; the W best finished ones are kept. The search ends at the largest allowed length, or when no live
/// hypothesis would be among these if it were finished now. Probabilities are those of `sampler::distribution`, so they
/// include penalties. Equal scores are ordered by hypothesis, then by token.
/// @par Source Graves 2012, "Sequence transduction with recurrent neural networks"; division by a power of the length
/// and the end conditions: transformers' beam search (early_stopping=False)
class beam_search {
 public:
  /// Starts with one live hypothesis without tokens. The options must outlive it.
  explicit beam_search(const generation_options& options) : options_(&options), living_(1) {}

  /// The live hypotheses, the best first.
  const std::vector<beam_hypothesis>& living() const { return living_; }
  /// Whether it has ended.
  bool done() const { return done_; }
  /// The best finished hypothesis; there is one when the search is done.
  const beam_hypothesis& best() const { return finished_.front(); }

  /// Appends one token to the hypotheses.
  /// @param sample computes the distributions; only its memory is used
  /// @param logits (H, V), a row for each live hypothesis, on the host
  /// @param prompt tokens of the prompt
  /// @return for each hypothesis that is live then, the index of the one that it continues
  /// @throws numeric_error if a logit is not finite
  template <class T>
  std::vector<std::size_t> step(sampler& sample, std::span<const T> logits, std::span<const token_id> prompt) {
    const auto width = std::size_t(options_->beams), columns = logits.size() / living_.size();
    std::vector<candidate> all;
    for (std::size_t h = 0; h < living_.size(); ++h) {
      // As many tokens of a row as are needed if all stop tokens come first.
      std::vector<scored_token> row =
          sample.distribution(logits.subspan(h * columns, columns), options_->sampling, {prompt, living_[h].tokens});
      const auto most = std::min(row.size(), width + options_->stop.size());
      std::partial_sort(row.begin(), row.begin() + std::ptrdiff_t(most), row.end(), likelier);
      for (std::size_t i = 0; i < most; ++i)
        all.push_back({h, row[i].token, living_[h].score + row[i].log_probability});
    }
    std::stable_sort(all.begin(), all.end(), [](const candidate& a, const candidate& b) { return a.score > b.score; });
    ++length_;
    std::vector<beam_hypothesis> next;
    std::vector<std::size_t> from;
    for (std::size_t rank = 0; rank < all.size() && next.size() < width; ++rank) {
      const candidate& c = all[rank];
      beam_hypothesis one = living_[c.from];
      one.score = c.score;
      one.stopped = options_->stops_at(c.token);
      if (one.stopped) {
        if (rank < width) finish(std::move(one));
        continue;
      }
      one.tokens.push_back(c.token);
      if (const auto count = options_->log_probabilities)
        one.log_probabilities.push_back(log_probabilities(logits.subspan(c.from * columns, columns), c.token, *count));
      next.push_back(std::move(one)), from.push_back(c.from);
    }
    living_ = std::move(next);
    if (length_ >= options_->max_new)
      for (const beam_hypothesis& one : std::exchange(living_, {})) finish(one);
    done_ = living_.empty() || (finished_.size() == width && worth(living_[0].score) <= finished_.back().score);
    return from;
  }

 private:
  struct candidate {
    std::size_t from;
    token_id token;
    double score;
  };
  double worth(double score) const { return score / std::pow(double(length_), options_->length_penalty); }
  void finish(beam_hypothesis one) {
    one.score = worth(one.score);
    const auto better = [](const beam_hypothesis& a, const beam_hypothesis& b) { return a.score > b.score; };
    finished_.insert(std::upper_bound(finished_.begin(), finished_.end(), one, better), std::move(one));
    if (index_t(finished_.size()) > options_->beams) finished_.pop_back();
  }

  const generation_options* options_;
  std::vector<beam_hypothesis> living_, finished_;
  index_t length_ = 0;
  bool done_ = false;
};

}  // namespace iapt
