// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The built programs from outside: exit statuses, refused flags, output that cannot be written.
#include <filesystem>

#include "iapt/core/version.hpp"
#include "support/catch.hpp"
#include "support/model.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::examples_programs {
namespace {

/// Runs a program with arguments, and perhaps a redirection.
struct program {
  std::string path;
  outcome operator()(const std::string& arguments) const { return shell(word(path) + " " + arguments); }
  /// That it fails, and says so with these words.
  void refuses(const std::string& arguments, const std::string& message) const {
    const outcome found = (*this)(arguments);
    CAPTURE(path, arguments);
    CHECK(found.status == 1);
    CHECK_THAT(found.text, has_text(message));
  }
};

constexpr const char* names[] = {"train", "evaluate", "generate", "serve", "fit_activation", "make_sql_data"};

std::size_t files_in(const std::filesystem::path& folder) {
  return std::size_t(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

}  // namespace

TEST_CASE("programs: the exit status is 0, or 1 for a wrong flag", "[examples]") {
  for (const char* name : names) {
    const auto path = require_program(name);
    if (!path) return;
    const program run{*path};
    CAPTURE(name);
    CHECK(run("--help").status == 0);
    CHECK(run("--version").text == std::string("iapt ") + library_version + "\n");
    run.refuses("--nonsense 1", "Run with --help");  // CLI11 may name a missing flag first
    run.refuses("--help >/dev/full", "cannot write to standard output");
    if (name != std::string("fit_activation")) run.refuses("", "is required");
  }
}

TEST_CASE("programs: the flags of version 0.1 have other names now", "[examples]") {
  const auto train = require_program("train"), serve = require_program("serve");
  if (!train || !serve) return;
  program{*train}.refuses("--share 0", "--share: must be at least 1, found 0");
  program{*train}.refuses("--share=0", "--share: must be at least 1, found 0");
  const std::string other = "--model none.gguf --adapters . --prefix-caching ";
  program{*serve}.refuses(other + "nothing", "--prefix-caching: nothing not in {off,on,late}");
  program{*serve}.refuses("--model none.gguf --adapters . --share-late --share-nothing", "excludes");
  program{*serve}.refuses("--model none.gguf --adapters . --share-late --bit-for-bit", "none.gguf");
}

TEST_CASE("programs: a flag out of bounds is named, with the bound", "[examples]") {
  const auto train = require_program("train"), evaluate = require_program("evaluate"),
             generate = require_program("generate"), serve = require_program("serve"),
             fit = require_program("fit_activation"), data = require_program("make_sql_data");
  if (!train || !evaluate || !generate || !serve || !fit || !data) return;
  struct wrong {
    const std::string& path;
    const char *flag, *value, *message;
  };
  for (const wrong& w : {
           wrong{*train, "--epochs", "0", "must be at least 1, found 0"},
           wrong{*train, "--epochs", "9223372036854775807", "must be at most 1000000, found 9223372036854775807"},
           wrong{*train, "--epochs", "1e3", "must be a whole number, found 1e3"},
           wrong{*train, "--batch", "99999999999999999999999", "must be at most 1000000, found 9999"},
           wrong{*train, "--micro-batch-tokens", "-1", "must be at least 0, found -1"},
           wrong{*train, "--learning-rate", "nan", "must be a number, found nan"},
           wrong{*train, "--learning-rate", "inf", "must be at most 1.79769e+308, found inf"},
           wrong{*train, "--coefficient-learning-rate", "-1e-3", "must be at least 0, found -1e-3"},
           wrong{*train, "--coefficient-learning-rate", "nan", "must be a number, found nan"},
           wrong{*train, "--warm-up", "nan", "must be a number, found nan"},
           wrong{*train, "--warm-up", "1.5", "must be at most 1, found 1.5"},
           wrong{*train, "--seed", "-1", "must be at least 0, found -1"},
           wrong{*train, "--seed", "18446744073709551616", "must be at most 18446744073709551615"},
           wrong{*train, "--soft-tokens", "4097", "must be at most 4096, found 4097"},
           wrong{*train, "--bottleneck", "65537", "must be at most 65536, found 65537"},
           wrong{*train, "--layers-per-projection", "0", "must be at least 1, found 0"},
           wrong{*train, "--soft-tokens", "1e3", "must be a whole number, found 1e3"},
           wrong{*train, "--rank", "0", "must be at least 1, found 0"},
           wrong{*train, "--alpha", "nan", "must be a number, found nan"},
           wrong{*train, "--max-length", "1", "must be at least 2, found 1"},
           wrong{*train, "--eval-every", "-1", "must be at least 0, found -1"},
           wrong{*train, "--patience", "-1", "must be at least 0, found -1"},
           wrong{*train, "--threads", "-1", "must be at least 0, found -1"},
           wrong{*generate, "--threads", "1025", "must be at most 1024, found 1025"},
           wrong{*generate, "--max-new", "1000001", "must be at most 1000000, found 1000001"},
           wrong{*generate, "--temperature", "nan", "must be a number, found nan"},
           wrong{*generate, "--temperature", "-1", "must be at least 0, found -1"},
           wrong{*generate, "--top-k", "-1", "must be at least 0, found -1"},
           wrong{*generate, "--top-p", "1.1", "must be at most 1, found 1.1"},
           wrong{*generate, "--min-p", "2", "must be at most 1, found 2"},
           wrong{*generate, "--repetition-penalty", "inf", "must be at most 1.79769e+308, found inf"},
           wrong{*generate, "--frequency-penalty", "-3", "must be at least -2, found -3"},
           wrong{*generate, "--presence-penalty", "3", "must be at most 2, found 3"},
           wrong{*generate, "--seed", "-1", "must be at least 0, found -1"},
           wrong{*generate, "--stop", "''", "must not be empty"},
           wrong{*generate, "--logprobs", "21", "must be at most 20, found 21"},
           wrong{*serve, "--port", "65536", "must be at most 65535, found 65536"},
           wrong{*serve, "--kv-budget", "0", "must be at least 1, found 0"},
           wrong{*serve, "--max-queue", "-1", "must be at least 0, found -1"},
           wrong{*serve, "--timeout", "soon", "must be a whole number, found soon"},
           wrong{*serve, "--adapters", "''", "must not be empty"},
           wrong{*evaluate, "--max-new", "0", "must be at least 1, found 0"},
           wrong{*evaluate, "--limit", "-1", "must be at least 0, found -1"},
           wrong{*evaluate, "--limit", "ten", "must be a whole number, found ten"},
           wrong{*data, "--train", "-5", "must be at least 0, found -5"},
           wrong{*data, "--seed", "-1", "must be at least 0, found -1"},
           wrong{*fit, "--points", "2", "must be at least 3, found 2"},
           wrong{*fit, "--numerator", "13", "must be at most 12, found 13"},
           wrong{*fit, "--interval -1", "1e300", "must be at most 1e+06, found 1e300"},
           wrong{*fit, "--interval -1", "inf", "must be at most 1e+06, found inf"},
           // a flag that names a file means one
           wrong{*train, "--out", "''", "must not be empty"},
           wrong{*train, "--dev", "''", "must not be empty"},
           wrong{*train, "--model", "''", "must not be empty"},
           wrong{*evaluate, "--adapter", "''", "must not be empty"},
           wrong{*evaluate, "--write", "''", "must not be empty"},
           wrong{*generate, "--adapter", "''", "must not be empty"},
           wrong{*data, "--out", "''", "must not be empty"},
           wrong{*fit, "--plot", "''", "must not be empty"},
       }) {
    const std::string flag(w.flag);
    program{w.path}.refuses(flag + " " + w.value, flag.substr(0, flag.find(' ')) + ": " + w.message);
  }
  const std::string needed = "--model m --train t --out o ";
  const program run{*train};
  run.refuses(needed + "--method lora --soft-tokens 3", "--soft-tokens: --method lora has no such option");
  run.refuses(needed + "--rank 3", "--rank: --method iapt has no such option");
  run.refuses(needed + "--method lora --output hidden", "--output: --method lora has no such option");
  run.refuses(needed + "--method p-tuning-v2 --init last", "--init is \"last\"; expected text or random");
  run.refuses(needed + "--method lora --start-text hi", "--start-text: nothing starts from a text");
  run.refuses(needed + "--placement late --start-text hi", "--start-text: nothing starts from a text");
  run.refuses(needed + "--method lora --coefficient-learning-rate 1", "has no learned activations");
  program{*generate}.refuses("--model m --prompt p --top-p 0", "top_p must be over 0 and at most 1, found 0");
  program{*generate}.refuses("--model m --prompt p --min-p 0.1", "need a --temperature over 0");
  program{*evaluate}.refuses("--model m --data d --metric loss --write w", "--write needs --metric exact");
}

TEST_CASE("make_sql_data: a full disk leaves nothing, a wrong folder is named", "[examples]") {
  const auto path = require_program("make_sql_data");
  if (!path) return;
  const program run{*path};
  const temporary_folder folder;
  const std::string few = " --train 3 --dev 2 --test 2", out = "--out " + word(folder.path() / "data") + few;

  // no file may get longer than 0 bytes
  const outcome full = shell("trap '' XFSZ; ulimit -f 0; " + word(*path) + " " + out);
  CHECK(full.status == 1);
  CHECK_THAT(full.text, has_text("train.jsonl: cannot write"));
  CHECK(files_in(folder.path() / "data") == 0);

  run.refuses(out + " >/dev/full", "cannot write to standard output");
  CHECK(run(out).status == 0);
  CHECK(files_in(folder.path() / "data") == 3);

  const auto file = folder.write("file", "no folder");
  run.refuses("--out " + word(file) + few, "iapt: " + file.string() + ": cannot create the folder: ");
  run.refuses("--out " + word(file / "data") + few, "cannot create the folder: Not a directory");
}

TEST_CASE("fit_activation: finite numbers or an error", "[examples]") {
  const auto path = require_program("fit_activation");
  if (!path) return;
  const program run{*path};
  CHECK_THAT(run("").text, has_text("largest error on [-3, 3]: 8.79"));
  run.refuses(">/dev/full", "cannot write to standard output");
  run.refuses("--interval 3 -3", "--interval: the first number must be the smaller one");
  for (const char* wide : {"--activation softplus --interval -800 800", "--interval -1000000 1000000"}) {
    const outcome found = run(wide);
    CAPTURE(wide, found.text);
    CHECK(found.status == (found.text.find("is not finite") == std::string::npos ? 0 : 1));
    CHECK(found.text.find("nan") == std::string::npos);
    CHECK(found.text.find("inf") == std::string::npos);
  }
}

TEST_CASE("programs with a model: output that is lost, prompts that are too long", "[examples][model]") {
  const auto model = require_model();
  const auto train = require_program("train"), evaluate = require_program("evaluate"),
             generate = require_program("generate");
  if (!model || !train || !evaluate || !generate) return;
  const temporary_folder folder;
  const std::string common = "--threads 1 --model " + word(*model);
  const auto data = folder.write(
      "data.jsonl", R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]})");
  const auto answers = folder.path() / "answers.jsonl";

  program{*generate}.refuses(common + " --prompt Hi --max-new 2 >/dev/full", "cannot write to standard output");
  const std::string measure = common + " --data " + word(data) + " --metric exact --max-new 2 --write " + word(answers);
  const outcome full = shell("trap '' XFSZ; ulimit -f 0; " + word(*evaluate) + " " + measure);
  CHECK(full.status == 1);
  CHECK_THAT(full.text, has_text(answers.string() + ": cannot write"));
  CHECK(files_in(folder.path()) == 1);
  program{*evaluate}.refuses(measure + " >/dev/full", "cannot write to standard output");
  CHECK_THAT(contents(answers), has_text(R"("expected":"Hello")"));  // without the token that ends the turn

  program{*train}.refuses(common + " --train " + word(data) + " --out " + word(folder.path() / "run") +
                              " --init last --soft-tokens 2000 --max-length 100000",
                          "2001 are needed for --soft-tokens 2000; use fewer --soft-tokens or --init random");
  CHECK_THAT(program{*train}(common + " --train " + word(data) + " --out " + word(folder.path() / "run") +
                             " --init last --soft-tokens 2000 --max-length 100000")
                 .text,
             has_text("warning: --max-length: 100000 tokens; the model was made for 8192 positions"));
}

TEST_CASE("train: a run whose model has a fingerprint of version 0.1 is resumed with a warning", "[examples][model]") {
  const auto model = require_model(), train = require_program("train");
  if (!model || !train) return;
  const temporary_folder folder;
  const auto data = folder.write("data.jsonl", R"({"prompt": "The capital of France is", "completion": " Paris."})");
  const std::string command = "--threads 1 --model " + word(*model) + " --train " + word(data) + " --out " +
                              word(folder.path() / "run") + " --method lora --rank 1 --targets q_proj --epochs 1";
  CHECK(program{*train}(command).status == 0);
  const auto resumed_with = [&](const std::string& fingerprint) {
    std::string run = contents(folder.path() / "run/checkpoint/run.json");
    const std::string key = "\"model\": \"";
    const std::size_t begin = run.find(key) + key.size();
    folder.write("run/checkpoint/run.json", run.replace(begin, run.find('"', begin) - begin, fingerprint));
    return program{*train}(command + " --resume");
  };
  const outcome same = resumed_with("64d802f4ee0c5cb8");  // what version 0.1 of the library made of this model
  CHECK(same.status == 0);
  CHECK_THAT(same.text, has_text("warning: ") && has_text("by a fingerprint of version 0.1"));
  CHECK_THAT(resumed_with("64d802f4ee0c5cb9").text,
             has_text("model: \"64d802f4ee0c5cb9\" then, \"64d802f4ee0c5cb8\" now"));
}

TEST_CASE("programs: the device is named or refused, and the processor's two say the same", "[examples][model]") {
  const auto generate = require_program("generate"), model = require_model();
  if (!generate || !model) return;
  const program run{*generate};
  const std::string question = "--model '" + *model + "' --prompt 'The capital of France is' --max-new 5";
  run.refuses(question + " --device abacus", "abacus not in {eigen,thrust,cuda}");
  run.refuses(question + " --dtype bfloat16", "--dtype bfloat16: --device eigen has float32 alone");
  const outcome cuda = run(question + " --device cuda");  // a build without it, or a machine without it
  if (cuda.status != 0) {
    CHECK(cuda.status == 1);
    CHECK_THAT(cuda.text, has_text("cuda") && (has_text("-DIAPT_CUDA=ON") || has_text("no GPU can be used")));
  }
  const outcome eigen = run(question), thrust = run(question + " --device thrust");
  CHECK(eigen.status == 0);
  if (thrust.text.find("was built for") == std::string::npos) {
    CHECK(thrust.status == 0);
    CHECK(thrust.text == eigen.text);
  }
  if (const auto serve = require_program("serve")) {
    const outcome refused =
        program{*serve}("--model " + word(*model) + " --adapters . --port 0 --device thrust --batch-invariant");
    CHECK(refused.status == 1);
    CHECK_THAT(refused.text,
               has_text("--batch-invariant: --device thrust has no such option") || has_text("was built for"));
  }
}

TEST_CASE("generate: draws repeat by their seed, a stop string is not shown, log-probabilities stand apart",
          "[examples][model]") {
  const auto generate = require_program("generate"), model = require_model();
  if (!generate || !model) return;
  const program run{*generate};
  const std::string france = "--threads 1 --model " + word(*model) + " --prompt 'The capital of France is'";
  const std::string drawn = france + " --max-new 8 --temperature 1.5 --top-k 50 --top-p 0.95 --seed ";
  CHECK(run(drawn + "1").text == run(drawn + "1").text);
  CHECK(run(drawn + "1").text != run(drawn + "2").text);
  CHECK(run(france + " --max-new 8 --stop nowhere --stop ris").text == " Pa\n");
  CHECK(run(france + " --max-new 1 --stop 'Paris.'").text == " Paris\n");  // held back, then released

  const std::string listed = france + " --max-new 1 --logprobs 1";
  CHECK(run(listed + " 2>/dev/null").text == " Paris\n");
  const std::string line = run(listed + " 2>&1 >/dev/null").text;
  CHECK_THAT(line, starts_with(R"({"token":" Paris","id":7042,"logprob":-0.258)"));
  CHECK_THAT(line, has_text(R"("top_logprobs":[{"token":" Paris","id":7042,"logprob":-0.258)"));
}

}  // namespace iapt::test::examples_programs
