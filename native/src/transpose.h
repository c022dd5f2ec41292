// Panels of a transposed matrix, for products of gradients with weights.

#pragma once

#include "simd.h"

namespace sostenuto::SOSTENUTO_TARGET {

// Panel of the vectors begin .. end - 1 of the matrix's rows: to[k][v][lane] = matrix[(begin + v) * W + lane][first + k],
// for k < K; rows beyond `rows` count as 0.
inline void transpose_panel(
    const float* matrix, int64_t width, int64_t first, int64_t K, int64_t rows, int64_t begin, int64_t end, float* to) {
  for (int64_t vector = begin; vector < end; ++vector) {
    const Lanes real = lanes(rows - vector * W);
    const float* from = matrix + vector * W * width + first;
    float* column = to + (vector - begin) * W;
    for (int64_t k = 0; k < K; ++k) store(column + k * (end - begin) * W, gather(from + k, width, real));
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
