// Vectors of float for the instruction set that this file is compiled for. Everything is in a namespace of that target,
// and nothing from the standard library is instantiated: the linker would be free to keep the AVX-512 copy for all.

#pragma once

#include <cstdint>
#include <cstring>

#if defined(SOSTENUTO_TARGET_AVX512) || defined(SOSTENUTO_TARGET_AVX2)
#include <immintrin.h>
#endif

#define SOSTENUTO_INLINE __attribute__((always_inline)) inline
#define SOSTENUTO_NOINLINE __attribute__((noinline))

namespace sostenuto::SOSTENUTO_TARGET {

#if defined(SOSTENUTO_TARGET_AVX512)

using Vec = __m512;
using Lanes = __mmask16;       // which lanes of a vector are real
constexpr int W = 16;          // floats in a vector
constexpr int BLOCK_ROWS = 6;  // rows of a register block of 4 vectors each: 24 sums, 4 weights and a broadcast

SOSTENUTO_INLINE Lanes lanes(int64_t number) { return number >= W ? 0xFFFF : Lanes((1u << (number > 0 ? number : 0)) - 1); }
SOSTENUTO_INLINE Vec splat(float value) { return _mm512_set1_ps(value); }
SOSTENUTO_INLINE Vec load(const float* from) { return _mm512_loadu_ps(from); }
SOSTENUTO_INLINE Vec load(const float* from, Lanes real) { return _mm512_maskz_loadu_ps(real, from); }
SOSTENUTO_INLINE void store(float* to, Vec value) { _mm512_storeu_ps(to, value); }
SOSTENUTO_INLINE void store(float* to, Vec value, Lanes real) { _mm512_mask_storeu_ps(to, real, value); }
SOSTENUTO_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
// The second operand of min and max comes through where one is NaN.
SOSTENUTO_INLINE Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
SOSTENUTO_INLINE Vec select(Lanes real, Vec yes, Vec no) { return _mm512_mask_blend_ps(real, no, yes); }
SOSTENUTO_INLINE Vec clamp(Vec x, float low, float high) {
  return _mm512_max_ps(splat(low), _mm512_min_ps(splat(high), x));
}
SOSTENUTO_INLINE Vec round(Vec x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SOSTENUTO_INLINE Vec scale(Vec x, Vec power) { return _mm512_scalef_ps(x, power); }
// Lanes that are `stride` floats apart in memory.
SOSTENUTO_INLINE Vec gather(const float* from, int64_t stride, Lanes real) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i places = _mm512_mullo_epi32(lane, _mm512_set1_epi32(int(stride)));
  return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), real, places, from, 4);
}

#elif defined(SOSTENUTO_TARGET_AVX2)

using Vec = __m256;
using Lanes = __m256i;
constexpr int W = 8;
constexpr int BLOCK_ROWS = 3;  // 12 sums of the 16 registers

SOSTENUTO_INLINE Lanes lanes(int64_t number) {
  const int some = int(number < 0 ? 0 : number > W ? W : number);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(some), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SOSTENUTO_INLINE Vec splat(float value) { return _mm256_set1_ps(value); }
SOSTENUTO_INLINE Vec load(const float* from) { return _mm256_loadu_ps(from); }
SOSTENUTO_INLINE Vec load(const float* from, Lanes real) { return _mm256_maskload_ps(from, real); }
SOSTENUTO_INLINE void store(float* to, Vec value) { _mm256_storeu_ps(to, value); }
SOSTENUTO_INLINE void store(float* to, Vec value, Lanes real) { _mm256_maskstore_ps(to, real, value); }
SOSTENUTO_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
SOSTENUTO_INLINE Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
SOSTENUTO_INLINE Vec select(Lanes real, Vec yes, Vec no) {
  return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(real));
}
SOSTENUTO_INLINE Vec clamp(Vec x, float low, float high) {
  return _mm256_max_ps(splat(low), _mm256_min_ps(splat(high), x));
}
SOSTENUTO_INLINE Vec round(Vec x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SOSTENUTO_INLINE Vec gather(const float* from, int64_t stride, Lanes real) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i places = _mm256_mullo_epi32(lane, _mm256_set1_epi32(int(stride)));
  return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), from, places, _mm256_castsi256_ps(real), 4);
}
SOSTENUTO_INLINE Vec power_of_two(__m256i power) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(power, _mm256_set1_epi32(127)), 23));
}
SOSTENUTO_INLINE Vec scale(Vec x, Vec power) {
  // In two steps, because 2^129 is no float, but its product with a small number, or infinity, is.
  const __m256i whole = _mm256_cvtps_epi32(power), half = _mm256_srai_epi32(whole, 1);
  return x * power_of_two(half) * power_of_two(_mm256_sub_epi32(whole, half));
}

#else

typedef float Vec __attribute__((vector_size(16)));
typedef int32_t Whole __attribute__((vector_size(16)));
using Lanes = int;
constexpr int W = 4;
constexpr int BLOCK_ROWS = 3;

SOSTENUTO_INLINE Lanes lanes(int64_t number) { return int(number < 0 ? 0 : number > W ? W : number); }
SOSTENUTO_INLINE Vec splat(float value) { return Vec{value, value, value, value}; }
SOSTENUTO_INLINE Vec load(const float* from) {
  Vec value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
SOSTENUTO_INLINE Vec load(const float* from, Lanes real) {
  if (real == W) return load(from);
  Vec value = splat(0.0f);
  for (int lane = 0; lane < real; ++lane) value[lane] = from[lane];
  return value;
}
SOSTENUTO_INLINE void store(float* to, Vec value) { std::memcpy(to, &value, sizeof value); }
SOSTENUTO_INLINE void store(float* to, Vec value, Lanes real) {
  if (real == W) return store(to, value);
  for (int lane = 0; lane < real; ++lane) to[lane] = value[lane];
}
SOSTENUTO_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
SOSTENUTO_INLINE Vec max(Vec a, Vec b) { return a > b ? a : b; }
SOSTENUTO_INLINE Vec select(Lanes real, Vec yes, Vec no) {
  for (int lane = real; lane < W; ++lane) yes[lane] = no[lane];
  return yes;
}
// A comparison with NaN is false, so NaN comes through.
SOSTENUTO_INLINE Vec clamp(Vec x, float low, float high) {
  x = x > splat(high) ? splat(high) : x;
  return x < splat(low) ? splat(low) : x;
}
SOSTENUTO_INLINE Vec round(Vec x) {
  const Vec shift = splat(12582912.0f);  // 1.5 * 2^23: the sum has no digits behind the point
  return (x + shift) - shift;
}
SOSTENUTO_INLINE Vec gather(const float* from, int64_t stride, Lanes real) {
  Vec value = splat(0.0f);
  for (int lane = 0; lane < real; ++lane) value[lane] = from[lane * stride];
  return value;
}
SOSTENUTO_INLINE Vec power_of_two(Whole power) {
  const Whole bits = (power + 127) << 23;
  Vec value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
SOSTENUTO_INLINE Vec scale(Vec x, Vec power) {
  // A NaN has no whole number; 0 in its place, and the factor x is NaN anyway.
  const Whole whole = __builtin_convertvector(power == power ? power : splat(0.0f), Whole), half = whole >> 1;
  return x * power_of_two(half) * power_of_two(whole - half);
}

#endif

SOSTENUTO_INLINE Vec zero() { return splat(0.0f); }
SOSTENUTO_INLINE Vec one() { return splat(1.0f); }

SOSTENUTO_INLINE void prefetch(const float* from) { __builtin_prefetch(from, 0, 3); }

SOSTENUTO_INLINE int64_t vectors(int64_t number) { return (number + W - 1) / W; }  // that hold so many floats

}  // namespace sostenuto::SOSTENUTO_TARGET
