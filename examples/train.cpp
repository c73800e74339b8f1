// SPDX-License-Identifier: Apache-2.0
// Trains IAPT on a model and JSONL of your own.
#include <optional>

#include "support/program.hpp"

using namespace iapt;

namespace {

struct flags : program::common_flags {
  std::string method = "iapt", train, dev, out, placement = "front", init, output = "key_value", schedule = "linear";
  std::string start_text;
  iapt_options iapt;
  train_options run;
  double learning_rate = 2.5e-3;
  std::optional<double> coefficient_learning_rate;
  extent max_length = 768, micro_batch_tokens = 0;
  bool cut_left = false, recompute = false;

  void add(CLI::App& app) {
    using program::between, program::not_empty;
    common_flags::add(app);
    app.add_option("--method", method, "how to adapt the model")->check(CLI::IsMember({"iapt"}))->capture_default_str();
    app.add_option("--train", train, "JSONL to learn from")->required()->check(not_empty());
    app.add_option("--dev", dev, "JSONL that chooses the best adapter")->check(not_empty());
    app.add_option("--out", out, "folder for the adapter, the metrics and the checkpoint")
        ->required()
        ->check(not_empty());
    app.add_option("--epochs", run.epochs)->check(between<extent>(1, 1000000))->capture_default_str();
    app.add_option("--batch", run.batch, "sequences in a step")
        ->check(between<extent>(1, 1000000))
        ->capture_default_str();
    app.add_option("--micro-batch-tokens", micro_batch_tokens, "tokens at once; 0: the whole batch")
        ->check(between<extent>(0));
    app.add_option("--learning-rate", learning_rate)->check(between<double>(0))->capture_default_str();
    app.add_option("--coefficient-learning-rate", coefficient_learning_rate,
                   "of the learned activations; without it 1e-3, with --bilevel 1e-6")
        ->check(between<double>(0));
    app.add_option("--schedule", schedule)
        ->check(CLI::IsMember({"constant", "linear", "cosine"}))
        ->capture_default_str();
    app.add_option("--warm-up", run.warm_up, "fraction of the steps")
        ->check(between<double>(0, 1))
        ->capture_default_str();
    app.add_option("--seed", run.seed)->check(between<std::uint64_t>(0))->capture_default_str();
    app.add_option("--eval-every", run.eval_every, "steps; 0: after each epoch")->check(between<extent>(0));
    app.add_option("--patience", run.patience, "evaluations without a better dev loss that end the run; 0: any")
        ->check(between<extent>(0));
    app.add_option("--soft-tokens", iapt.soft_tokens)->check(between<extent>(1, 4096))->capture_default_str();
    app.add_option("--bottleneck", iapt.bottleneck)->check(between<extent>(1, 65536))->capture_default_str();
    app.add_option("--share", iapt.share, "layers that share projections")
        ->check(between<extent>(1, 65536))
        ->capture_default_str();
    app.add_option("--placement", placement)->check(CLI::IsMember({"front", "late"}))->capture_default_str();
    app.add_option("--init", init, "start of the soft tokens; text in front, random late")
        ->check(CLI::IsMember({"text", "random", "last"}));
    app.add_option(
        "--start-text", start_text,
        "what --init text starts from, at least as many tokens as soft tokens; without it, the first lines of "
        "--train");
    app.add_option("--output", output, "output space")
        ->check(CLI::IsMember({"hidden", "hidden_gains", "key_value"}))
        ->capture_default_str();
    app.add_option("--max-length", max_length, "tokens; longer sequences are reported and left out")
        ->check(between<extent>(2))
        ->capture_default_str();
    app.add_flag("--cut-left", cut_left, "cut longer instructions on the left instead");
    app.add_flag("--recompute", recompute, "less memory, a third more time");
    app.add_flag("--bilevel", run.bilevel, "learn the activations on half of --dev");
    app.add_flag("--resume", run.resume, "go on from the checkpoint in --out");
    app.add_flag("--overwrite", run.overwrite, "replace the run that is in --out");
  }
};

// The text that soft tokens start from: for `last`, a real instruction; else the user's, or the first examples whole.
std::vector<token_id> start_text(const program::model& lm, const flags& f, const data_set& data) {
  if (f.iapt.start == prompt_start::last) {
    const auto& instruction = data.examples[0].instruction;
    if (const extent needed = f.iapt.soft_tokens + 1; extent(instruction.size()) < needed)
      throw error("--init last: the first instruction of --train has " + std::to_string(instruction.size()) +
                  " tokens, " + std::to_string(needed) + " are needed for --soft-tokens " +
                  std::to_string(f.iapt.soft_tokens) + "; use fewer --soft-tokens or --init random");
    return instruction;
  }
  std::vector<token_id> text = lm.tokenizer().encode(f.start_text, {.bos = false});
  for (const example& e : data.examples) {
    if (!f.start_text.empty() || extent(text.size()) >= f.iapt.soft_tokens) break;
    text.insert(text.end(), e.instruction.begin(), e.instruction.end());
    text.insert(text.end(), e.response.begin(), e.response.end());
  }
  if (const auto bos = lm.tokenizer().bos(); bos && (text.empty() || text[0] != *bos)) text.insert(text.begin(), *bos);
  return text;
}

template <class Generator>
int train(const program::model& lm, const flags& f, const data_set& data, const data_set& dev) {
  auto method = make_iapt<Generator>(lm, f.iapt);
  std::cerr << parameter_count(method.parameters()) << " trained parameters, " << data.examples.size() << " examples, "
            << lm.backend().threads() << " threads, products by " << product_library << '\n';
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
              f.run, calls);
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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Trains instance-aware prompts on a frozen language model.");
  flags f;
  f.add(app);
  return program::run(app, argc, argv, [&] {
    f.iapt.where = f.placement == "late" ? placement::late : placement::front;
    if (f.init.empty()) f.init = f.placement == "late" ? "random" : "text";
    f.iapt.start = f.init == "text" ? prompt_start::text : f.init == "last" ? prompt_start::last : prompt_start::random;
    f.iapt.seed = f.run.seed;
    f.run.out = f.out;
    f.run.shape = decay_of(f.schedule);
    f.run.micro_batch.tokens = f.micro_batch_tokens;
    f.run.optimizer.learning_rate = f.learning_rate;
    f.run.optimizer.coefficients = group_settings{.learning_rate = f.coefficient_learning_rate.value_or(1e-3)};
    f.run.bilevel_coefficients.learning_rate = f.coefficient_learning_rate.value_or(1e-6);
    if (f.run.bilevel && f.dev.empty()) throw error("--bilevel needs --dev");

    program::backend backend{{.threads = f.threads}};
    auto lm = load_causal_lm<float>(f.model, backend);
    lm.recompute_layers = f.recompute;
    program::warn_if_too_long(lm, f.max_length, "--max-length");
    const jsonl_options limits{.max_length = f.max_length,
                               .longer = f.cut_left ? too_long::cut_left : too_long::leave_out,
                               .shortest_instruction = f.iapt.where == placement::late ? 2 : 1};
    const data_set data = load_jsonl(f.train, lm.tokenizer(), limits);
    const data_set dev = f.dev.empty() ? data_set{} : load_jsonl(f.dev, lm.tokenizer(), limits);
    for (const auto* set : {&data, &dev})
      if (const auto text = to_text(set->report); !text.empty()) std::cerr << text << '\n';
    f.iapt.start_text = start_text(lm, f, data);
    f.run.subject = {
        {"model", lm.fingerprint()},
        {"method", f.method},
        {"placement", f.placement},
        {"init", f.init},
        {"start_text", f.iapt.start == prompt_start::random ? "" : lm.tokenizer().decode(f.iapt.start_text)},
        {"output", f.output},
        {"soft_tokens", f.iapt.soft_tokens},
        {"bottleneck", f.iapt.bottleneck},
        {"share", f.iapt.share}};
    return program::with_generator(f.output,
                                   [&](auto type) { return train<typename decltype(type)::type>(lm, f, data, dev); });
  });
}
