// SPDX-License-Identifier: Apache-2.0
// Answers on their way from the thread that generates them to the one that writes them.
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

/// Pieces of all answers to one request, then why there are no more.
class answer_channel {
 public:
  /// Tokens of an answer that are told at a time: who writes them must not keep others waiting.
  static constexpr std::size_t most_tokens = 256;
  /// What has come of one answer since it was asked last.
  struct news {
    std::size_t index;                            ///< of the answer
    iapt::answer_piece piece;                     ///< perhaps empty
    std::optional<iapt::finish_reason> end = {};  ///< if it is the last
  };

  /// For the answers to this request.
  answer_channel(const iapt::openai_request& request, const iapt::tokenizer& words)
      : answers_(std::size_t(request.answers()), answer{iapt::answer_text(request, words)}), open_(answers_.size()) {
    for (std::size_t i = 0; i < answers_.size(); ++i) answers_[i].piece.text = request.opening(iapt::index_t(i), words);
  }

  /// A token of an answer's prompt was read.
  void read(std::size_t index, const iapt::chosen_token& one) {
    const std::lock_guard lock(mutex_);
    answers_[index].piece.append(answers_[index].text.read(one));
  }

  /// A token has come; returns whether its answer goes on.
  bool put(std::size_t index, const iapt::chosen_token& one) {
    const std::lock_guard lock(mutex_);
    answer& own = answers_[index];
    own.piece.append(own.text.next(one));
    own.new_tokens = true, ++tokens_;
    return !own.text.stopped();
  }
  /// No more will come of an answer. One that its stop string ended was not cancelled. Returns whether all have ended.
  bool end(std::size_t index, iapt::finish_reason why) {
    const std::lock_guard lock(mutex_);
    answer& own = answers_[index];
    own.end = own.text.stopped() ? iapt::finish_reason::stop : why;
    own.piece.append(own.text.finish());
    if (own.end == iapt::finish_reason::failed) failed_ = true;
    return --open_ == 0;
  }
  /// What is new, perhaps nothing, and of each answer no more than `most_tokens` tokens: the rest comes next time.
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
  /// Whether all has been taken. For who takes it.
  bool done() const { return done_; }
  /// Whether one of the answers has failed, so that nobody needs the others.
  bool failed() const { return failed_; }
  /// Tokens of all answers, so far.
  iapt::index_t tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }

 private:
  struct answer {
    iapt::answer_text text;
    iapt::answer_piece piece = {};                // that nobody has taken
    bool new_tokens = false;                      // whether there are tokens in it, perhaps without text
    std::optional<iapt::finish_reason> end = {};  // until it is taken
  };

  mutable std::mutex mutex_;  // of what follows, but the last two
  std::vector<answer> answers_;
  std::size_t open_;  // answers that have not ended
  iapt::index_t tokens_ = 0;
  std::atomic<bool> failed_ = false;
  bool done_ = false;  // of the reader
};

}  // namespace program
