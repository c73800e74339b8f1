// SPDX-License-Identifier: Apache-2.0
// Which examples come together in a training step, and how a batch is cut into pieces that fit into memory.
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

/// The numbers 0..size−1 in an order drawn from a seed; equal on all machines. Different streams are independent.
/// @par Source Durstenfeld 1964, "Algorithm 235: random permutation" (Fisher and Yates 1938)
inline std::vector<std::size_t> shuffled(std::size_t size, std::uint64_t seed, std::uint64_t stream) {
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t(0));
  random_stream random(seed, stream);
  for (std::size_t i = size; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

/// The batches of a run: every epoch has an order of its own, drawn from seed and epoch, so any step can be found
/// without going through those before it. The last batch of an epoch may be smaller. (Lengths play no part: packed
/// batches have no padding, so nothing is gained by grouping similar ones.)
class batch_order {
 public:
  /// Batches of `batch` out of `examples` examples. `purpose` tells orders of one seed apart.
  /// @throws error if there are none
  batch_order(std::size_t examples, std::size_t batch, std::uint64_t seed, std::uint32_t purpose = 0)
      : examples_(examples), batch_(batch), seed_(seed), purpose_(purpose) {
    if (!examples || !batch) throw error("batches: there must be at least one example, and one in a batch");
  }
  /// Batches in an epoch.
  index_t per_epoch() const { return index_t((examples_ + batch_ - 1) / batch_); }
  /// Numbers of the examples in the batch of a step; steps count from 0 over all epochs.
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

/// How much may go through the model at once; 0: any number.
struct batch_limits {
  index_t sequences = 0;  ///< sequences
  index_t tokens = 0;     ///< tokens of instructions and responses
  index_t responses = 0;  ///< response tokens: each needs a row of logits as long as the vocabulary
};

/// Cuts a list of examples into pieces within limits, in order; a piece has at least one example, even a large one.
/// @return where each piece begins, and behind them the end
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

/// The examples of the given numbers as one packed batch.
inline packed_batch pack_examples(std::span<const example> examples, std::span<const std::size_t> numbers) {
  packed_batch batch;
  for (std::size_t i : numbers) batch.add(examples[i].instruction, examples[i].response);
  return batch;
}

/// The same cut into micro-batches within limits.
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

/// How `shuffled_batches` goes through examples.
struct shuffle_options {
  std::size_t size = 8;    ///< sequences in a batch
  index_t epochs = 1;      ///< times each example is seen
  std::uint64_t seed = 0;  ///< of the order
};

/// A range of packed batches, for a loop of one's own: `for (const packed_batch& batch : shuffled_batches(...))`.
/// It refers to the examples.
class shuffled_batches {
 public:
  /// Goes through `examples`.
  /// @throws error if there are none
  shuffled_batches(std::span<const example> examples, shuffle_options options = {})
      : examples_(examples),
        order_(examples.size(), options.size, options.seed),
        steps_(order_.per_epoch() * options.epochs) {}

  /// One pass over the batches.
  class iterator {
   public:
    using value_type = packed_batch;         ///< what it points to
    using difference_type = std::ptrdiff_t;  ///< as iterators have it
    /// Starts at a step.
    iterator(shuffled_batches& range, index_t step) : range_(&range), step_(step) {}
    /// The batch of this step.
    packed_batch operator*() const { return pack_examples(range_->examples_, range_->order_(step_)); }
    /// Goes to the next step.
    iterator& operator++() { return ++step_, *this; }
    /// Goes to the next step.
    void operator++(int) { ++step_; }
    /// Whether all batches have been seen.
    bool operator==(std::default_sentinel_t) const { return step_ >= range_->steps_; }

   private:
    shuffled_batches* range_;
    index_t step_;
  };
  /// The first batch.
  iterator begin() { return {*this, 0}; }
  /// Behind the last.
  std::default_sentinel_t end() const { return {}; }

 private:
  std::span<const example> examples_;
  batch_order order_;
  index_t steps_;
};

}  // namespace iapt
