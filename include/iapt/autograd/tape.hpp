// SPDX-License-Identifier: Apache-2.0
// Contexts evaluate statements. An inference context runs them; a tape runs and records them.
#pragma once
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/tensor.hpp"
#include "iapt/expr/fused.hpp"
#include "iapt/expr/operation.hpp"

namespace iapt {

/// Refuses to compile a statement with a tensor of another backend.
template <class Backend, class E>
void require_backend(const E& e) {
  e.visit([]<class X>(const X&, auto) {
    static_assert(std::same_as<typename X::backend_type, Backend>,
                  "iapt: a tensor of another backend in this statement; copy_to(backend, x) moves it");
  });
}

/// Sum of the versions of all tensors of a statement. Versions only grow, so an equal sum means that none has changed.
template <class E>
std::uint64_t versions(const E& e) {
  std::uint64_t sum = 0;
  e.visit([&](const auto& x, auto) { sum += x.version(); });
  return sum;
}

/// Allocates memory for the result of a materialized statement.
template <class Backend, class Statement>
auto result_for(Backend& backend, const Statement& statement) {
  return tensor<typename Statement::value_type, Statement::rank, Backend>(backend, statement.shape());
}
/// Runs a materialized statement.
template <class Backend, class Statement>
auto evaluate(Backend& backend, Statement& statement) {
  auto y = result_for(backend, statement);
  statement.forward(backend, y);
  return y;
}
/// Runs two independent materialized statements: in one call if their operation can.
template <class Backend, class Statement, class Other>
auto evaluate(Backend& backend, Statement& statement, Other& other) {
  std::pair results{result_for(backend, statement), result_for(backend, other)};
  if constexpr (requires { statement.forward(backend, results.first, other, results.second); })
    statement.forward(backend, results.first, other, results.second);
  else
    statement.forward(backend, results.first), other.forward(backend, results.second);
  return results;
}

/// Runs statements and records nothing.
template <class Backend>
class inference {
 public:
  static constexpr bool records = false;  ///< whether backward() is available

  /// Runs on a backend.
  /// @param backend runs the statements
  /// @param versions_read the versions of all tensors that statements read are added to it; may be null
  explicit inference(Backend& backend, std::uint64_t* versions_read = nullptr)
      : backend_(backend), versions_read_(versions_read) {}
  /// The backend that runs the statements.
  Backend& backend() const { return backend_; }

  /// Returns a tensor as it is.
  template <class T, int Rank>
  tensor<T, Rank, Backend> operator()(const tensor<T, Rank, Backend>& x) const {
    return x;
  }
  /// Evaluates one statement.
  /// @throws shape_error if the operands' extents do not fit
  template <expression E>
  auto operator()(const E& e) const {
    require_backend<Backend>(e);
    auto statement = e.materialize(*this);
    count_read(statement);
    return evaluate(backend_, statement);
  }
  /// Evaluates two independent statements, in one call if their operation can.
  /// @throws shape_error if the operands' extents do not fit
  template <expression A, expression B>
  auto operator()(const A& a, const B& b) const {
    require_backend<Backend>(a), require_backend<Backend>(b);
    auto first = a.materialize(*this);
    auto second = b.materialize(*this);
    count_read(first), count_read(second);
    return evaluate(backend_, first, second);
  }
  /// Runs f(context, x...).
  template <class F, class... X>
  auto recompute(const F& f, const X&... x) const {
    return f(*this, x...);
  }

 private:
  void count_read(const auto& statement) const {
    if (versions_read_) *versions_read_ += versions(statement);
  }
  Backend& backend_;
  std::uint64_t* versions_read_;
};

/// Runs statements and records them, so that backward() can process them from last to first. One statement is one
/// entry; a statement whose operands are all constants has none. An entry stores the statement without the values that
/// its gradient does not read. Entries end with the tape; parameters outlive it.
template <class Backend>
class tape {
 public:
  static constexpr bool records = true;  ///< whether backward() is available

  /// Starts without entries.
  explicit tape(Backend& backend) : backend_(backend) {}
  tape(const tape&) = delete;
  tape& operator=(const tape&) = delete;
  /// The backend that runs the statements.
  Backend& backend() const { return backend_; }
  /// Number of entries.
  std::size_t size() const { return entries_.size(); }

  /// Returns a tensor as it is.
  template <class T, int Rank>
  tensor<T, Rank, Backend> operator()(const tensor<T, Rank, Backend>& x) {
    return x;
  }
  /// Evaluates one statement, and records it if any operand is tracked.
  /// @throws shape_error if the operands' extents do not fit
  template <expression E>
  auto operator()(const E& e) {
    require_backend<Backend>(e);
    auto statement = e.materialize(*this);
    versions_read_ += versions(statement);
    auto y = evaluate(backend_, statement);
    record(statement, y);
    return y;
  }
  /// Evaluates two independent statements, in one call if their operation can, and records each.
  /// @throws shape_error if the operands' extents do not fit
  template <expression A, expression B>
  auto operator()(const A& a, const B& b) {
    require_backend<Backend>(a), require_backend<Backend>(b);
    auto first = a.materialize(*this);
    auto second = b.materialize(*this);
    versions_read_ += versions(first) + versions(second);
    auto results = evaluate(backend_, first, second);
    record(first, results.first), record(second, results.second);
    return results;
  }
  /// Runs f(context, x...) without recording. backward() runs it again and records it then, which needs memory for one
  /// layer instead of for all (gradient checkpointing). f must return the same result both times: backward() throws if
  /// a tensor that its statements read, an x or a member of f, was overwritten in between.
  /// @par Source Chen et al. 2016, "Training deep nets with sublinear memory cost"
  template <class F, class... X>
  auto recompute(const F& f, const X&... x) {
    std::uint64_t read = 0;
    inference<Backend> once(backend_, &read);
    auto y = f(once, x...);
    versions_read_ += read;
    y.track();
    entries_.push_back([&backend = backend_, f, result = y.saved_for_backward(false), read, ... x = x] {
      if (!result.has_gradient()) return;
      tape again(backend);
      const auto y = f(again, x...);
      if (again.versions_read_ != read) throw_overwritten("recompute", "it read");
      if (y.tracked()) again.backward(y, result.gradient());  // false if f and x are constants
    });
    return y;
  }

  /// Computes the adjoints of everything that the scalar `loss` depends on, with d loss = 1. Empties the tape.
  template <class T>
  void backward(const tensor<T, 0, Backend>& loss) {
    auto one = tensor<T, 0, Backend>(backend_, {});
    const T value = 1;
    backend_.upload(one.write(), &value, 1);
    backward(loss, one);
  }
  /// Computes the adjoints of everything that y depends on, given the adjoint dy of y. Empties the tape: each entry is
  /// freed as soon as it is used.
  /// @throws numeric_error if y depends on no tracked tensor, or a saved value was overwritten
  template <class T, int Rank>
  void backward(const tensor<T, Rank, Backend>& y, const tensor<T, Rank, Backend>& dy) {
    if (!y.tracked()) throw numeric_error("backward: the result depends on no tracked tensor, so it has no gradient");
    if (y.shape() != dy.shape())
      throw shape_error("backward: adjoint of " + to_text(dy.shape()) + " for a result of " + to_text(y.shape()));
    const auto [to, accumulates] = y.adjoint();  // a leaf may already have a sum
    backend_.for_each(1, y.size(), fold_chunks<T>{{dy.data()}, {to}, 1, y.size(), accumulates});
    for (; !entries_.empty(); entries_.pop_back()) entries_.back()();
  }

 private:
  // Adds an entry if any operand of the statement is tracked.
  template <class Statement, class Y>
  void record(const Statement& statement, Y& y) {
    if (!any_tracked(statement)) return;
    y.track();
    auto saved = statement.saved_for_backward();
    auto result = y.saved_for_backward(statement.reads_result);
    const std::uint64_t stamp = versions(saved) + result.version();
    entries_.push_back([&backend = backend_, saved = std::move(saved), result = std::move(result), stamp] {
      if (versions(saved) + result.version() != stamp) throw_overwritten(saved.name, "its gradient reads");
      if (result.has_gradient()) saved.backward(backend, result);
    });
  }
  [[noreturn]] static void throw_overwritten(const std::string& name, const std::string& reader) {
    throw numeric_error(name + ": a value that " + reader +
                        " was overwritten after it was used; run backward() before changing it");
  }
  Backend& backend_;
  std::uint64_t versions_read_ = 0;  // sum of the versions of all tensors that statements read
  std::vector<std::function<void()>> entries_;
};

}  // namespace iapt
