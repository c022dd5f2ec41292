// inputs @ kernel + bias, each row's sums in the same order whatever its neighbours.

#pragma once

#include "job.h"
#include "tile.h"

namespace sostenuto::SOSTENUTO_TARGET {

inline int64_t dense_size(int64_t features, int64_t units) { return vectors(units) * W * (1 + features); }

// Panels of up to four vectors of units: [panel][bias, F][vectors][W].
inline void pack_dense(int64_t features, int64_t units, const float* kernel, const float* bias, float* panels) {
  const int64_t all = vectors(units);
  for (int64_t begin = 0; begin < all; begin += 4)
    for (int64_t k = -1; k < features; ++k)
      for (int64_t vector = begin; vector < begin + 4 && vector < all; ++vector, panels += W) {
        const float* from = k < 0 ? bias : kernel + k * units;
        store(panels, from ? load(from + vector * W, lanes(units - vector * W)) : zero());
      }
}

template <int R, int V>
SOSTENUTO_NOINLINE void dense_tile(
    const Dense& dense, const float* inputs, float* outputs, int64_t begin, const float* panel) {
  const float* rows[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) rows[r] = inputs + r * dense.features;
  Vec sums[R][V];
  set_all(sums, panel);
  add_products(sums, rows, dense.features, panel + V * W);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int64_t unit = (begin + v) * W;
      store(outputs + r * dense.units + unit, sums[r][v], lanes(dense.units - unit));
    }
}

inline void dense(const Dense& dense, const float* inputs, float* outputs, int64_t first, int64_t last) {
  const int64_t all = vectors(dense.units);
  for (int64_t begin = 0; begin < all; begin += 4) {
    const float* panel = dense.panels + begin * W * (1 + dense.features);
    with_constant<4>(all - begin < 4 ? all - begin : 4, [&](auto count) {
      in_row_blocks<BLOCK_ROWS>(last - first, [&](auto rows, int64_t row) {
        dense_tile<rows.value, count.value>(dense, inputs + (first + row) * dense.features,
                                            outputs + (first + row) * dense.units, begin, panel);
      });
    });
  }
}

}  // namespace sostenuto::SOSTENUTO_TARGET
