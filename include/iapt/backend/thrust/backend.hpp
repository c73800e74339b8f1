// SPDX-License-Identifier: Apache-2.0
// A GPU's code, run on the host by Thrust: thrust::cpp has one thread, thrust::omp several.
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

/// Options of a host system of Thrust.
struct thrust_options {
  int threads = 0;               ///< threads of thrust::omp; 0: OpenMP's default. thrust::cpp has one
  bool fused_attention = false;  ///< use Eigen's attention in place of a GPU's fused kernels
};

/// Runs team k of a team kernel with one thread.
template <class F>
struct serial_team_of {
  using T = compute_type<typename F::value_type>;                 ///< type of the computation
  using team = serial_team<T, load_vec<typename F::value_type>>;  ///< the team
  F f;                                                            ///< the kernel
  T* scratch;                                                     ///< scratch memory of all threads, or null
  index_t share;                                                  ///< elements of scratch memory for each thread
  /// Runs team k.
  void operator()(index_t k) const {
#if defined(_OPENMP)
    f(team{scratch + omp_get_thread_num() * share}, k);
#else
    f(team{scratch}, k);
#endif
  }
};

/// The host in place of a GPU: statements, team kernels and attention are those of a GPU, matmuls are Eigen's. Results
/// are the same in every bit for both systems and any number of threads, except for the rounding of matmuls.
template <class System>
class thrust_backend : public thrust_loops<thrust_backend<System>> {
 public:
  using work_type = immediate_work;  ///< work of repeat()

  /// Allocates no memory yet.
  explicit thrust_backend(thrust_options options = {})
      : products_({.threads = std::same_as<System, thrust::cpp::tag> ? 1 : options.threads}),
        fused_attention_(options.fused_attention) {}
  ~thrust_backend() { this->trim(); }

  /// Number of threads.
  int threads() const { return products_.threads(); }
  /// The backend in words.
  std::string description() const { return "Thrust on the host, " + products_.description(); }
  /// Returns immediately: operations run immediately.
  void wait() const {}
  /// Does nothing: any thread may use the backend.
  void make_current() const {}
  /// Runs f.
  template <class F>
  void repeat(immediate_work&, const F& f) {
    f();
  }
  /// The Thrust system that runs algorithms.
  auto policy() const { return System{}; }
  /// Scratch memory of a thread, which may have any size.
  index_t scratch_bytes() const { return index_t(1) << 30; }
  /// Allocates memory from the system.
  /// @throws device_error if there is none
  void* allocate_raw(std::size_t bytes) { return products_.allocate_raw(bytes); }
  /// Returns memory to the system.
  void deallocate_raw(void* p) { products_.deallocate_raw(p); }
  /// to[i] = from[i]; both in the backend's memory.
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
  /// Copies from the host.
  template <class T>
  void upload(T* to, const T* from, index_t n) {
    std::copy_n(from, n, to);
  }
  /// Copies to the host.
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
  /// Rows of the longest sequence for Eigen's attention; 0 for elements that it does not support.
  template <class T>
  index_t most_fused_rows(const head_layout&) const {
    return fused_attention_ && std::floating_point<T> ? 100 : 0;  // some limit, as a GPU's kernels have one
  }
  /// Causal self-attention of sequences.
  template <class T>
  void fused_attention(const attention_arrays<T>& arrays, const fused_sequences& sequences) {
    if constexpr (std::floating_point<T>) products_.attention(arrays, own_rows(arrays, sequences));
  }
  /// The adjoints of fused_attention().
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
  // A matmul of elements with fewer bits: summed in float, rounded once.
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
