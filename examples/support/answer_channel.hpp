// SPDX-License-Identifier: Apache-2.0
// Passes answers from the thread that generates them to the thread that writes them.
#pragma once
#include <atomic>
#include <cstddef>
#include <iapt/serve/openai_answer.hpp>
#include <iapt/serve/step_batch.hpp>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace program {

/// The pieces of all answers to one request, and the reason why each answer ended.
class answer_channel {
 public:
  /// Maximum number of tokens of an answer that take() returns at once, so that a writer does not delay others.
  static constexpr std::size_t most_tokens = 256;
  /// What is new of one answer since the last take().
  struct news {
    std::size_t index;                            ///< index of the answer
    iapt::answer_piece piece;                     ///< may be empty
    std::optional<iapt::finish_reason> end = {};  ///< why the answer ended, if this is its last piece
  };

  /// A channel for the answers to a request.
  answer_channel(const iapt::openai_request& request, const iapt::tokenizer& words)
      : answers_(std::size_t(request.answers()), answer{iapt::answer_text(request, words)}), open_(answers_.size()) {
    for (std::size_t i = 0; i < answers_.size(); ++i) answers_[i].piece.text = request.opening(iapt::index_t(i), words);
  }

  /// Adds a token of an answer's prompt.
  void read(std::size_t index, const iapt::chosen_token& one) {
    const std::lock_guard lock(mutex_);
    answers_[index].piece.append(answers_[index].text.read(one));
  }

  /// Adds a token of an answer. Returns whether the answer continues.
  bool put(std::size_t index, const iapt::chosen_token& one) {
    const std::lock_guard lock(mutex_);
    answer& own = answers_[index];
    own.piece.append(own.text.next(one));
    own.new_tokens = true, ++tokens_;
    return !own.text.stopped();
  }
  /// Ends an answer. If a stop string ended it, its reason is `stop`, not `cancelled`. Returns whether all have ended.
  bool end(std::size_t index, iapt::finish_reason why) {
    const std::lock_guard lock(mutex_);
    answer& own = answers_[index];
    own.end = own.text.stopped() ? iapt::finish_reason::stop : why;
    own.piece.append(own.text.finish());
    if (own.end == iapt::finish_reason::failed) failed_ = true;
    return --open_ == 0;
  }
  /// Takes what is new, which may be nothing: of each answer at most `most_tokens` tokens; the rest stays.
  std::vector<news> take() {
    const std::lock_guard lock(mutex_);
    std::vector<news> found;
    done_ = open_ == 0;
    for (answer& one : answers_) {
      if (!one.new_tokens && !one.end) continue;
      news& next = found.emplace_back(news{std::size_t(&one - answers_.data()), std::exchange(one.piece, {})});
      one.new_tokens = next.piece.tokens.size() > most_tokens;
      if (one.new_tokens) {
        const auto rest = next.piece.tokens.begin() + std::ptrdiff_t(most_tokens);
        one.piece.tokens.assign(std::make_move_iterator(rest), std::make_move_iterator(next.piece.tokens.end()));
        next.piece.tokens.erase(rest, next.piece.tokens.end());
        done_ = false;
      } else {
        next.end = std::exchange(one.end, {});
      }
    }
    return found;
  }
  /// Whether everything has been taken. For the thread that calls take().
  bool done() const { return done_; }
  /// Whether one of the answers has failed. The others are not needed then.
  bool failed() const { return failed_; }
  /// Number of tokens of all answers so far.
  iapt::index_t tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }

 private:
  struct answer {
    iapt::answer_text text;
    iapt::answer_piece piece = {};                // not taken yet
    bool new_tokens = false;                      // whether `piece` has tokens; they may have no text
    std::optional<iapt::finish_reason> end = {};  // why it ended, until that is taken
  };

  mutable std::mutex mutex_;  // protects the members below, except the last two
  std::vector<answer> answers_;
  std::size_t open_;  // number of answers that have not ended
  iapt::index_t tokens_ = 0;
  std::atomic<bool> failed_ = false;
  bool done_ = false;  // only for the thread that calls take()
};

}  // namespace program
