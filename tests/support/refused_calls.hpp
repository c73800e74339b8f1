// SPDX-License-Identifier: Apache-2.0
// Parts of a test that run as if the file system could less: the system refuses calls of one thread.
#pragma once
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <functional>
#include <stdexcept>
#include <thread>

namespace iapt::test {

/// Runs f on a thread of its own, for which one call of the system fails with a reason.
inline void with_call_refused(int call, int reason, const std::function<void()>& f) {
  std::exception_ptr failure;
  std::thread([&] {
    const auto number = static_cast<unsigned>(call), result = SECCOMP_RET_ERRNO | static_cast<unsigned>(reason);
    std::array<sock_filter, 4> program{sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                                       sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number},
                                       sock_filter{BPF_RET | BPF_K, 0, 0, result},
                                       sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const sock_fprog filter{program.size(), program.data()};
    try {
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        throw std::runtime_error("the system has no filters of calls");
      f();
    } catch (...) { failure = std::current_exception(); }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

/// As on a file system that cannot exchange two names.
inline void without_exchange(const std::function<void()>& f) { with_call_refused(SYS_renameat2, EINVAL, f); }
/// As on a file system that has no locks.
inline void without_locks(const std::function<void()>& f) { with_call_refused(SYS_flock, EOPNOTSUPP, f); }

}  // namespace iapt::test
