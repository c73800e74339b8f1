// SPDX-License-Identifier: Apache-2.0
// Answers on their way from the thread that generates them to the thread of their connection.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <iapt/serve/mixed_pass.hpp>
#include <iapt/serve/openai_answer.hpp>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace program {

/// Pieces of all answers to one request, then why there are no more. The reader may leave at any time.
class answer_channel {
 public:
  /// What has come of one answer since it was asked last.
  struct news {
    std::size_t index;                            ///< of the answer
    iapt::answer_piece piece;                     ///< perhaps empty
    std::optional<iapt::finish_reason> end = {};  ///< if it is the last
  };

  /// For the answers to this request.
  answer_channel(const iapt::openai_request& request, const iapt::tokenizer& words)
      : answers_(std::size_t(request.answers()), answer{iapt::answer_text(request, words)}), open_(answers_.size()) {}

  /// A token has come; returns whether its answer goes on.
  bool put(std::size_t index, const iapt::chosen_token& one) {
    const std::lock_guard lock(mutex_);
    answer& own = answers_[index];
    own.piece.append(own.text.next(one));
    own.new_tokens = true, ++tokens_;
    changed_.notify_one();
    return !own.text.stopped();
  }
  /// No more will come of an answer. One that its stop string ended was not cancelled.
  void end(std::size_t index, iapt::finish_reason why) {
    const std::lock_guard lock(mutex_);
    answer& own = answers_[index];
    own.end = own.text.stopped() ? iapt::finish_reason::stop : why;
    own.piece.append(own.text.finish());
    --open_;
    changed_.notify_one();
  }
  /// Waits for something new, or a moment, after which nothing may have come.
  template <class Duration>
  std::vector<news> take(Duration moment) {
    const auto is_new = [](const answer& one) { return one.new_tokens || one.end; };
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, moment, [&] { return std::any_of(answers_.begin(), answers_.end(), is_new); });
    std::vector<news> found;
    for (answer& one : answers_)
      if (std::exchange(one.new_tokens, false) || one.end)
        found.push_back(
            {std::size_t(&one - answers_.data()), std::exchange(one.piece, {}), std::exchange(one.end, {})});
    done_ = open_ == 0;
    return found;
  }
  /// Whether all has been taken.
  bool done() const { return done_; }
  /// Tokens of all answers, so far.
  iapt::extent tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }
  /// Nobody reads it any more.
  void leave() { left_ = true; }
  /// Whether somebody does.
  bool wanted() const { return !left_; }

 private:
  struct answer {
    iapt::answer_text text;
    iapt::answer_piece piece = {};                // that nobody has taken
    bool new_tokens = false;                      // whether there are tokens in it, perhaps without text
    std::optional<iapt::finish_reason> end = {};  // until it is taken
  };

  mutable std::mutex mutex_;  // of all that follows, but the last two
  std::condition_variable changed_;
  std::vector<answer> answers_;
  std::size_t open_;  // answers that have not ended
  iapt::extent tokens_ = 0;
  bool done_ = false;  // of the reader
  std::atomic<bool> left_ = false;
};

}  // namespace program
