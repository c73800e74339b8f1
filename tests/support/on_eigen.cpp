// SPDX-License-Identifier: Apache-2.0
// What tests of other backends are compared with.
#include "iapt/backend/eigen/backend.hpp"
#include "parity/run.hpp"

namespace iapt::test {

parity_run run_on_eigen(const parity_task& task, bool in_double) {
  eigen_backend backend{{.threads = 0}};
  return in_double ? run_task<double>(backend, task) : run_task<float>(backend, task);
}

}  // namespace iapt::test
