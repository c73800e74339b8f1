// SPDX-License-Identifier: Apache-2.0
// What the programs with a model share, on every device: flags of the same name, adapters of any type, stop tokens.
#pragma once
#include <iapt/portable.hpp>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace program {

/// Flags that programs with a model have.
struct common_flags {
  std::string model, device = "eigen", dtype;
  int threads = 0;
  void add(CLI::App& app);
};
/// And those that train no model.
struct inference_flags : common_flags {
  bool bit_for_bit = false, expand_weights = false;
  void add(CLI::App& app);
  /// The model, its weights as the file has them where the machine is no slower for it.
  template <class T, class Backend>
  auto load(Backend& backend) const {
    const bool stored = Backend::streams_quantised && !expand_weights;
    return iapt::load_causal_lm<T>(model, backend,
                                   {.weights = stored ? iapt::weights_as::stored : iapt::weights_as::expanded});
  }
};
/// A model and what it is adapted with, maybe the bare method.
template <class T, class Backend>
struct adapted_model {
  iapt::language_model<T, Backend> lm;
  iapt::shared_method<T, Backend> method;
};
/// And those that take an adapter. Whatever method it is of, a program is compiled once for all of them.
struct adapted_flags : inference_flags {
  std::string adapter;
  bool merge = false;
  void add(CLI::App& app);
  /// The model and the adapter, or the bare method where none is named. A merged adapter is the bare method of another
  /// model.
  /// @throws iapt::error if an adapter of its method cannot be merged
  template <class T, class Backend>
  adapted_model<T, Backend> load_adapted(Backend& backend) const {
    if (adapter.empty() && merge) throw iapt::error("--merge needs --adapter");
    const auto lm = load<T>(backend);
    const auto bare = iapt::share_method(lm, iapt::bare{});
    if (adapter.empty()) return {lm, bare};
    return iapt::with_adapter(lm, iapt::adapter_folder(adapter), [&](auto method) -> adapted_model<T, Backend> {
      if constexpr (requires { iapt::merged(lm, method); })
        if (merge) {
          if (std::is_same_v<T, iapt::bfloat16>)
            std::cerr << "warning: --merge: weights in bfloat16 lose what is small beside them; --dtype float32 keeps "
                         "it\n";
          return {iapt::merged(lm, method), bare};
        }
      if (merge) throw iapt::error("--merge: an adapter of the method " + std::string(method.name) + " stays apart");
      return {lm, iapt::share_method(lm, std::move(method))};
    });
  }
};

/// What was given of the flags that methods have, by name; empty where it was not.
using method_flags = std::map<std::string, std::string>;

/// Whether a method is the one that was named, and of the types that the flags ask for.
template <class Method>
bool is_chosen(const std::string& method, const method_flags& given) {
  if (method != Method::name) return false;
  bool same = true;
  iapt::each_fixed<Method>([&](const iapt::fixed_option& o) {
    const auto flag = given.find(o.flag);
    same = same && (flag == given.end() || flag->second.empty() || flag->second == o.value);
  });
  return same;
}
/// A method's options from its flags.
/// @throws iapt::error naming a flag that the method does not have
template <class Method>
typename Method::options_type options_from(const method_flags& given) {
  typename Method::options_type options;
  std::set<std::string> known;
  iapt::each_fixed<Method>([&](const iapt::fixed_option& o) { known.insert(o.flag); });
  Method::options_type::visit(options, [&]<class V>(const iapt::option& o, V& value) {
    known.insert(o.flag);
    const auto flag = given.find(o.flag);
    if (flag == given.end() || flag->second.empty()) return;
    if constexpr (std::is_same_v<V, bool>)
      value = true;
    else if constexpr (std::is_enum_v<V>)
      value = iapt::value_named<V>(flag->second, "--" + flag->first);
    else if constexpr (std::is_arithmetic_v<V>)
      value = V(std::stod(flag->second));
    else if constexpr (std::is_same_v<V, std::vector<std::string>>) {
      value.clear();
      std::istringstream list(flag->second);
      for (std::string one; std::getline(list, one, ',');) value.push_back(one);
    }
  });
  for (const auto& [flag, value] : given)
    if (!value.empty() && !known.contains(flag))
      throw iapt::error("--" + flag + ": --method " + Method::name + " has no such option");
  return options;
}

/// The tokens that end an answer: the model's end token and, where its chat template is known, that of a turn.
/// @throws iapt::io_error if there is neither
template <class Model>
std::vector<iapt::token_id> stop_tokens(const Model& lm) {
  std::vector<iapt::token_id> stop;
  try {
    stop.push_back(lm.chat().end_of_turn(lm.tokenizer()));
  } catch (const iapt::io_error&) {}  // not a chat model
  if (const auto end = lm.tokenizer().eos()) stop.push_back(*end);
  if (stop.empty()) stop.push_back(lm.end_token());  // which says that there is none
  return stop;
}

/// Warns of sequences that are longer than the model was made for. It reads them, but may well make nothing of them.
template <class Model>
void warn_if_too_long(const Model& lm, iapt::extent tokens, const std::string& what) {
  if (const auto most = lm.config.max_positions; most > 0 && tokens > most)
    std::cerr << "warning: " << what << ": " << tokens << " tokens; the model was made for " << most << " positions\n";
}

}  // namespace program
