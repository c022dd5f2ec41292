// tanh and the sigmoid, within 2e-7; NaN comes through, infinities give the limits.

#pragma once

#include "simd.h"

namespace sostenuto::SOSTENUTO_TARGET {

// 2^x = (2^f - 1 + 1) * 2^n with n whole and f within a half of zero. The polynomial gives (2^f - 1) / f, least squares
// weighted until the error was even: at most 2e-8.
SOSTENUTO_INLINE Vec power_less_one(Vec fraction) {
  Vec sum = splat(1.546973508e-04f);
  sum = fma(sum, fraction, splat(1.339086681e-03f));
  sum = fma(sum, fraction, splat(9.618030861e-03f));
  sum = fma(sum, fraction, splat(5.550356954e-02f));
  sum = fma(sum, fraction, splat(2.402265072e-01f));
  sum = fma(sum, fraction, splat(6.931471825e-01f));
  return sum * fraction;
}

// exp(-x). Up to 2^129, which is infinity, so that the sigmoid of minus infinity is 0.
SOSTENUTO_INLINE Vec exp_minus(Vec x) {
  const Vec power = clamp(x * splat(-1.44269504f), -126.0f, 129.0f);
  const Vec whole = round(power);
  return scale(power_less_one(power - whole) + one(), whole);
}

// exp(x) for x up to 0, to a few units in the last place however far below; 0 below -104. Multiples of the logarithm of 2
// are taken off in two parts, the first of so few digits that nothing is rounded (Cody and Waite 1980).
SOSTENUTO_INLINE Vec exp_below(Vec x) {
  x = clamp(x, -104.0f, 0.0f);
  const Vec whole = round(x * splat(1.44269504f));
  const Vec left = (x - whole * splat(0.693359375f)) + whole * splat(2.12194440e-4f);
  return scale(power_less_one(left * splat(1.44269504f)) + one(), whole);
}

// exp(2x) - 1, exact to a few units in the last place near zero as well; tanh(x) is this divided by itself plus 2.
// Limited to 2^60, where that quotient is 1 already, so that products of it stay finite.
SOSTENUTO_INLINE Vec exp_twice_less_one(Vec x) {
  const Vec power = clamp(x * splat(2.88539008f), -60.0f, 60.0f);
  const Vec whole = round(power);
  const Vec factor = scale(one(), whole);
  return fma(factor, power_less_one(power - whole), factor - one());
}

SOSTENUTO_INLINE Vec sigmoid(Vec x) { return one() / (one() + exp_minus(x)); }

SOSTENUTO_INLINE Vec tanh(Vec x) {
  const Vec e = exp_twice_less_one(x);
  return e / (e + splat(2.0f));
}

}  // namespace sostenuto::SOSTENUTO_TARGET
