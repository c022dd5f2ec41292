// One step of many rows, without a plan: rows lie side by side, and all of them are busy.

#pragma once

#include "forward.h"

namespace sostenuto::SOSTENUTO_TARGET {

// Rows whose pointers are set up at a time. What they read stays in the cache while the weights go by.
constexpr int64_t STEP_ROWS = BLOCK_ROWS * 32;

template <class Equations>
void run_step(const Job& job, const StepRows& rows, int64_t begin, int64_t end) {
  const int64_t F = job.call.features, U = job.call.units, padded = vectors(U) * W;
  const float *x[STEP_ROWS], *h[STEP_ROWS], *product_h[STEP_ROWS], *c[STEP_ROWS];
  float *new_h[STEP_ROWS], *new_c[STEP_ROWS], *work[STEP_ROWS];
  const Tick tick{x, h, product_h, nullptr, c, new_h, new_c, nullptr, work, false, 0, 0};
  const Share share = share_of(U, 0, 1);
  for (; begin < end; begin += STEP_ROWS) {
    const int64_t number = end - begin < STEP_ROWS ? end - begin : STEP_ROWS;
    for (int64_t i = 0; i < number; ++i) {
      const int64_t row = begin + i;
      x[i] = rows.inputs + row * F;
      h[i] = product_h[i] = rows.h + row * U;
      c[i] = rows.c + row * U;
      new_h[i] = rows.new_h + row * U;
      new_c[i] = rows.new_c + row * U;
      work[i] = reinterpret_cast<float*>(job.scratch) + 2 * row * padded;
    }
    Equations::template forward<false>(job, 0, tick, number, share);
  }
}

}  // namespace sostenuto::SOSTENUTO_TARGET
