// SPDX-License-Identifier: Apache-2.0
// What one render counts and keeps: its steps, its depth, and texts that grow within the limits.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/jinja/program_class.hpp"

namespace iapt::jinja {

namespace detail {

class namespace_object;

// One render. Everything that takes time or memory counts steps here.
struct runtime {
  runtime(const limits& bounds, const local_clock& local_time) : limit(bounds), now(local_time) {}
  ~runtime();
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;

  const limits& limit;
  const local_clock& now;
  std::size_t line = 1;                                            // of the node that is evaluated
  std::vector<std::shared_ptr<namespace_object>> namespaces = {};  // they may hold themselves; emptied at the end

  void work(std::uint64_t count = 1) {
    if (count > limit.steps - steps_)
      throw refusal("the template takes more than " + std::to_string(limit.steps) + " steps (limit steps)");
    steps_ += count;
  }
  // A value that is made, for the memory that it takes besides its bytes or items.
  void make() { work(4); }
  // Work in proportion to a number of bytes.
  void read(std::size_t bytes) { work(1 + bytes / 64); }

  // Counts one nested node for as long as it lives.
  class level {
   public:
    explicit level(runtime& rt) : rt_(rt) {
      if (++rt_.depth_ > rt_.limit.depth) {
        --rt_.depth_;
        throw refusal("the template nests more than " + std::to_string(rt_.limit.depth) +
                      " nodes, as by a macro that calls itself (limit depth)");
      }
    }
    ~level() { --rt_.depth_; }
    level(const level&) = delete;
    level& operator=(const level&) = delete;

   private:
    runtime& rt_;
  };

 private:
  std::uint64_t steps_ = 0;
  std::size_t depth_ = 0;
};

// A text that grows within a limit.
class text_builder {
 public:
  explicit text_builder(runtime& rt) : text_builder(rt, rt.limit.value_bytes, "value_bytes") {}
  text_builder(runtime& rt, std::size_t most, const char* limit) : rt_(rt), most_(most), limit_(limit) {}

  void append(std::string_view bytes, mark written) { reserve(bytes.size()), text_.append(bytes, written); }
  void append(const marked_text& other) { append(other, 0, other.size()); }
  void append(const marked_text& other, std::size_t begin, std::size_t size) {
    reserve(size), text_.append(other, begin, size);
  }
  // What the interpreter itself writes.
  void literal(std::string_view bytes) { append(bytes, {}); }
  // A character n times.
  void pad(std::size_t n, std::string_view character, mark written = {}) {
    if (!character.empty() && n > most_ / character.size()) reserve(most_ + 1);
    for (; n; --n) append(character, written);
  }
  const marked_text& content() const { return text_; }
  marked_text take() { return std::exchange(text_, {}); }
  value finish() {
    rt_.make();
    return value(take());
  }

 private:
  void reserve(std::size_t size) {
    if (size > most_ - std::min(text_.size(), most_))
      throw refusal("a text would be longer than " + std::to_string(most_) + " bytes (limit " + limit_ + ")");
    unpaid_ += size;
    if (unpaid_ >= 16) rt_.work(unpaid_ / 16), unpaid_ %= 16;
  }
  runtime& rt_;
  std::size_t most_;
  const char* limit_;
  marked_text text_;
  std::size_t unpaid_ = 0;  // bytes that no step was counted for yet
};

// A part of a text as a value.
inline value part_of(runtime& rt, const marked_text& t, std::size_t begin, std::size_t size) {
  text_builder out(rt);
  out.append(t, begin, size);
  return out.finish();
}

}  // namespace detail
}  // namespace iapt::jinja
