// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The programs on another device than Eigen's processor: the one that IAPT_TEST_DEVICE names.
#include <fstream>

#include "support/catch.hpp"
#include "support/model.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::examples_devices {
namespace {

/// The loss in what evaluate prints.
double loss_in(const std::string& text) {
  const auto at = text.find("\"loss\":");
  CAPTURE(text);
  REQUIRE(at != std::string::npos);
  return std::stod(text.substr(at + 7));
}

}  // namespace

TEST_CASE("programs: an adapter that another device trained is one here, too", "[examples][devices][model]") {
  const std::string device = environment("IAPT_TEST_DEVICE").value_or("thrust");
  const auto model = require_model(), train = require_program("train"), evaluate = require_program("evaluate"),
             generate = require_program("generate");
  if (!model || !train || !evaluate || !generate) return;
  const temporary_folder folder;
  const std::string data = word(folder.path() / "data.jsonl"), adapter = word(folder.path() / "adapter");
  std::ofstream lines(folder.path() / "data.jsonl");
  for (const char* next : {"two", "three", "four", "five"})
    lines << R"({"prompt": "Count: one,", "completion": " )" << next << "\"}\n";
  lines.close();
  const auto run = [&](const std::string& program, const std::string& where, const std::string& arguments) {
    return shell(word(program) + " --device " + where + " --model " + word(*model) + " " + arguments);
  };
  for (const char* method : {"iapt --init random", "lora"}) {
    CAPTURE(method);
    const outcome trained =
        run(*train, device,
            "--train " + data + " --out " + adapter + " --method " + method + " --epochs 2 --batch 2 --overwrite");
    if (trained.text.find("was built for") != std::string::npos) return;
    CAPTURE(trained.text);
    REQUIRE(trained.status == 0);
    const std::string adapted = " --adapter " + adapter;
    const double there = loss_in(run(*evaluate, device, "--data " + data + adapted).text);
    CHECK(there == Approx(loss_in(run(*evaluate, "eigen", "--data " + data + adapted).text)).epsilon(0.02));
    const outcome answer = run(*generate, device, "--prompt 'Count: one,' --max-new 2" + adapted);
    CHECK(answer.status == 0);
    CHECK(answer.text.size() > 1);
  }
}

}  // namespace iapt::test::examples_devices
