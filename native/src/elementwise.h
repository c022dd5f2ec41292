// What a program does to each number, or to each row of numbers, by itself.

#pragma once

#include <cstdint>

#include "sostenuto/program.h"

namespace sostenuto {

// (rows, width) from and to, which may be the same memory.
void activate(Activation what, float number, int64_t rows, int64_t width, const float* from, float* to);

// gamma and beta (width,) or null.
void normalize(float epsilon, const float* gamma, const float* beta, int64_t rows, int64_t width, const float* from,
               float* to);

void scale_and_shift(const float* center, const float* scale, const float* shift, int64_t rows, int64_t width,
                     const float* from, float* to);

// to (size,) = one (op) other; `to` may be one of them.
void combine_numbers(Combination what, int64_t size, const float* one, const float* other, float* to);

}  // namespace sostenuto
