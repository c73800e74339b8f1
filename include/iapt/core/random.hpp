// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: the same on every backend, in any order of the calls.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "iapt/core/device.hpp"
#include "iapt/core/tensor.hpp"

namespace iapt {

/// Four random words.
struct random_words {
  std::uint32_t word[4];  ///< each uniform over all values of its type
  /// Whether all words are equal.
  constexpr bool operator==(const random_words&) const = default;
};
/// Four random words that are a function of a key and a counter.
/// @par Source Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox 4x32, ten rounds)
IAPT_DEVICE constexpr random_words philox(std::uint64_t key, std::uint64_t stream, std::uint64_t counter) {
  random_words all{
      {std::uint32_t(counter), std::uint32_t(counter >> 32), std::uint32_t(stream), std::uint32_t(stream >> 32)}};
  auto& x = all.word;
  std::uint32_t k0 = std::uint32_t(key), k1 = std::uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t(0xD2511F53u) * x[0], b = std::uint64_t(0xCD9E8D57u) * x[2];
    x[0] = std::uint32_t(b >> 32) ^ x[1] ^ k0, x[1] = std::uint32_t(b);
    x[2] = std::uint32_t(a >> 32) ^ x[3] ^ k1, x[3] = std::uint32_t(a);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return all;
}

/// Maps a random word to (0, 1), ends excluded: the middle of one of 2^52 equal intervals.
constexpr double unit_number(std::uint64_t word) { return (double(word >> 12) + 0.5) * 0x1p-52; }

/// A sequence of random numbers for a seed and a stream. Streams of one seed are independent.
class random_stream {
 public:
  /// Starts at the first number of the stream.
  explicit constexpr random_stream(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}
  /// Uniform over all 64-bit words.
  constexpr std::uint64_t bits() {
    const auto x = philox(seed_, stream_, counter_++);
    return std::uint64_t(x.word[1]) << 32 | x.word[0];
  }
  /// Uniform in (0, 1), ends excluded.
  constexpr double uniform() { return unit_number(bits()); }
  /// Uniform in 0..n-1; n is at least 1.
  constexpr std::uint64_t below(std::uint64_t n) {
    const std::uint64_t limit = -n % n;  // smaller words are rejected: they would favour small results
    std::uint64_t word = bits();
    while (word < limit) word = bits();
    return word % n;
  }
  /// Standard normal.
  /// @par Source Box and Muller 1958
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  std::uint64_t seed_, stream_, counter_ = 0;
};

/// A tensor of normally distributed elements with mean 0 and the given standard deviation.
template <class T, std::size_t Rank, class Backend>
tensor<T, int(Rank), Backend> random_normal(Backend& backend, const std::array<index_t, Rank>& shape, double deviation,
                                            random_stream stream) {
  std::vector<T> values(element_count(shape));
  for (T& value : values) value = static_cast<T>(deviation * stream.normal());
  return from_host(backend, shape, values);
}

/// A tensor whose elements all have one value.
template <class T, std::size_t Rank, class Backend>
tensor<T, int(Rank), Backend> filled(Backend& backend, const std::array<index_t, Rank>& shape, T value) {
  return from_host(backend, shape, std::vector<T>(element_count(shape), value));
}

}  // namespace iapt
