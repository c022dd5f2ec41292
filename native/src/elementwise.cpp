// One compilation serves all targets, so these have the same bits on all of them; sums go through a row in one order.

#include "elementwise.h"

#include <cmath>

// The vectors that every processor has, in a namespace of their own.
#define SOSTENUTO_TARGET plain
#undef SOSTENUTO_TARGET_AVX2
#undef SOSTENUTO_TARGET_AVX512
#include "activations.h"

namespace sostenuto {

namespace {

using namespace plain;

template <class Function>
void each(int64_t size, const float* from, float* to, Function f) {
  int64_t at = 0;
  for (; at + W <= size; at += W) store(to + at, f(load(from + at)));
  if (at < size) store(to + at, f(load(from + at, lanes(size - at))), lanes(size - at));
}

template <class Function>
void each_by_itself(int64_t size, const float* from, float* to, Function f) {
  for (int64_t at = 0; at < size; ++at) to[at] = f(from[at]);
}

Vec where(Whole condition, Vec yes, Vec no) { return condition ? yes : no; }

Vec less_one(Vec x) { return exp_twice_less_one(x * splat(0.5f)); }  // exp(x) - 1, for x that are not large

// In lanes, then over the lanes.
template <class Function>
float sum_of(int64_t size, const float* from, Function f) {
  Vec sum = zero();
  int64_t at = 0;
  for (; at + W <= size; at += W) sum = sum + f(load(from + at));
  for (int lane = 0; at + lane < size; ++lane) sum[lane] = sum[lane] + f(splat(from[at + lane]))[0];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// NaN if any is NaN.
float largest(int64_t size, const float* from) {
  float most = from[0];
  for (int64_t at = 1; at < size; ++at) most = from[at] > most || from[at] != from[at] ? from[at] : most;
  return most;
}

void softmax(int64_t width, const float* from, float* to) {
  const Vec most = splat(largest(width, from));
  each(width, from, to, [&](Vec x) { return exp_minus(most - x); });
  const Vec whole = splat(sum_of(width, to, [](Vec x) { return x; }));
  each(width, to, to, [&](Vec x) { return x / whole; });
}

void log_softmax(int64_t width, const float* from, float* to) {
  const Vec most = splat(largest(width, from));
  const Vec whole = splat(std::log(sum_of(width, from, [&](Vec x) { return exp_minus(most - x); })));
  each(width, from, to, [&](Vec x) { return x - most - whole; });
}

}  // namespace

void activate(Activation what, float number, int64_t rows, int64_t width, const float* from, float* to) {
  const int64_t size = rows * width;
  const Vec factor = splat(number);
  switch (what) {
    case Activation::linear:
      return each(size, from, to, [](Vec x) { return x; });
    case Activation::tanh:
      return each(size, from, to, [](Vec x) { return plain::tanh(x); });
    case Activation::sigmoid:
      return each(size, from, to, [](Vec x) { return plain::sigmoid(x); });
    case Activation::relu:
      return each(size, from, to, [](Vec x) { return where(x < zero(), zero(), x); });
    case Activation::leaky_relu:
      return each(size, from, to, [&](Vec x) { return where(x < zero(), x * factor, x); });
    case Activation::relu6:
      return each(size, from, to, [](Vec x) { return clamp(x, 0.0f, 6.0f); });
    case Activation::elu:
      return each(size, from, to, [&](Vec x) { return where(x > zero(), x, factor * less_one(x)); });
    case Activation::selu:
      return each(size, from, to, [](Vec x) {
        return splat(1.05070098f) * where(x > zero(), x, splat(1.67326324f) * less_one(x));
      });
    case Activation::gelu:
      return each_by_itself(size, from, to, [](float x) { return 0.5f * x * (1 + std::erf(x * 0.707106781f)); });
    case Activation::silu:
      return each(size, from, to, [](Vec x) { return x * plain::sigmoid(x); });
    case Activation::softplus:
      return each_by_itself(size, from, to, [](float x) {
        return std::log1p(std::exp(-std::fabs(x))) + (x < 0 ? 0 : x);
      });
    case Activation::softsign:
      return each(size, from, to, [](Vec x) { return x / (one() + where(x < zero(), -x, x)); });
    case Activation::exponential:
      return each_by_itself(size, from, to, [](float x) { return std::exp(x); });
    case Activation::hard_sigmoid:
      return each(size, from, to, [](Vec x) { return clamp(x + splat(3.0f), 0.0f, 6.0f) / splat(6.0f); });
    case Activation::softmax:
      for (int64_t row = 0; row < rows; ++row) softmax(width, from + row * width, to + row * width);
      return;
    case Activation::log_softmax:
      for (int64_t row = 0; row < rows; ++row) log_softmax(width, from + row * width, to + row * width);
      return;
  }
}

void normalize(float epsilon, const float* gamma, const float* beta, int64_t rows, int64_t width, const float* from,
               float* to) {
  for (int64_t row = 0; row < rows; ++row, from += width, to += width) {
    const Vec mean = splat(sum_of(width, from, [](Vec x) { return x; }) / float(width));
    const float variance = sum_of(width, from, [&](Vec x) { return (x - mean) * (x - mean); }) / float(width);
    const Vec factor = splat(1 / std::sqrt(variance + epsilon));
    for (int64_t at = 0; at < width; at += W) {
      const Lanes real = lanes(width - at);
      Vec x = (load(from + at, real) - mean) * factor;
      if (gamma) x = x * load(gamma + at, real);
      if (beta) x = x + load(beta + at, real);
      store(to + at, x, real);
    }
  }
}

void scale_and_shift(const float* center, const float* scale, const float* shift, int64_t rows, int64_t width,
                     const float* from, float* to) {
  for (int64_t row = 0; row < rows; ++row, from += width, to += width)
    for (int64_t at = 0; at < width; at += W) {
      const Lanes real = lanes(width - at);
      const Vec x = load(from + at, real) - load(center + at, real);
      store(to + at, x * load(scale + at, real) + load(shift + at, real), real);
    }
}

void combine_numbers(Combination what, int64_t size, const float* one, const float* other, float* to) {
  for (int64_t at = 0; at < size; at += W) {
    const Lanes real = lanes(size - at);
    const Vec a = load(one + at, real), b = load(other + at, real);
    store(to + at, what == Combination::add ? a + b : what == Combination::subtract ? a - b : a * b, real);
  }
}

}  // namespace sostenuto
