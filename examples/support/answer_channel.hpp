// SPDX-License-Identifier: Apache-2.0
// An answer on its way from the thread that generates it to the thread of its connection.
#pragma once
#include <atomic>
#include <condition_variable>
#include <iapt/serve/mixed_pass.hpp>
#include <iapt/serve/openai_answer.hpp>
#include <mutex>
#include <optional>
#include <utility>

namespace program {

/// Pieces, then why there are no more. The reader may leave at any time.
class answer_channel {
 public:
  /// What has come since it was asked last.
  struct news {
    iapt::answer_piece piece = {};                ///< of text, perhaps empty
    iapt::extent tokens = 0;                      ///< generated so far
    std::optional<iapt::finish_reason> end = {};  ///< once all has come
  };

  /// Of an answer to this request.
  answer_channel(const iapt::openai_request& request, const iapt::tokenizer& words) : text_(request, words) {}

  /// A token has come; returns whether the answer goes on.
  bool put(const iapt::chosen_token& one) {
    const std::lock_guard lock(mutex_);
    ++news_.tokens;
    news_.piece.append(text_.next(one));
    changed_.notify_one();
    return !text_.stopped();
  }
  /// No more will come. An answer that its stop string ended was not cancelled.
  void end(iapt::finish_reason why) {
    const std::lock_guard lock(mutex_);
    news_.end = text_.stopped() ? iapt::finish_reason::stop : why;
    news_.piece.append(text_.finish());
    changed_.notify_one();
  }
  /// Waits for something new, or a moment, after which nothing may have come.
  template <class Duration>
  news take(Duration moment) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, moment, [&] { return news_.tokens > taken_ || news_.end; });
    taken_ = news_.tokens;
    return {std::exchange(news_.piece, {}), news_.tokens, news_.end};
  }
  /// Nobody reads it any more.
  void leave() { left_ = true; }
  /// Whether somebody does.
  bool wanted() const { return !left_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  iapt::answer_text text_;
  news news_;
  iapt::extent taken_ = 0;
  std::atomic<bool> left_ = false;
};

}  // namespace program
