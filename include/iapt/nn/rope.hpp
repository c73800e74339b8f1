// SPDX-License-Identifier: Apache-2.0
// Cosines and sines of RoPE.  Shapes: N positions, E elements of a head.
#pragma once
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "iapt/ops/rope.hpp"

namespace iapt {

/// Frequencies of RoPE, and how a model scales them for contexts longer than in its first training.
struct rope_options {
  /// Ways to scale the frequencies.
  enum class kind { plain, linear, llama3 };
  double theta = 10000;               ///< base of the frequencies
  kind scaling = kind::plain;         ///< how the frequencies are scaled
  double factor = 1;                  ///< divisor of the frequencies (linear, llama3)
  double low_frequency_factor = 1;    ///< llama3: wavelengths longer than original_positions / this are scaled fully
  double high_frequency_factor = 4;   ///< llama3: wavelengths shorter than original_positions / this are not scaled
  double original_positions = 8192;   ///< llama3: context length of the first training
  std::vector<double> divisors = {};  ///< one divisor for each frequency, as some files store them; empty: none
};

/// Frequencies: the angle of position 1 for each pair of elements, θ^(−2j/E), j = 0..E/2−1, scaled by the options.
/// @par Source Su et al. 2021; linear: Chen et al. 2023, "position interpolation"; llama3: Llama 3.1's configuration
inline std::vector<double> rope_frequencies(index_t head_size, const rope_options& options) {
  std::vector<double> frequencies(head_size / 2);
  for (std::size_t j = 0; j < frequencies.size(); ++j) {
    double f = std::pow(options.theta, -2.0 * double(j) / double(head_size));
    if (options.scaling == rope_options::kind::linear) f /= options.factor;
    if (options.scaling == rope_options::kind::llama3) {
      const double waves = options.original_positions * f / (2 * std::numbers::pi);  // periods within original length
      const double low = options.low_frequency_factor, high = options.high_frequency_factor;
      const double kept = std::clamp((waves - low) / (high - low), 0.0, 1.0);
      f = kept * f + (1 - kept) * f / options.factor;
    }
    frequencies[j] = options.divisors.empty() ? f : f / options.divisors.at(j);
  }
  return frequencies;
}

/// Cosines, then sines of the angles at N positions (N, E), as `rope` reads them.
template <class T>
std::vector<T> rope_cos_sin_values(const std::vector<double>& frequencies, const std::vector<index_t>& positions) {
  const std::size_t half = frequencies.size();
  std::vector<T> cos_sin(positions.size() * 2 * half);
  for (std::size_t i = 0; i < positions.size(); ++i)
    for (std::size_t j = 0; j < half; ++j) {
      const double angle = double(positions[i]) * frequencies[j];
      cos_sin[i * 2 * half + j] = T(std::cos(angle));
      cos_sin[i * 2 * half + half + j] = T(std::sin(angle));
    }
  return cos_sin;
}
/// The same in a backend's memory.
template <class T, class Backend>
tensor<T, 2, Backend> rope_cos_sin(Backend& backend, const std::vector<double>& frequencies,
                                   const std::vector<index_t>& positions) {
  return from_host(backend, extents<2>{index_t(positions.size()), 2 * index_t(frequencies.size())},
                   rope_cos_sin_values<T>(frequencies, positions));
}

}  // namespace iapt
