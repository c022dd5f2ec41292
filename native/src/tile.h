// Register blocks: R rows times V vectors of columns, summed over k in the order of k.
//
// That order is the same for every R and V, which is what makes the bits of a row independent of its neighbours.

#pragma once

#include "simd.h"

namespace sostenuto::SOSTENUTO_TARGET {

// sums[r][v] += a[r][k] * panel[k][v], for all k. Panels lie as [K][V][W].
template <int R, int V>
SOSTENUTO_INLINE void add_products(Vec (&sums)[R][V], const float* const* a, int64_t K, const float* panel) {
  const float* rows[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) rows[r] = a[r];
  for (int64_t k = 0; k < K; ++k, panel += V * W) {
    Vec weights[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) weights[v] = load(panel + v * W);
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) prefetch(panel + (8 * V + v) * W);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec factor = splat(rows[r][k]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sums[r][v] = fma(factor, weights[v], sums[r][v]);
    }
  }
}

// The same where each gate has rows of its own, `stride` floats behind those of the gate before it; 0 where all read the
// same. A gate has PER_GATE vectors.
template <int PER_GATE, int R, int V>
SOSTENUTO_INLINE void add_products_by_gate(
    Vec (&sums)[R][V], const float* const* a, int64_t stride, int64_t K, const float* panel) {
  const float* rows[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) rows[r] = a[r];
  for (int64_t k = 0; k < K; ++k, panel += V * W) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const Vec weights = load(panel + v * W);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) sums[r][v] = fma(splat(rows[r][(v / PER_GATE) * stride + k]), weights, sums[r][v]);
    }
  }
}

// The same for two panels side by side: with one or two rows, one panel's sums would wait for each other.
template <int R, int V>
SOSTENUTO_INLINE void add_products(
    Vec (&first)[R][V], Vec (&second)[R][V], const float* const* a, int64_t K, const float* panel, const float* other) {
  const float* rows[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) rows[r] = a[r];
  for (int64_t k = 0; k < K; ++k, panel += V * W, other += V * W) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const Vec factor = splat(rows[r][k]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        first[r][v] = fma(factor, load(panel + v * W), first[r][v]);
        second[r][v] = fma(factor, load(other + v * W), second[r][v]);
      }
    }
  }
}

template <int R, int V>
SOSTENUTO_INLINE void set_zero(Vec (&sums)[R][V]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sums[r][v] = zero();
}

template <int R, int V>
SOSTENUTO_INLINE void set_all(Vec (&sums)[R][V], const float* start) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sums[r][v] = load(start + v * W);
}

template <int Number>
struct Constant {
  static constexpr int value = Number;
};

// Calls f(Constant<n>) for n from 1 to Most.
template <int Most, class Function>
SOSTENUTO_INLINE void with_constant(int64_t n, Function&& f) {
  static_assert(Most <= 16);
  switch (n) {
#define SOSTENUTO_CASE(N) \
  case N:                 \
    if constexpr (N <= Most) f(Constant<N>{}); \
    break;
    SOSTENUTO_CASE(1) SOSTENUTO_CASE(2) SOSTENUTO_CASE(3) SOSTENUTO_CASE(4) SOSTENUTO_CASE(5) SOSTENUTO_CASE(6)
    SOSTENUTO_CASE(7) SOSTENUTO_CASE(8) SOSTENUTO_CASE(9) SOSTENUTO_CASE(10) SOSTENUTO_CASE(11) SOSTENUTO_CASE(12)
#undef SOSTENUTO_CASE
  }
}

// Cuts n rows into blocks of at most Most, as even as can be, and calls f(Constant<rows>, first row).
template <int Most, class Function>
SOSTENUTO_INLINE void in_row_blocks(int64_t n, Function&& f) {
  const int64_t blocks = (n + Most - 1) / Most;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = n * block / blocks, end = n * (block + 1) / blocks;
    with_constant<Most>(end - begin, [&](auto rows) { f(rows, begin); });
  }
}

}  // namespace sostenuto::SOSTENUTO_TARGET
