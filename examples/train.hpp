// SPDX-License-Identifier: Apache-2.0
// Trains IAPT on a model and JSONL of your own: what happens, on any device. train.cpp reads the flags.
#pragma once
#include <optional>

#include "support/program.hpp"

namespace program {
using namespace iapt;

/// The program, as its flags describe it.
struct train_program : common_flags {
  static constexpr auto purpose = "Trains instance-aware prompts on a frozen language model.";
  std::string method = "iapt", train, dev, out, placement = "front", init, output = "key_value", schedule = "linear";
  std::string start_text;
  iapt_options adapter;
  train_options options;
  double learning_rate = 2.5e-3;
  std::optional<double> coefficient_learning_rate;
  extent max_length = 768, micro_batch_tokens = 0;
  bool cut_left = false, recompute = false;

  void add(CLI::App& app);
  void settle();  // what flags mean together
  template <class Backend>
  int run(Backend& backend) const;
};

// The text that soft tokens start from: for `last`, a real instruction; else the user's, or the first examples whole.
template <class Model>
std::vector<token_id> text_to_start_from(const Model& lm, const train_program& f, const data_set& data) {
  if (f.adapter.start == prompt_start::last) {
    const auto& instruction = data.examples[0].instruction;
    if (const extent needed = f.adapter.soft_tokens + 1; extent(instruction.size()) < needed)
      throw error("--init last: the first instruction of --train has " + std::to_string(instruction.size()) +
                  " tokens, " + std::to_string(needed) + " are needed for --soft-tokens " +
                  std::to_string(f.adapter.soft_tokens) + "; use fewer --soft-tokens or --init random");
    return instruction;
  }
  std::vector<token_id> text = lm.tokenizer().encode(f.start_text, {.bos = false});
  for (const example& e : data.examples) {
    if (!f.start_text.empty() || extent(text.size()) >= f.adapter.soft_tokens) break;
    text.insert(text.end(), e.instruction.begin(), e.instruction.end());
    text.insert(text.end(), e.response.begin(), e.response.end());
  }
  if (const auto bos = lm.tokenizer().bos(); bos && (text.empty() || text[0] != *bos)) text.insert(text.begin(), *bos);
  return text;
}

template <class Generator, class Model>
int train_on(const Model& lm, const train_program& f, const data_set& data, const data_set& dev) {
  auto method = make_iapt<Generator>(lm, f.adapter);
  std::cerr << parameter_count(method.parameters()) << " trained parameters, " << data.examples.size() << " examples, "
            << lm.backend().description() << '\n';
  const interrupt_guard interrupt;
  progress_bar bar(std::cerr, progress_bar::standard_error());
  train_callbacks calls;
  const std::string backbone = lm.fingerprint();
  calls.save = [&](const std::filesystem::path& folder) { save_adapter(method, backbone, folder); };
  calls.progress = [&](const progress_state& state) { bar.show(state); };
  calls.say = [&](const std::string& text) { std::cerr << text << '\n'; };
  activation_watch watch(method);
  activation_report activations;
  calls.evaluating = [&] { watch.begin(); };
  calls.evaluated = [&] {
    activations = watch.end();
    return nlohmann::ordered_json{{"summary_range", {activations.least, activations.greatest}},
                                  {"coefficients_moved", activations.moved}};
  };
  calls.interrupted = [&] { return interrupt.raised(); };
  trainer run(lm.backend(), lm, method, std::span<const example>(data.examples), std::span<const example>(dev.examples),
              f.options, calls);
  const train_result result = run.run();
  bar.clear();
  std::cerr << result.steps << " steps, " << result.tokens_per_second << " tokens/s, loss " << result.loss;
  if (result.best_dev_loss) std::cerr << ", best dev loss " << *result.best_dev_loss << " at step " << result.best_step;
  std::cerr << ", peak " << (lm.backend().peak_bytes() >> 20) << " MiB\n";
  if (result.dev_loss)
    std::cerr << "activations: arguments from " << activations.least << " to " << activations.greatest
              << " (their start is fitted on -3 to 3), coefficients moved by up to " << activations.moved << '\n';
  if (result.end == train_end::stopped) std::cerr << "stopped: the dev loss got no better\n";
  if (result.end != train_end::interrupted) return 0;
  std::cerr << "interrupted; everything is saved, --resume goes on\n";
  return 130;
}

template <class Backend>
int train_program::run(Backend& backend) const {
  train_program f = *this;  // the start text and what the run is about are found on the way
  auto lm = load_causal_lm<float>(f.model, backend);
  lm.recompute_layers = f.recompute;
  warn_if_too_long(lm, f.max_length, "--max-length");
  const jsonl_options limits{.max_length = f.max_length,
                             .longer = f.cut_left ? too_long::cut_left : too_long::leave_out,
                             .shortest_instruction = f.adapter.where == iapt::placement::late ? 2 : 1};
  const data_set data = load_jsonl(f.train, lm.tokenizer(), limits);
  const data_set dev = f.dev.empty() ? data_set{} : load_jsonl(f.dev, lm.tokenizer(), limits);
  for (const auto* set : {&data, &dev})
    if (const auto text = to_text(set->report); !text.empty()) std::cerr << text << '\n';
  f.adapter.start_text = text_to_start_from(lm, f, data);
  f.options.subject = {
      {"model", lm.fingerprint()},
      {"method", f.method},
      {"placement", f.placement},
      {"init", f.init},
      {"start_text", f.adapter.start == prompt_start::random ? "" : lm.tokenizer().decode(f.adapter.start_text)},
      {"output", f.output},
      {"soft_tokens", f.adapter.soft_tokens},
      {"bottleneck", f.adapter.bottleneck},
      {"share", f.adapter.share}};
  return with_generator<Backend>(f.output,
                                 [&](auto type) { return train_on<typename decltype(type)::type>(lm, f, data, dev); });
}

}  // namespace program
