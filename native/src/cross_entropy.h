// One row of logits: twice through a row that stays in the cache, then once on the way back.

#pragma once

#include "activations.h"

namespace sostenuto::SOSTENUTO_TARGET {

// f(vector of logits, which lanes are real), over a row. Four vectors at a time, so that sums do not wait for each other.
template <class Function>
SOSTENUTO_INLINE void over_row(int64_t size, Function f) {
  int64_t at = 0;
  for (; at + 4 * W <= size; at += 4 * W) {
#pragma GCC unroll 4
    for (int number = 0; number < 4; ++number) f(number, at + number * W, lanes(W));
  }
  for (; at < size; at += W) f(0, at, lanes(size - at));
}

template <class Function>
SOSTENUTO_INLINE float across(Vec vector, Function f) {
  float numbers[W];
  store(numbers, vector);
  float result = numbers[0];
  for (int lane = 1; lane < W; ++lane) result = f(result, numbers[lane]);
  return result;
}

inline void cross_entropy_row(const float* logits, int64_t size, int64_t wanted, float* loss, float* kept) {
  // A NaN is passed over here, and comes back with the sum.
  Vec greatest[4];
  for (Vec& one : greatest) one = splat(-__builtin_inff());
  const auto load_or_nothing = [&](int64_t at, Lanes real) {
    return at + W <= size ? load(logits + at) : select(real, load(logits + at, real), splat(-__builtin_inff()));
  };
  over_row(size, [&](int number, int64_t at, Lanes real) {
    greatest[number] = max(load_or_nothing(at, real), greatest[number]);
  });
  const float most = across(max(max(greatest[0], greatest[1]), max(greatest[2], greatest[3])),
                            [](float a, float b) { return b > a ? b : a; });
  Vec sums[4] = {zero(), zero(), zero(), zero()};
  over_row(size, [&](int number, int64_t at, Lanes real) {
    sums[number] = sums[number] + exp_below(load_or_nothing(at, real) - splat(most));
  });
  const float sum = across((sums[0] + sums[1]) + (sums[2] + sums[3]), [](float a, float b) { return a + b; });
  kept[0] = most;
  kept[1] = __builtin_logf(sum);
  *loss = kept[1] - (logits[wanted] - most);
}

inline void cross_entropy_gradient_row(
    const float* logits, int64_t size, int64_t wanted, const float* kept, float d_loss, float* d_logits) {
  const Vec most = splat(kept[0]), log_sum = splat(kept[1]), factor = splat(d_loss);
  over_row(size, [&](int, int64_t at, Lanes real) {
    store(d_logits + at, exp_below(load(logits + at, real) - most - log_sum) * factor, real);
  });
  d_logits[wanted] -= d_loss;
}

}  // namespace sostenuto::SOSTENUTO_TARGET
