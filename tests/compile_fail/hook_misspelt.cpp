// SPDX-License-Identifier: Apache-2.0
// A declared hook whose member is misspelt would silently do nothing.
// expect: hook::delta needs: tensor<T, 2, Backend> delta\(Context& ctx, target_module where, const tensor<T, 2,
// Backend>& x\) const
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/model/causal_lm.hpp>

using backend = iapt::eigen_backend;

struct adds_its_input {
  static constexpr iapt::hook_set hooks{iapt::hook::delta};
  using matrix = iapt::tensor<float, 2, backend>;
  template <class Context>
#if CORRECT
  matrix delta(Context&, iapt::target_module, const matrix& x) const {
#else
  matrix detla(Context&, iapt::target_module, const matrix& x) const {
#endif
      return x;
}
}
;

void compute(const iapt::causal_lm<float, backend>& lm, const iapt::packed_batch& batch, const adds_its_input& method) {
  iapt::inference<backend> ctx(lm.backend());
  lm(ctx, batch, method);
}
