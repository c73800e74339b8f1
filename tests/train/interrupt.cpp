// SPDX-License-Identifier: Apache-2.0
#include "iapt/train/interrupt.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"

using namespace iapt;

TEST_CASE("the first signal leaves a mark, and the old handlers come back", "[train]") {
  struct sigaction before {
  }, during{}, after{};
  ::sigaction(SIGTERM, nullptr, &before);
  {
    const interrupt_guard guard;
    CHECK_FALSE(guard.raised());
    ::sigaction(SIGTERM, nullptr, &during);
    CHECK(during.sa_handler != before.sa_handler);
    ::raise(SIGTERM);
    CHECK(guard.raised());
  }
  ::sigaction(SIGTERM, nullptr, &after);
  CHECK(after.sa_handler == before.sa_handler);
  CHECK_FALSE(interrupt_guard().raised());
}

TEST_CASE("the second signal ends the program", "[train]") {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGINT, SIG_DFL);
    const interrupt_guard guard;
    ::raise(SIGINT);
    if (!guard.raised()) ::_exit(1);
    ::raise(SIGINT);
    ::_exit(2);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGINT);
}
