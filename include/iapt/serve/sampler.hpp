// SPDX-License-Identifier: Apache-2.0
// Sampling: chooses a token from a row of logits.  Shapes: V vocabulary.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/random.hpp"
#include "iapt/serve/logits.hpp"

namespace iapt {

/// How the tokens of one request are chosen. The default is greedy.
struct sampling_options {
  double temperature = 0;         ///< divides the logits; 0: the likeliest token after bias and penalties
  index_t top_k = 0;              ///< keeps the k likeliest tokens, and those equal to the last of them; 0: all
  double top_p = 1;               ///< keeps the fewest likeliest tokens whose probabilities add up to this; 1: all
  double min_p = 0;               ///< keeps tokens of at least this fraction of the likeliest one's probability; 0: all
  double repetition_penalty = 1;  ///< divides positive logits of tokens in prompt or answer, multiplies others; 1: none
  double frequency_penalty = 0;   ///< subtracted from a token's logit for each time it was generated
  double presence_penalty = 0;    ///< subtracted from a token's logit if it was generated
  std::map<token_id, double> logit_bias = {};  ///< added to logits before all other changes
  std::uint64_t seed = 0;                      ///< seed of the samples

  /// Whether the tokens so far change the logits.
  bool penalises() const { return repetition_penalty != 1 || frequency_penalty != 0 || presence_penalty != 0; }
  /// Whether the likeliest token is chosen, without bias or penalties.
  bool greedy() const { return temperature == 0 && !penalises() && logit_bias.empty(); }

  static constexpr double greatest_bias = 100;  ///< limit of OpenAI's API

  /// Refuses invalid options.
  /// @throws error with the option's name
  void check() const {
    const auto need = [](const char* name, auto found, bool good, const char* rule) {
      if (good) return;
      std::ostringstream text;
      text << "sampling: " << name << " must be " << rule << ", found " << found;
      throw error(text.str());
    };
    constexpr double most = std::numeric_limits<double>::max();
    need("temperature", temperature, temperature >= 0 && temperature <= most, "finite and at least 0");
    need("top_k", top_k, top_k >= 0, "at least 0");
    need("top_p", top_p, top_p > 0 && top_p <= 1, "over 0 and at most 1");
    need("min_p", min_p, min_p >= 0 && min_p <= 1, "from 0 to 1");
    need("repetition_penalty", repetition_penalty, repetition_penalty > 0 && repetition_penalty <= most,
         "finite and over 0");
    need("frequency_penalty", frequency_penalty, std::abs(frequency_penalty) <= 2, "from -2 to 2");
    need("presence_penalty", presence_penalty, std::abs(presence_penalty) <= 2, "from -2 to 2");
    for (const auto& [token, bias] : logit_bias)
      need("logit_bias", bias, std::abs(bias) <= greatest_bias, "from -100 to 100");
  }
};

/// The tokens of a request so far.
struct token_history {
  std::span<const token_id> prompt;     ///< tokens of the prompt
  std::span<const token_id> generated;  ///< tokens that were generated
};

/// Chooses tokens. The result depends only on a request's options, logits and history: not on other requests, on
/// threads or on earlier calls; only memory is kept between calls. The random number is that of the stream (seed,
/// number of generated tokens), so a preempted request continues with the same tokens.
///
/// The order is that of transformers: logit bias, repetition penalty, then temperature, top-k, top-p, min-p. OpenAI's
/// penalties are applied before the temperature, and the bias before the penalties, as in vLLM. Everything is computed
/// in double.
/// @par Source  repetition penalty: Keskar et al. 2019, "CTRL", with negative logits multiplied; top-k: Fan et al.
/// 2018, "Hierarchical neural story generation"; top-p: Holtzman et al. 2020, "The curious case of neural text
/// degeneration"; min-p: Nguyen et al. 2024, "Turning up the heat"; frequency and presence penalty: OpenAI's API
/// reference
class sampler {
 public:
  /// The next token, from one row of logits (V) on the host; if greedy, the first of equal ones.
  /// @throws error for an invalid option, with its name
  /// @throws numeric_error if a logit is not finite, before or after penalties
  /// @throws shape_error if the row is empty, or does not have a penalised or biased token
  template <class T>
  token_id operator()(std::span<const T> logits, const sampling_options& options, const token_history& so_far) {
    options.check();
    if (options.greedy()) return likeliest(logits);
    if (options.temperature == 0) return likeliest(penalised(logits, options, so_far));
    double left = random_stream(options.seed, so_far.generated.size()).uniform();
    token_id drawn = 0;
    for (const scored_token& one : distribution(logits, options, so_far)) {
      const double probability = std::exp(one.log_probability);
      if (probability > 0) drawn = one.token;  // rounding may leave a remainder after the last of them
      if ((left -= probability) < 0) break;
    }
    return drawn;
  }

  /// The distribution of the next token: the tokens that the options keep, by increasing id, with probabilities that
  /// add up to 1. At temperature 0 it is the softmax of the logits after penalties, for beam search. Valid until the
  /// next call.
  /// @throws error for an invalid option, with its name
  /// @throws numeric_error if a logit is not finite, before or after penalties
  /// @throws shape_error if the row is empty, or does not have a penalised or biased token
  template <class T>
  const std::vector<scored_token>& distribution(std::span<const T> logits, const sampling_options& options,
                                                const token_history& so_far) & {
    options.check();
    const std::span<const double> scores = penalised(logits, options, so_far);
    const double greatest = scores[std::size_t(likeliest(scores))];
    const double temperature = options.temperature > 0 ? options.temperature : 1;
    kept_.resize(scores.size());
    for (std::size_t v = 0; v < scores.size(); ++v) kept_[v] = {token_id(v), (scores[v] - greatest) / temperature};
    if (options.temperature > 0) {
      keep_top_k(options.top_k);
      keep_top_p(options.top_p);
      keep_at_least(std::log(options.min_p));
    }
    const double log_sum = std::log(weight(kept_));
    for (scored_token& one : kept_) one.log_probability -= log_sum;
    return kept_;
  }

 private:
  // The logits after bias and penalties.
  template <class T>
  std::span<const double> penalised(std::span<const T> logits, const sampling_options& options,
                                    const token_history& so_far) {
    scores_.assign(logits.begin(), logits.end());
    for (const auto& [token, bias] : options.logit_bias) score(token, "has a bias") += bias;
    if (!options.penalises()) return scores_;
    const auto generated = so_far.generated, prompt = so_far.prompt;
    seen_.assign(generated.begin(), generated.end());
    seen_.insert(seen_.end(), prompt.begin(), prompt.end());
    each_seen([&](double& score, std::size_t) {
      score = score < 0 ? score * options.repetition_penalty : score / options.repetition_penalty;
    });
    seen_.assign(generated.begin(), generated.end());
    each_seen([&](double& score, std::size_t times) {
      score -= double(times) * options.frequency_penalty + options.presence_penalty;
    });
    return scores_;
  }
  // Calls f(score, times) for each token in seen_.
  template <class F>
  void each_seen(F f) {
    std::sort(seen_.begin(), seen_.end());
    for (auto from = seen_.begin(); from != seen_.end();) {
      const auto to = std::upper_bound(from, seen_.end(), *from);
      f(score(*from, "was seen"), std::size_t(to - from));
      from = to;
    }
  }
  double& score(token_id token, const char* why) {
    if (token < 0 || std::size_t(token) >= scores_.size())
      throw shape_error("sampling: token " + std::to_string(token) + " " + why + ", but a row has " +
                        std::to_string(scores_.size()) + " logits");
    return scores_[std::size_t(token)];
  }

  void keep_top_k(index_t k) {
    if (k == 0 || k >= index_t(kept_.size())) return;
    ranked_.resize(std::size_t(k));
    std::partial_sort_copy(kept_.begin(), kept_.end(), ranked_.begin(), ranked_.end(), likelier);
    keep_at_least(ranked_.back().log_probability);
  }
  // Finds the last token to keep without sorting: it splits the candidates into a likelier and an unlikelier half, and
  // continues in the half that has this token. Tokens below (1 − p) / V of the weight, which are most, are no
  // candidates: together they have less than 1 − p of it.
  void keep_top_p(double p) {
    if (p == 1) return;
    const double all = weight(kept_), least = std::log((1 - p) * all / double(kept_.size()));
    double wanted = p * all;
    ranked_.clear();
    std::copy_if(kept_.begin(), kept_.end(), std::back_inserter(ranked_),
                 [least](const scored_token& one) { return one.log_probability >= least; });
    std::span<scored_token> among = ranked_;
    while (among.size() > 1) {
      const auto half = among.size() / 2;
      std::nth_element(among.begin(), among.begin() + std::ptrdiff_t(half), among.end(), likelier);
      const double likely = weight(among.first(half));
      const bool enough = likely >= wanted;
      if (!enough) wanted -= likely;
      among = enough ? among.first(half) : among.subspan(half);
    }
    std::erase_if(kept_, [last = among[0]](const scored_token& one) { return likelier(last, one); });
  }
  void keep_at_least(double least) {
    std::erase_if(kept_, [least](const scored_token& one) { return one.log_probability < least; });
  }
  // Σ exp of log-weights.
  static double weight(std::span<const scored_token> tokens) {
    double sum = 0;
    for (const scored_token& one : tokens) sum += std::exp(one.log_probability);
    return sum;
  }

  std::vector<double> scores_;               // (V)
  std::vector<token_id> seen_;               // sorted ids
  std::vector<scored_token> kept_, ranked_;  // log-weights until the end of distribution(): 0 for the likeliest
};

}  // namespace iapt
