// SPDX-License-Identifier: Apache-2.0
// The order of examples in training, and batches cut into pieces that fit into memory.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/random.hpp"
#include "iapt/data/example.hpp"
#include "iapt/model/packed_batch.hpp"

namespace iapt {

/// The indices 0..size−1 in a random order of a seed, the same on all machines. Different streams are independent.
/// @par Source Durstenfeld 1964, "Algorithm 235: random permutation" (Fisher and Yates 1938)
inline std::vector<std::size_t> shuffled(std::size_t size, std::uint64_t seed, std::uint64_t stream) {
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t(0));
  random_stream random(seed, stream);
  for (std::size_t i = size; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

/// The batches of a run. Each epoch has an order of its own, given by seed and epoch, so any step can be computed
/// without the steps before it. The last batch of an epoch may be smaller. Examples are not grouped by length: packed
/// batches have no padding, so it would gain nothing.
class batch_order {
 public:
  /// Batches of `batch` out of `examples` examples. One seed has a different order for each `purpose`.
  /// @throws error if there are no examples, or `batch` is 0
  batch_order(std::size_t examples, std::size_t batch, std::uint64_t seed, std::uint32_t purpose = 0)
      : examples_(examples), batch_(batch), seed_(seed), purpose_(purpose) {
    if (!examples || !batch) throw error("batches: there must be at least one example, and one in a batch");
  }
  /// Number of batches in an epoch.
  index_t per_epoch() const { return index_t((examples_ + batch_ - 1) / batch_); }
  /// Indices of the examples in the batch of a step; steps count from 0 over all epochs.
  std::vector<std::size_t> operator()(index_t step) {
    const index_t epoch = step / per_epoch();
    if (epoch != epoch_) order_ = shuffled(examples_, seed_, std::uint64_t(purpose_) << 32 | std::uint64_t(epoch));
    epoch_ = epoch;
    const std::size_t begin = std::size_t(step % per_epoch()) * batch_, end = std::min(begin + batch_, examples_);
    return {order_.begin() + std::ptrdiff_t(begin), order_.begin() + std::ptrdiff_t(end)};
  }

 private:
  std::size_t examples_, batch_;
  std::uint64_t seed_;
  std::uint32_t purpose_;
  index_t epoch_ = -1;
  std::vector<std::size_t> order_;
};

/// Limits of what a model computes at once; 0: no limit.
struct batch_limits {
  index_t sequences = 0;  ///< number of sequences
  index_t tokens = 0;     ///< tokens of instructions and responses
  index_t responses = 0;  ///< response tokens, because each has a row of logits as long as the vocabulary
};

/// Cuts a list of examples into pieces within limits, in order. A piece has at least one example, even a larger one.
/// @return the first index of each piece, then the end
template <class Sizes>
std::vector<std::size_t> cut_points(std::size_t count, const batch_limits& limits, Sizes sizes_of) {
  std::vector<std::size_t> cuts{0};
  batch_limits used;
  for (std::size_t i = 0; i < count; ++i) {
    const auto [tokens, responses] = sizes_of(i);
    const auto over = [](index_t now, index_t more, index_t limit) { return limit && now + more > limit; };
    if (i > cuts.back() && (over(used.sequences, 1, limits.sequences) || over(used.tokens, tokens, limits.tokens) ||
                            over(used.responses, responses, limits.responses))) {
      cuts.push_back(i);
      used = {};
    }
    ++used.sequences, used.tokens += tokens, used.responses += responses;
  }
  if (count) cuts.push_back(count);
  return cuts;
}

/// The examples with the given indices as one packed batch.
inline packed_batch pack_examples(std::span<const example> examples, std::span<const std::size_t> numbers) {
  packed_batch batch;
  for (std::size_t i : numbers) batch.add(examples[i].instruction, examples[i].response);
  return batch;
}

/// The same, cut into micro-batches within limits.
inline std::vector<packed_batch> pack_within(std::span<const example> examples, std::span<const std::size_t> numbers,
                                             const batch_limits& limits) {
  const auto cuts = cut_points(numbers.size(), limits, [&](std::size_t i) {
    const example& e = examples[numbers[i]];
    return std::pair(length_of(e), index_t(e.response.size()));
  });
  std::vector<packed_batch> pieces;
  for (std::size_t k = 0; k + 1 < cuts.size(); ++k)
    pieces.push_back(pack_examples(examples, numbers.subspan(cuts[k], cuts[k + 1] - cuts[k])));
  return pieces;
}

/// Options of `shuffled_batches`.
struct shuffle_options {
  std::size_t size = 8;    ///< sequences in a batch
  index_t epochs = 1;      ///< passes over the examples
  std::uint64_t seed = 0;  ///< seed of the order
};

/// A range of packed batches for your own loop: `for (const packed_batch& batch : shuffled_batches(...))`. It refers to
/// the examples.
class shuffled_batches {
 public:
  /// Iterates over `examples`.
  /// @throws error if there are no examples
  shuffled_batches(std::span<const example> examples, shuffle_options options = {})
      : examples_(examples),
        order_(examples.size(), options.size, options.seed),
        steps_(order_.per_epoch() * options.epochs) {}

  /// An iterator over the batches.
  class iterator {
   public:
    using value_type = packed_batch;         ///< a batch
    using difference_type = std::ptrdiff_t;  ///< difference of two iterators
    /// Starts at a step.
    iterator(shuffled_batches& range, index_t step) : range_(&range), step_(step) {}
    /// The batch of this step.
    packed_batch operator*() const { return pack_examples(range_->examples_, range_->order_(step_)); }
    /// Goes to the next step.
    iterator& operator++() { return ++step_, *this; }
    /// Goes to the next step.
    void operator++(int) { ++step_; }
    /// Whether all batches were visited.
    bool operator==(std::default_sentinel_t) const { return step_ >= range_->steps_; }

   private:
    shuffled_batches* range_;
    index_t step_;
  };
  /// Iterator to the first batch.
  iterator begin() { return {*this, 0}; }
  /// The end of the range.
  std::default_sentinel_t end() const { return {}; }

 private:
  std::span<const example> examples_;
  batch_order order_;
  index_t steps_;
};

}  // namespace iapt
