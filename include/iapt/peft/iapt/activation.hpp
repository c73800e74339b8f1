// SPDX-License-Identifier: Apache-2.0
// Activations of a generator: a rational function with learned coefficients, or a fixed function.
#pragma once
#include <vector>

#include "iapt/core/random.hpp"
#include "iapt/ops/activations.hpp"
#include "iapt/ops/rational.hpp"
#include "iapt/peft/iapt/layer_file.hpp"
#include "iapt/peft/iapt/options.hpp"

namespace iapt {

/// The learned rational activation. Its initial coefficients are those of GELU.
/// @par Source IAPT, ACL 2024; form and start: ours (docs/method.md, "The learned activation")
template <class T, class Backend>
struct rational_activation {
  static constexpr auto name = "rational";  ///< name in files
  tensor<T, 1, Backend> numerator;          ///< a_0..a_6
  tensor<T, 1, Backend> denominator;        ///< b_1..b_5

  /// The coefficients of GELU.
  static rational_activation make(Backend& backend) {
    const std::vector<T> a(gelu_numerator.begin(), gelu_numerator.end());
    const std::vector<T> b(gelu_denominator.begin(), gelu_denominator.end());
    return {from_host(backend, extents<1>{index_t(a.size())}, a), from_host(backend, extents<1>{index_t(b.size())}, b)};
  }
  /// Reads the coefficients from a file.
  template <class File>
  static rational_activation read(const layer_file<T, Backend, File>& from) {
    return {from("activation.numerator", extents<1>{index_t(gelu_numerator.size())}),
            from("activation.denominator", extents<1>{index_t(gelu_denominator.size())})};
  }
  /// z -> Ra(z), elementwise.
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& z) const {
    return ctx(rational(z, numerator, denominator));
  }
  /// Calls f(name, tensor, role) for each tensor.
  template <class F>
  void visit(F f) {
    f("activation.numerator", numerator, tensor_role::coefficients);
    f("activation.denominator", denominator, tensor_role::coefficients);
  }
};

/// The identity: z -> z.
struct identity_fn {
  static constexpr auto name = "identity";  ///< name in files
};
/// A fixed elementwise function, to compare the learned one with.
template <class T, class Backend, class Function>
struct fixed_activation {
  static constexpr auto name = Function::name;  ///< name in files

  /// Has no initial values.
  static fixed_activation make(Backend&) { return {}; }
  /// Has nothing to read from a file.
  template <class File>
  static fixed_activation read(const layer_file<T, Backend, File>&) {
    return {};
  }
  /// z -> Function(z), elementwise.
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& z) const {
    if constexpr (std::same_as<Function, identity_fn>)
      return z;
    else
      return ctx(elementwise<Function>{}(z));
  }
  /// Has no tensors.
  template <class F>
  void visit(F) {}
};

}  // namespace iapt
