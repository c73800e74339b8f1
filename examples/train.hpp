// SPDX-License-Identifier: Apache-2.0
// Trains IAPT or another method on your own model and JSONL, on any device. train.cpp has the flags.
#pragma once
#include <iapt/data/jsonl.hpp>
#include <iapt/io/adapter.hpp>
#include <iapt/peft/iapt/activation_watch.hpp>
#include <iapt/train/interrupt.hpp>
#include <iapt/train/progress.hpp>
#include <iapt/train/trainer.hpp>
#include <optional>

#include "support/chosen_method.hpp"
#include "support/program.hpp"

namespace program {
using namespace iapt;

/// The program with its flags.
struct train_program : common_flags {
  static constexpr auto purpose = "Adapts a frozen language model: instance-aware prompts, LoRA or P-tuning v2.";
  std::string method = "iapt", train, dev, out, schedule = "linear", start_text;
  method_flags given;
  train_options options;
  double learning_rate = 2.5e-3;
  std::optional<double> coefficient_learning_rate;
  index_t max_length = 768, micro_batch_tokens = 0;
  bool cut_left = false, recompute = false;

  void add(CLI::App& app);
  void check_flags();  // checks the combination of flags and sets the options from them
  template <class T, class Backend>
  int run(Backend& backend) const;

 private:
  template <class Method>
  typename Method::options_type chosen_options() const;
  template <class Method, class Model>
  int adapt(const Model& lm) const;
};

// The text that a method's soft tokens start from: for `last`, the first instruction; else the user's text, or the
// first complete examples.
template <class Model, class Options>
std::vector<token_id> text_to_start_from(const Model& lm, const std::string& start_text, const Options& o,
                                         const data_set& data) {
  if constexpr (std::is_same_v<Options, iapt_options>)
    if (o.start == prompt_start::last) {
      const auto& instruction = data.examples[0].instruction;
      if (const index_t needed = o.soft_tokens + 1; index_t(instruction.size()) < needed)
        throw error("--init last: the first instruction of --train has " + std::to_string(instruction.size()) +
                    " tokens, " + std::to_string(needed) + " are needed for --soft-tokens " +
                    std::to_string(o.soft_tokens) + "; use fewer --soft-tokens or --init random");
      return instruction;
    }
  std::vector<token_id> text = lm.tokenizer().encode(start_text, {.bos = false});
  for (const example& e : data.examples) {
    if (!start_text.empty() || index_t(text.size()) >= o.soft_tokens) break;
    text.insert(text.end(), e.instruction.begin(), e.instruction.end());
    text.insert(text.end(), e.response.begin(), e.response.end());
  }
  if (const auto bos = lm.tokenizer().bos(); bos && (text.empty() || text[0] != *bos)) text.insert(text.begin(), *bos);
  return text;
}

// What is trained, so that a resumed run can check that it is the same: the method's options by their names in files,
// except options that no flag sets.
template <class Method>
nlohmann::ordered_json subject_of(const typename Method::options_type& options) {
  nlohmann::ordered_json subject{{"method", Method::name}};
  Method::options_type::visit(options, [&](const option& o, const auto& value) {
    if (*o.flag) subject[*o.key ? o.key : o.flag] = to_json(value);
  });
  each_fixed<Method>([&](const fixed_option& o) {
    if (*o.flag) subject[o.key] = o.value;
  });
  return subject;
}

// The model's fingerprint, of the same kind as in the run to resume.
template <class Model>
std::string fingerprint_for(const Model& lm, const train_options& options) {
  nlohmann::json stored;
  try {
    if (options.resume) stored = read_run(options.out / "checkpoint").settings.at("model");
  } catch (const std::exception&) {}  // no run, or a damaged one: the trainer reports it
  if (!stored.is_string() || kind_of_fingerprint(stored.get<std::string>()) != fingerprint_kind::some_tensors)
    return lm.fingerprint();
  lm.warn(options.out.string() +
          ": the run tells its model by a fingerprint of version 0.1, which looks at some of the "
          "weights alone; make sure that it is the right one");
  return lm.fingerprint(fingerprint_kind::some_tensors);
}

template <class Method, class Model>
int train_on(const Model& lm, const typename Method::options_type& chosen, const train_options& options,
             const data_set& data, const data_set& dev) {
  auto method = Method::make(lm, chosen);
  std::cerr << parameter_count(method.parameters()) << " trained parameters, " << data.examples.size() << " examples, "
            << lm.backend().description() << '\n';
  const interrupt_guard interrupt;
  progress_bar bar(std::cerr, progress_bar::standard_error());
  train_callbacks calls;
  calls.save = [&](const std::filesystem::path& folder) { save_adapter(method, lm, folder); };
  calls.require_replaceable = [](const std::filesystem::path& folder) {
    require_replaceable(folder, adapter_files[0]);
  };
  calls.progress = [&](const progress_state& state) { bar.show(state); };
  calls.say = [&](const std::string& text) { std::cerr << text << '\n'; };
  activation_watch watch(method);
  activation_report activations;
  if (has_activations<Method>) {
    calls.evaluating = [&] { watch.begin(); };
    calls.evaluated = [&] {
      activations = watch.end();
      return nlohmann::ordered_json{{"summary_range", {activations.least, activations.greatest}},
                                    {"coefficients_moved", activations.moved}};
    };
  }
  calls.interrupted = [&] { return interrupt.raised(); };
  trainer run(lm.backend(), lm, method, std::span<const example>(data.examples), std::span<const example>(dev.examples),
              options, calls);
  const train_result result = run.run();
  bar.clear();
  std::cerr << result.steps << " steps, " << result.tokens_per_second << " tokens/s, loss " << result.loss;
  if (result.best_dev_loss) std::cerr << ", best dev loss " << *result.best_dev_loss << " at step " << result.best_step;
  std::cerr << ", peak " << (lm.backend().peak_bytes() >> 20) << " MiB\n";
  if (result.dev_loss && has_activations<Method>)
    std::cerr << "activations: arguments from " << activations.least << " to " << activations.greatest
              << " (their start is fitted on -3 to 3), coefficients moved by up to " << activations.moved << '\n';
  if (result.end == train_end::stopped) std::cerr << "stopped: the dev loss got no better\n";
  if (result.end != train_end::interrupted) return 0;
  std::cerr << "interrupted; everything is saved, --resume goes on\n";
  return 130;
}

// The method's options. It runs before anything is loaded, and rejects flags that make no sense together.
template <class Method>
typename Method::options_type train_program::chosen_options() const {
  auto chosen = options_from<Method>(given);
  if constexpr (requires { chosen.seed; }) chosen.seed = options.seed;
  index_t text_needed = 0;
  if constexpr (requires { chosen.where; })
    if (chosen.where == placement::late && given.at("init").empty()) chosen.start = prompt_start::random;
  if constexpr (requires { chosen.text_needed(); }) text_needed = chosen.text_needed();
  if (!start_text.empty() && text_needed == 0)
    throw error("--start-text: nothing starts from a text with --method " + method + " and these options");
  if (coefficient_learning_rate && !has_activations<Method>)
    throw error("--coefficient-learning-rate: --method " + method + " has no learned activations");
  return chosen;
}

template <class Method, class Model>
int train_program::adapt(const Model& lm) const {
  train_options options = this->options;
  auto chosen = chosen_options<Method>();
  bool late = false;
  if constexpr (requires { chosen.where; }) late = chosen.where == placement::late;
  const jsonl_options limits{.max_length = max_length,
                             .longer = cut_left ? too_long::cut_left : too_long::leave_out,
                             .shortest_instruction = late ? 2 : 1};
  const data_set data = load_jsonl(train, lm.tokenizer(), limits);
  const data_set dev = this->dev.empty() ? data_set{} : load_jsonl(this->dev, lm.tokenizer(), limits);
  for (const auto* set : {&data, &dev})
    if (const auto text = to_text(set->report); !text.empty()) std::cerr << text << '\n';
  options.subject = {{"model", fingerprint_for(lm, options)}};
  options.subject.update(subject_of<Method>(chosen));
  if constexpr (requires { chosen.text_needed(); }) {
    if (chosen.text_needed() > 0) chosen.start_text = text_to_start_from(lm, start_text, chosen, data);
    options.subject["start_text"] = lm.tokenizer().decode(chosen.start_text);
  }
  return train_on<Method>(lm, chosen, options, data, dev);
}

template <class T, class Backend>
int train_program::run(Backend& backend) const {
  using methods = known_methods<compute_type<T>, Backend>;
  const auto suits = [&]<class Method>(std::type_identity<Method>) { return is_chosen<Method>(method, given); };
  const auto none = [&] { throw error("--method " + method + " is not known with these options"); };
  methods::first(
      suits, [&]<class Method>(std::type_identity<Method>) { chosen_options<Method>(); }, none);
  auto lm = load_causal_lm<T>(model, backend, {.warn = warn});
  lm.recompute_layers = recompute;
  warn_if_too_long(lm, max_length, "--max-length");
  return methods::first(
      suits, [&]<class Method>(std::type_identity<Method>) { return adapt<Method>(lm); }, none);
}

}  // namespace program
