// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/train/metrics.hpp"

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::train_metrics {

TEST_CASE("lines are appended at once, and resuming drops those of later steps", "[train]") {
  const test::temporary_folder folder;
  const auto path = folder.path() / "metrics.jsonl";
  {
    metrics_log log(path, -1);
    log.write({{"step", 1}, {"loss", 0.5}});
    CHECK(test::contents(path) == "{\"step\":1,\"loss\":0.5}\n");
    log.write({{"step", 2}, {"loss", 0.25}});
    log.write({{"step", 2}, {"dev_loss", 0.75}});
    log.write({{"step", 3}, {"loss", 0.125}});
  }
  {
    metrics_log log(path, 2);
    log.write({{"step", 3}, {"loss", 1.5}});
  }
  CHECK(test::contents(path) ==
        "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.25}\n{\"step\":2,\"dev_loss\":0.75}\n"
        "{\"step\":3,\"loss\":1.5}\n");
  metrics_log(path, -1);
  CHECK(test::contents(path).empty());
}

TEST_CASE("an unfinished or damaged line ends what is kept", "[train]") {
  const test::temporary_folder folder;
  const auto kept = [&](const std::string& contents) { return metrics_until(folder.write("m", contents), 9); };
  CHECK(kept("{\"step\":1}\n{\"step\":2}") == "{\"step\":1}\n");
  CHECK(kept("{\"step\":1}\n{\"st\n{\"step\":2}\n") == "{\"step\":1}\n");
  CHECK(kept("{\"step\":1}\n{\"step\":\"x\"}\n") == "{\"step\":1}\n");
  CHECK(kept("{\"step\":1}\n{\"loss\":1}\n") == "{\"step\":1}\n");
  CHECK(kept("{\"step\":1}\n[2]\n") == "{\"step\":1}\n");
  CHECK(metrics_until(folder.path() / "none", 9).empty());
}

TEST_CASE("a log without a file writes nowhere", "[train]") {
  metrics_log log;
  log.write({{"step", 1}});
  CHECK_THROWS_AS(metrics_log("/dev/null/x", -1), io_error);
}

}  // namespace iapt::test::train_metrics
