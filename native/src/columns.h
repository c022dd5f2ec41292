// Panels of plain columns, up to four vectors side by side: where a step computes one gate, or two, at a time.

#pragma once

#include "slots.h"
#include "tile.h"

namespace sostenuto::SOSTENUTO_TARGET {

// Panels of the columns first .. first + U - 1 of each of `gates` gates. A panel holds 4 / gates vectors of units,
// gate by gate: [panel][bias, F, U][gate][vectors][W].
struct Columns {
  int64_t first;  // column of the first gate in the weights
  int gates;

  int64_t size(const Forward& call) const { return vectors(call.units) * W * gates * depth(call); }
  static int64_t depth(const Forward& call) { return 1 + call.features + call.units; }

  void pack(const Job& job, int64_t part, int64_t parts, float* panels) const {
    const Forward& call = job.call;
    const Weights& weights = call.weights;
    const int64_t F = call.features, U = call.units, width = gates_of(call.cell) * U, most = 4 / gates;
    const int64_t all = vectors(U);
    for (int64_t begin = 0; begin < all; begin += most) {
      if (begin / most % parts != part) continue;
      const int64_t end = begin + most < all ? begin + most : all;
      float* to = panels + begin * W * gates * depth(call);
      for (int64_t k = -1; k < F + U; ++k) {
        const float* from = k < 0   ? weights.bias
                            : k < F ? weights.kernel + k * width
                                    : weights.recurrent_kernel + (k - F) * width;
        for (int gate = 0; gate < gates; ++gate)
          for (int64_t vector = begin; vector < end; ++vector, to += W)
            store(to, from ? load(from + first + gate * U + vector * W, lanes(U - vector * W)) : zero());
      }
    }
  }
};

// What the panels are multiplied with, row by row; gates may have rows of their own, so many floats apart.
struct ColumnRows {
  const float* const* x;
  int64_t x_stride;
  const float* const* h;
  int64_t h_stride;
};

template <int GATES, int R, int V, class Finish>
SOSTENUTO_NOINLINE void column_tile(
    const ColumnRows& rows, int64_t row, int64_t F, int64_t U, const float* panel, Finish finish) {
  Vec sums[R][V];
  set_all(sums, panel);
  if (GATES > 1 && (rows.x_stride || rows.h_stride)) {
    add_products_by_gate<V / GATES>(sums, rows.x + row, rows.x_stride, F, panel + V * W);
    add_products_by_gate<V / GATES>(sums, rows.h + row, rows.h_stride, U, panel + (1 + F) * V * W);
  } else {
    add_products(sums, rows.x + row, F, panel + V * W);
    add_products(sums, rows.h + row, U, panel + (1 + F) * V * W);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) finish(r, sums[r]);
}

// Calls finish_of(first row, first vector, Constant<vectors of units>)(row in the block, sums of gates * vectors).
template <int GATES, class FinishOf>
SOSTENUTO_INLINE void column_tiles(const Job& job, const float* panels, const ColumnRows& rows, int64_t number,
                                   const Share& share, FinishOf finish_of) {
  constexpr int MOST = 4 / GATES;
  const int64_t F = job.call.features, U = job.call.units;
  for (int64_t begin = share.begin; begin < share.end; begin += MOST) {
    const float* panel = panels + begin * W * GATES * Columns::depth(job.call);
    with_constant<MOST>(share.end - begin < MOST ? share.end - begin : MOST, [&](auto count) {
      in_row_blocks<BLOCK_ROWS>(number, [&](auto size, int64_t row) {
        column_tile<GATES, size.value, GATES * count.value>(rows, row, F, U, panel, finish_of(row, begin, count));
      });
    });
  }
}

}  // namespace sostenuto::SOSTENUTO_TARGET
