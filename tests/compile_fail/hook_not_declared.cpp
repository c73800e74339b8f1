// SPDX-License-Identifier: Apache-2.0
// A member with a hook's name that is not among the method's hooks would silently do nothing.
// expect: a member bias, but no hook::bias in the method's hooks
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/model/causal_lm.hpp>

using backend = iapt::eigen_backend;

struct offset {
#if CORRECT
  static constexpr iapt::hook_set hooks{iapt::hook::bias};
#else
  static constexpr iapt::hook_set hooks{};
#endif
  iapt::tensor<float, 1, backend> row;
  template <class Context>
  auto bias(Context&, iapt::target_module) const {
    return row;
  }
};

void compute(const iapt::causal_lm<float, backend>& lm, const iapt::packed_batch& batch, const offset& method) {
  iapt::inference<backend> ctx(lm.backend());
  lm(ctx, batch, method);
}
