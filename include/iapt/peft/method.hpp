// SPDX-License-Identifier: Apache-2.0
// What a method of adapting a model has, so that it can be trained, stored, read and served.
#pragma once
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/model/causal_lm.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/peft/option.hpp"

namespace iapt {

/// A file of tensors that a method is read from, for the concept below: io/adapter.hpp has the real one.
struct tensor_source {
  bool has(const std::string& name) const;                                   ///< whether there is a tensor
  index_t rows(const std::string& name) const;                               ///< the rows of a matrix
  void require(const std::string& name, const std::vector<index_t>&) const;  ///< refuses a file without this tensor
  /// The elements of a tensor of this shape.
  template <class T>
  std::vector<T> read(const std::string& name, const std::vector<index_t>& shape) const;
};
/// A file of tensors that a method is written to, for the concept below: io/named_tensors.hpp has the real one.
template <class T>
struct tensor_sink {
  void add(std::string name, std::vector<index_t> shape, std::vector<T> values);  ///< adds elements on the host
  /// Adds a tensor of a backend.
  template <int Rank, class Backend>
  void add(std::string name, const tensor<T, Rank, Backend>& x);
};

/// What `options_type::visit` calls, for the concept below.
struct option_visitor {
  /// Takes an option and its value.
  template <class X>
  void operator()(const option& which, const X& value) const;
};

/// A method: a class with
///   - `value_type`, `backend_type`: of its parameters;
///   - `options_type` with `visit(options, f)` (peft/option.hpp), and a member `options`;
///   - `name`: on command lines, and in files of our own format; with `peft_type` and `harmless`, adapters are in
///   PEFT's
///     format;
///   - `hooks` and the members that nn/hooks.hpp names: what it changes in the model;
///   - `make(lm, options)`: the method at its start, on a base model;
///   - `read(lm, options, file)`, `store(file)`: the method of a file, and the file of a method;
///   - `parameters()`: what is trained.
/// It may have `mixable`, false if its hooks look at several sequences at once: it is served in steps of its own.
template <class Method>
concept adaptation_method = requires(Method m, const Method& c, const typename Method::options_type& options,
                                     const causal_lm<typename Method::value_type, typename Method::backend_type>& lm,
                                     const tensor_source& from, tensor_sink<typename Method::value_type>& to) {
  { Method::name } -> std::convertible_to<std::string_view>;
  { Method::hooks } -> std::convertible_to<hook_set>;
  { c.options } -> std::convertible_to<const typename Method::options_type&>;
  Method::options_type::visit(options, option_visitor{});  // nvcc 13 refuses a lambda here
  { Method::make(lm, options) } -> std::same_as<Method>;
  { Method::read(lm, options, from) } -> std::same_as<Method>;
  m.store(to);
  { m.parameters() } -> std::same_as<parameter_list<typename Method::value_type, typename Method::backend_type>>;
};

}  // namespace iapt
