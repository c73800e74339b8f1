// SPDX-License-Identifier: Apache-2.0
// The CPU backend: native vecs for loops, OpenMP threads, and oneDNN or Eigen for matmuls.
#pragma once
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <string>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/eigen/attention.hpp"
#include "iapt/backend/eigen/native_vec.hpp"
#include "iapt/backend/eigen/product.hpp"
#include "iapt/backend/host_loop.hpp"
#include "iapt/backend/openmp_threads.hpp"
#include "iapt/backend/pool.hpp"
#include "iapt/backend/team.hpp"
#include "iapt/core/error.hpp"

namespace iapt {

/// Options of the CPU backend.
struct eigen_options {
  int threads = 0;               ///< threads for loops and matmuls; 0: OpenMP's default
  bool batch_invariant = false;  ///< whether the bits of a token's result depend only on what it reads: not on how many
                                 ///< tokens a step computes, nor on how a prompt is divided into steps
};

/// The CPU as a backend. Results are the same in every bit for a fixed number of threads and the same product library;
/// another number of threads changes only the rounding of matmuls. A batch-invariant backend depends on neither.
class eigen_backend : public memory_pool<eigen_backend> {
 public:
  /// Allocates no memory yet.
  explicit eigen_backend(eigen_options options = {})
      : threads_(options.threads), batch_invariant_(options.batch_invariant) {
#if defined(_OPENMP)
    if (threads_ <= 0) threads_ = omp_get_max_threads();
#else
    threads_ = 1;
#endif
  }
  ~eigen_backend() { trim(); }

  using work_type = immediate_work;                  ///< work of repeat()
  using attention_plan_type = eigen_attention_plan;  ///< how an attention is divided
  static constexpr bool stores_bfloat16 = false;     ///< whether matmul and attention support bfloat16
  static constexpr bool streams_quantized = true;    ///< whether quantized rows are not slower than dense rows
  static constexpr index_t skinny_rows = 16;         ///< with more rows, packing or dequantizing the weights is faster

  /// Number of threads.
  int threads() const { return threads_; }
  /// Whether results are batch-invariant; see eigen_options.
  bool batch_invariant() const { return batch_invariant_; }
  /// Whether an elementwise loop over rows of `columns` columns runs row by row instead of flat: it computes the last
  /// elements one by one, and scalar functions round differently from those of vecs.
  template <class T>
  bool loops_by_rows(index_t columns) const {
    return batch_invariant_ && columns % native_vec<compute_type<T>>::width != 0;
  }
  /// The backend in words.
  std::string description() const {
    return std::to_string(threads_) + (threads_ == 1 ? " thread" : " threads") + ", products by " +
           product_library_version();
  }
  /// Returns immediately: operations run immediately.
  void wait() const {}
  /// Does nothing: any thread may use the backend.
  void make_current() const {}
  /// Runs f.
  template <class F>
  void repeat(immediate_work&, const F& f) {
    f();
  }

  /// Allocates memory from the system.
  /// @throws device_error if there is none
  void* allocate_raw(std::size_t bytes) {
    void* p = std::aligned_alloc(64, bytes);
    if (!p) throw device_error("eigen: out of memory: " + std::to_string(bytes >> 20) + " MiB more were wanted");
    return p;
  }
  /// Returns memory to the system.
  void deallocate_raw(void* p) { std::free(p); }

  /// to[i] = from[i]; both in the backend's memory.
  template <class T>
  void copy(T* to, const T* from, index_t n) {
    std::copy_n(from, n, to);
  }
  /// Copies from the host.
  template <class T>
  void upload(T* to, const T* from, index_t n) {
    copy(to, from, n);
  }
  /// Copies to the host.
  template <class T>
  void download(T* to, const T* from, index_t n) {
    copy(to, from, n);
  }
  /// p[i] = 0.
  template <class T>
  void zero(T* p, index_t n) {
    std::fill_n(p, n, T(0));
  }

  /// Runs an elementwise kernel: f(r, j) for each row and each index of columns.
  template <class F>
  void for_each(index_t rows, index_t columns, const F& f) {
    using T = compute_type<typename F::value_type>;
    constexpr index_t block = 2048;
    const index_t blocks = (columns + block - 1) / block;
    parallel(rows * blocks, rows * columns, [&](index_t k) {
      call(
          [&](index_t r, index_t first) {
            serial_team<T, native_vec<T>>{}.for_each(std::min(columns - first, block), [&](auto j) {
              j.at += first;
              f(r, j);
            });
          },
          k / blocks, k % blocks * block);
    });
  }
  /// Runs a team kernel: f(team, k) for k in 0..n-1; `work` is about how many elements one call touches.
  template <class F>
  void for_each_team(index_t n, index_t work, const F& f) {
    using T = compute_type<typename F::value_type>;
    parallel(n, n * work, [&](index_t k) { call(f, serial_team<T, native_vec<T>>{}, k); });
  }

  /// c (m, n) = or += a (m, k) · b (k, n).
  template <class T>
  void matmul(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c,
              bool accumulate) {
    if (m == 0 || n == 0) return;
    if (k == 0) {
      for (index_t i = 0; !accumulate && i < m; ++i) zero(c.data + i * c.stride, n);
      return;
    }
    if (!a.transposed && b.transposed && (batch_invariant_ || m <= skinny_rows))
      return stream(m, n, k, a, dense_rows<T>{b.data, b.stride}, c, accumulate);
    if (!a.transposed && batch_invariant_) return sum_up(m, n, k, a, b, c, accumulate);
    if (m * n * k < small_product) return eigen_matmul(m, n, k, a, b, c, accumulate);
    // Each thread computes a strip of c. The longer side is divided: each thread packs the other operand as a whole,
    // which is the smaller one. (oneDNN's own division was up to a quarter slower, and never faster.)
    const bool by_columns = n >= m;
    const index_t size = by_columns ? n : m, step = by_columns ? 48 : 8, cut = threads_ * step;
    const index_t strip = (size + cut - 1) / cut * step;
    const openmp_threads one(1);  // oneDNN reads this number, and would divide each strip again
    parallel((size + strip - 1) / strip, m * n * k, [&](index_t i) {
      const index_t from = i * strip, count = std::min(strip, size - from);
      if (by_columns) {
        const T* part = b.data + from * (b.transposed ? b.stride : 1);
        strip_product<T>(m, count, k, a, {part, b.stride, b.transposed}, {c.data + from, c.stride}, accumulate);
      } else {
        const T* part = a.data + from * (a.transposed ? 1 : a.stride);
        strip_product<T>(count, n, k, {part, a.stride, a.transposed}, b, {c.data + from * c.stride, c.stride},
                         accumulate);
      }
    });
  }

  /// c (m, w.rows) = a (m, k) · wᵀ for at most `skinny_rows` rows. The result is that of dequantized weights: in every
  /// bit, if a row is whole chunks or the backend is batch-invariant.
  template <class T>
  void matmul_quantized(index_t m, index_t n, matrix_ref<const T> a, const quantized_rows& w, matrix_ref<T> c) {
    if (m == 0) return;
    if (batch_invariant_ && w.columns % chunk_elements != 0) {
      T* const expanded = allocate<T>(n * w.columns);
      dequantize(w, nullptr, n, expanded);
      matmul<T>(m, n, w.columns, a, {expanded, w.columns, true}, c, false);
      return deallocate(expanded, n * w.columns);
    }
    with_format(w.type,
                [&]<class Format>(Format) { stream(m, n, w.columns, a, decoded_rows<T, Format>(w), c, false); });
  }
  /// to[i] = row rows[i] of w, or row i where `rows` is null.
  template <class T>
  void dequantize(const quantized_rows& w, const std::int32_t* rows, index_t count, T* to) {
    parallel(count, count * w.columns,
             [&](index_t i) { w.dequantize<native_vec<T>>(rows ? rows[i] : i, to + i * w.columns); });
  }

  /// Divides the attention of some sequences into tasks.
  template <class T>
  eigen_attention_plan plan_attention(const head_layout& layout, std::span<const attention_segment> segments,
                                      const block_table& table) {
    return {{segments.begin(), segments.end()}, attention_tasks(layout, segments), prefixes_overlap(segments), table};
  }
  /// Causal attention; see attention_forward.
  template <class T>
  void attention(attention_arrays<T> arrays, const eigen_attention_plan& plan) {
    arrays.past = plan.table.at(plan.table.blocks.data());
    parallel(plan.tasks.size(), index_t(1) << 30, [&](index_t k) {
      if (batch_invariant_)
        attention_forward_by_query<T>(arrays, plan.segments, plan.tasks[k]);
      else
        attention_forward<T>(arrays, plan.segments, plan.tasks[k]);
    });
  }
  /// The adjoints of attention(); see attention_backward.
  template <class T>
  void attention_adjoint(attention_arrays<T> arrays, const attention_adjoints<T>& adjoints,
                         const eigen_attention_plan& plan) {
    arrays.past = plan.table.at(plan.table.blocks.data());
    const std::vector<attention_segment>& segments = plan.segments;
    if (segments.empty()) return;
    const index_t kv_heads = arrays.layout.kv_heads, sequences = plan.overlap ? segments.size() : 1;
    parallel(index_t(segments.size()) / sequences * kv_heads, index_t(1) << 30, [&](index_t k) {
      for (index_t s = k / kv_heads * sequences; s < (k / kv_heads + 1) * sequences; ++s)
        attention_backward(arrays, adjoints, segments[s], k % kv_heads);
    });
  }

 private:
  static constexpr index_t small_product = 64 * 64 * 64;  // below it, a library's set-up costs more than it saves

  template <class T>
  static void strip_product(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b,
                            matrix_ref<T> c, bool accumulate) {
    if constexpr (has_product_library<T>)
      library_matmul(m, n, k, a, b, c, accumulate);
    else
      eigen_matmul(m, n, k, a, b, c, accumulate);
  }
  template <class T, class Weights>
  void stream(index_t m, index_t n, index_t k, matrix_ref<const T> a, const Weights& w, matrix_ref<T> c,
              bool accumulate) {
    constexpr index_t block = 8;  // rows of w: they stay in the L1 cache for all rows of a
    constexpr index_t rows = 64;  // rows of a: they stay in the L2 cache for all rows of w
    for (; m > 0; m -= rows, a.data += rows * a.stride, c.data += rows * c.stride)
      parallel((n + block - 1) / block, n * k, [&](index_t i) {
        dot_products(std::min(m, rows), i * block, std::min(n, (i + 1) * block), k, a, w, c, accumulate);
      });
  }
  template <class T>
  void sum_up(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c,
              bool accumulate) {
    constexpr index_t block = 4 * native_vec<T>::width, rows = 48;  // whole tiles
    const index_t across = (n + block - 1) / block, down = (m + rows - 1) / rows;
    parallel(down * across, m * n * k, [&](index_t i) {
      const index_t row = i / across * rows, from = i % across * block;
      const index_t count = std::min(rows, m - row), columns = std::min(block, n - from);
      T* const to = c.data + row * c.stride + from;
      for (index_t r = 0; !accumulate && r < count; ++r) zero(to + r * c.stride, columns);
      sum_products<T>(count, columns, k, {a.data + row * a.stride, a.stride}, {b.data + from, b.stride},
                      {to, c.stride});
    });
  }
  // The only copy of a loop's body, for one thread and for several: in two copies, a compiler might contract
  // multiplications and additions differently.
  template <class F, class... A>
  [[gnu::noinline]] static void call(const F& f, A... a) {
    f(a...);
  }
  // A parallel region of one thread still costs 300 ns, so a small loop has none.
  template <class F>
  void parallel(index_t n, index_t work, F f) {
    host_loop(work < 8192 ? 1 : threads_, n, f);
  }
  int threads_;
  bool batch_invariant_;
};
static_assert(backend_like<eigen_backend>);

}  // namespace iapt
