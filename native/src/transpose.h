// Panels of a transposed matrix, for products of gradients with weights.

#pragma once

#include "simd.h"

namespace sostenuto::SOSTENUTO_TARGET {

// Panel of the vectors begin .. end - 1 of the matrix's rows: to[k][v][lane] = matrix[(begin + v) * W + lane][first + k],
// for k < K; rows beyond `rows` count as 0.
inline void transpose_panel(
    const float* matrix, int64_t width, int64_t first, int64_t K, int64_t rows, int64_t begin, int64_t end, float* to) {
  const int64_t lanes_of_panel = (end - begin) * W;
  for (int64_t lane = 0; lane < lanes_of_panel; ++lane) {
    const int64_t row = begin * W + lane;
    float* column = to + lane;
    if (row >= rows) {
      for (int64_t k = 0; k < K; ++k) column[k * lanes_of_panel] = 0.0f;
      continue;
    }
    const float* from = matrix + row * width + first;
    for (int64_t k = 0; k < K; ++k) column[k * lanes_of_panel] = from[k];
  }
}

// All panels of up to four vectors; part by part, for several threads.
inline void transpose(const float* matrix, int64_t width, int64_t first, int64_t K, int64_t rows, int64_t part,
                      int64_t parts, float* to) {
  const int64_t all = vectors(rows);
  for (int64_t begin = 0; begin < all; begin += 4)
    if (begin / 4 % parts == part)
      transpose_panel(matrix, width, first, K, rows, begin, begin + 4 < all ? begin + 4 : all, to + begin * W * K);
}

}  // namespace sostenuto::SOSTENUTO_TARGET
