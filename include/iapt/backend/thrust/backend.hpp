// SPDX-License-Identifier: Apache-2.0
// The code path of a GPU, run on the host by Thrust: thrust::cpp one thread, thrust::omp several.
#pragma once
#include <thrust/copy.h>
#include <thrust/fill.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system/cpp/execution_policy.h>
#include <thrust/system/omp/execution_policy.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <concepts>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "iapt/backend/eigen/backend.hpp"
#include "iapt/backend/openmp_threads.hpp"
#include "iapt/backend/team.hpp"
#include "iapt/backend/thrust/loops.hpp"

namespace iapt {

/// How a host system of Thrust is used.
struct thrust_options {
  int threads = 0;               ///< threads of thrust::omp; 0: as many as OpenMP would take. thrust::cpp has one
  bool fused_attention = false;  ///< let Eigen's attention stand in for a GPU's fused kernels
};

/// Team kernel k, by one thread.
template <class F>
struct serial_team_of {
  using T = compute_type<typename F::value_type>;                 ///< what it computes in
  using team = serial_team<T, load_vec<typename F::value_type>>;  ///< who does it
  F f;                                                            ///< the kernel
  T* scratch;                                                     ///< memory of all threads' teams, or null
  index_t share;                                                  ///< numbers that each thread has of it
  /// Team k.
  void operator()(index_t k) const {
#if defined(_OPENMP)
    f(team{scratch + omp_get_thread_num() * share}, k);
#else
    f(team{scratch}, k);
#endif
  }
};

/// The host as a GPU's stand-in: its statements, team kernels and attention are those that a GPU runs, its products
/// Eigen's. A result is the same bits for either system and any number of threads, but for the products' rounding.
template <class System>
class thrust_backend : public thrust_loops<thrust_backend<System>> {
 public:
  using work_type = immediate_work;  ///< of repeat()

  /// Takes no memory yet.
  explicit thrust_backend(thrust_options options = {})
      : products_({.threads = std::same_as<System, thrust::cpp::tag> ? 1 : options.threads}),
        fused_attention_(options.fused_attention) {}
  ~thrust_backend() { this->trim(); }

  /// Number of threads in use.
  int threads() const { return products_.threads(); }
  /// The machine in words.
  std::string description() const { return "Thrust on the host, " + products_.description(); }
  /// Nothing is ever enqueued.
  void wait() const {}
  /// Any thread has it.
  void make_current() const {}
  /// Runs f.
  template <class F>
  void repeat(immediate_work&, const F& f) {
    f();
  }
  /// Where algorithms run.
  auto policy() const { return System{}; }
  /// A thread's scratch memory may be of any size.
  index_t scratch_bytes() const { return index_t(1) << 30; }
  /// Memory from the system.
  /// @throws device_error if there is none
  void* allocate_raw(std::size_t bytes) { return products_.allocate_raw(bytes); }
  /// Memory back to the system.
  void deallocate_raw(void* p) { products_.deallocate_raw(p); }
  /// to[i] = from[i]; both here.
  template <class T>
  void copy(T* to, const T* from, index_t n) {
    const openmp_threads limit(threads());
    thrust::copy_n(policy(), from, n, to);
  }
  /// p[i] = 0.
  template <class T>
  void zero(T* p, index_t n) {
    const openmp_threads limit(threads());
    thrust::fill_n(policy(), p, n, T(0));
  }
  /// From the host.
  template <class T>
  void upload(T* to, const T* from, index_t n) {
    std::copy_n(from, n, to);
  }
  /// To the host.
  template <class T>
  void download(T* to, const T* from, index_t n) {
    std::copy_n(from, n, to);
  }
  /// Runs f(k) for k in 0..n-1.
  template <class N, class F>
  void for_each_n(N n, const F& f) {
    const openmp_threads limit(threads());
    thrust::for_each_n(policy(), thrust::counting_iterator<N>(0), n, f);
  }
  /// Runs a team kernel: f(team, k) for k in 0..n-1.
  template <class F>
  void for_each_team(index_t n, index_t, const F& f) {
    using T = compute_type<typename F::value_type>;
    index_t share = 0;
    if constexpr (requires { f.scratch(); }) share = f.scratch();
    T* const scratch = share ? this->template allocate<T>(share * threads()) : nullptr;
    for_each_n(n, serial_team_of<F>{f, scratch, share});
    if (scratch) this->deallocate(scratch, share * threads());
  }
  /// c (m, n) = or += a (m, k) · b (k, n).
  template <class T>
  void matmul(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c,
              bool accumulate) {
    if constexpr (std::same_as<T, compute_type<T>>)
      products_.matmul(m, n, k, a, b, c, accumulate);
    else
      widened_matmul(m, n, k, a, b, c, accumulate);
  }
  /// Rows of the longest sequence that Eigen's attention stands in for; 0 for numbers that it does not know.
  template <class T>
  index_t most_fused_rows(const head_layout&) const {
    return fused_attention_ && std::floating_point<T> ? 100 : 0;  // some limit, as a GPU's kernels have one
  }
  /// Lets sequences see their own rows, causally.
  template <class T>
  void fused_attention(const attention_arrays<T>& arrays, const fused_sequences& sequences) {
    if constexpr (std::floating_point<T>) products_.attention(arrays, own_rows(arrays, sequences));
  }
  /// Its adjoints.
  template <class T>
  void fused_attention_adjoint(const attention_arrays<T>& arrays, const attention_adjoints<T>& adjoints,
                               const fused_sequences& sequences) {
    if constexpr (std::floating_point<T>) products_.attention_adjoint(arrays, adjoints, own_rows(arrays, sequences));
  }

 private:
  template <class T>
  auto own_rows(const attention_arrays<T>& arrays, const fused_sequences& sequences) {
    std::vector<attention_segment> segments(std::size_t(sequences.count));
    for (std::size_t s = 0; s < segments.size(); ++s)
      segments[s] = {.begin = sequences.sum_offsets[s] / arrays.layout.heads, .count = sequences.lengths[s]};
    return products_.template plan_attention<T>(arrays.layout, segments, {});
  }
  // A product of what is stored in fewer bits: summed in float, rounded once.
  template <class T>
  void widened_matmul(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c,
                      bool accumulate) {
    using wide = compute_type<T>;
    const auto widen = [](index_t rows, index_t columns, auto x) {
      std::vector<wide> copy(std::size_t(rows * columns));
      for (index_t i = 0; i < rows; ++i) std::copy_n(x.data + i * x.stride, columns, copy.data() + i * columns);
      return copy;
    };
    const index_t a_columns = a.transposed ? m : k, b_columns = b.transposed ? k : n;
    const std::vector<wide> left = widen(a.transposed ? k : m, a_columns, a);
    const std::vector<wide> right = widen(b.transposed ? n : k, b_columns, b);
    std::vector<wide> sum = accumulate ? widen(m, n, c) : std::vector<wide>(std::size_t(m * n));
    products_.matmul<wide>(m, n, k, {left.data(), a_columns, a.transposed}, {right.data(), b_columns, b.transposed},
                           {sum.data(), n}, accumulate);
    for (index_t i = 0; i < m; ++i) std::copy_n(sum.data() + i * n, n, c.data + i * c.stride);
  }
  eigen_backend products_;
  bool fused_attention_;
};
static_assert(backend_like<thrust_backend<thrust::cpp::tag>>);
static_assert(backend_like<thrust_backend<thrust::omp::tag>>);

}  // namespace iapt
