// SPDX-License-Identifier: Apache-2.0
// A hook that cannot be called would silently do nothing.
// expect: hook::scale needs: tensor<T, 1, Backend> scale\(Context& ctx, target_module where\) const
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/model/causal_lm.hpp>

using backend = iapt::eigen_backend;

struct scaled {
  static constexpr iapt::hook_set hooks{iapt::hook::scale};
  iapt::tensor<float, 1, backend> row;
#if CORRECT
  template <class Context>
  auto scale(Context&, iapt::target_module) const {
    return row;
  }
#else
  auto scale(iapt::target_module) const { return row; }  // without the context
#endif
};

void compute(const iapt::causal_lm<float, backend>& lm, const iapt::packed_batch& batch, const scaled& method) {
  iapt::inference<backend> ctx(lm.backend());
  lm(ctx, batch, method);
}
