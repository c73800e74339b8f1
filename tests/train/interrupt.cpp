// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/train/interrupt.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "iapt/backend/eigen/backend.hpp"
#include "support/catch.hpp"

namespace iapt::test::train_interrupt {

TEST_CASE("the first signal leaves a mark, and the old handlers come back", "[train]") {
  struct sigaction before {
  }, during{}, after{};
  ::sigaction(SIGTERM, nullptr, &before);
  const auto stack = [] {  // where a handler that asks for a stack of its own runs
    stack_t now{};
    ::sigaltstack(nullptr, &now);
    return now.ss_flags & SS_DISABLE ? nullptr : now.ss_sp;
  };
  void* const first_stack = stack();
  {
    const interrupt_guard guard;
    CHECK_FALSE(guard.raised());
    ::sigaction(SIGTERM, nullptr, &during);
    CHECK(during.sa_handler != before.sa_handler);
    CHECK((during.sa_flags & SA_ONSTACK) != 0);
    CHECK(stack() != nullptr);
    CHECK(stack() != first_stack);
    ::raise(SIGTERM);
    CHECK(guard.raised());
  }
  ::sigaction(SIGTERM, nullptr, &after);
  CHECK(after.sa_handler == before.sa_handler);
  CHECK(stack() == first_stack);
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

// In a process of its own, because a handler on the product's stack could break the heap.
TEST_CASE("a signal in the middle of a product changes nothing", "[train]") {
  const pid_t child = ::fork();
  if (child == 0) {
    eigen_backend backend({.threads = 1});
    const index_t m = 190, n = 576, k = 1536;
    const std::vector<float> a(m * k, 0.5f), b(n * k, 2.f);
    for (int round = 0; round < 60; ++round) {
      const interrupt_guard guard;
      std::thread sender([round] {
        std::this_thread::sleep_for(std::chrono::microseconds(500 + 137 * round));
        ::kill(::getpid(), SIGTERM);
      });
      while (!guard.raised()) {
        std::vector<float> c(m * n);
        backend.matmul<float>(m, n, k, {a.data(), k}, {b.data(), k, true}, {c.data(), n}, false);
        for (float x : c)
          if (x != float(k)) ::_exit(1);
      }
      sender.join();
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace iapt::test::train_interrupt
