// GRU with reset_after=True: src/sostenuto/cells/gru.py. Panels hold W units: [block][biases z r x h; F of z r x; U of
// z r h][W], where x and h are the two shares of the candidate, which r stands between.

#pragma once

#include "activations.h"
#include "backward.h"
#include "forward.h"

namespace sostenuto::SOSTENUTO_TARGET {

struct Gru {
  static constexpr int D = 4;  // planes of gradients of a step: z r h x
  static constexpr bool has_c = false;
  static constexpr bool carries_h = true;

  static int64_t panel_size(const Forward& call) { return (4 + 3 * (call.features + call.units)) * W; }
  static int64_t panels_size(const Forward& call) { return vectors(call.units) * panel_size(call); }

  static void pack(const Job& job, int64_t part, int64_t parts) {
    const Forward& call = job.call;
    const Weights& weights = call.weights;
    const int64_t blocks = vectors(call.units), F = call.features, U = call.units;
    for (int64_t block = blocks * part / parts; block < blocks * (part + 1) / parts; ++block) {
      float* to = job.panels + block * panel_size(call);
      const int64_t unit = block * W;
      const Lanes real = lanes(U - unit);
      const float* bias = weights.bias ? weights.bias + unit : nullptr;
      store(to, bias ? load(bias, real) + load(bias + 3 * U, real) : zero());
      store(to + W, bias ? load(bias + U, real) + load(bias + 4 * U, real) : zero());
      store(to + 2 * W, bias ? load(bias + 2 * U, real) : zero());
      store(to + 3 * W, bias ? load(bias + 5 * U, real) : zero());
      to += 4 * W;
      for (int64_t k = 0; k < F + U; ++k)
        for (int64_t gate = 0; gate < 3; ++gate, to += W) {
          const float* from = k < F ? weights.kernel + k * 3 * U : weights.recurrent_kernel + (k - F) * 3 * U;
          store(to, load(from + gate * U + unit, real));
        }
    }
  }

  template <int R, bool SAVE>
  static SOSTENUTO_INLINE void finish(
      Vec (&sums)[R][3], const Vec (&x)[R], const Tick& tick, int64_t row, int64_t U, int64_t unit) {
    const Lanes real = lanes(U - unit);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec z = sigmoid(sums[r][0]), reset = sigmoid(sums[r][1]), recurrent = sums[r][2];
      const Vec g = tanh(fma(reset, recurrent, x[r]));
      const Vec h = fma(z, load(tick.h[row + r] + unit, real), (one() - z) * g);
      if constexpr (SAVE) {
        float* saved = tick.saved[row + r] + unit;
        store(saved, z, real);
        store(saved + U, reset, real);
        store(saved + 2 * U, g, real);
        store(saved + 3 * U, recurrent, real);
      }
      store(tick.new_h[row + r] + unit, h, real);
    }
  }

  // From the sums of the inputs to those of h: the candidate's stays aside.
  template <int R>
  static SOSTENUTO_INLINE void set_aside(Vec (&sums)[R][3], Vec (&x)[R], const float* panel) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      x[r] = sums[r][2];
      sums[r][2] = load(panel + 3 * W);
    }
  }

  template <int R, bool SAVE>
  static SOSTENUTO_NOINLINE void tile(const Job& job, const Tick& tick, int64_t row, int64_t block) {
    const int64_t F = job.call.features, U = job.call.units;
    const float* panel = job.panels + block * panel_size(job.call);
    Vec sums[R][3], x[R];
    set_all(sums, panel);
    const bool by_gate = tick.by_gate;
    if (by_gate)
      add_products_by_gate<1>(sums, tick.x + row, tick.x_stride, F, panel + 4 * W);
    else
      add_products(sums, tick.x + row, F, panel + 4 * W);
    set_aside(sums, x, panel);
    if (by_gate)
      add_products_by_gate<1>(sums, tick.product_h + row, tick.h_stride, U, panel + (4 + 3 * F) * W);
    else
      add_products(sums, tick.product_h + row, U, panel + (4 + 3 * F) * W);
    finish<R, SAVE>(sums, x, tick, row, U, block * W);
  }

  template <int R, bool SAVE>
  static SOSTENUTO_NOINLINE void two_tiles(const Job& job, const Tick& tick, int64_t row, int64_t block) {
    const int64_t F = job.call.features, U = job.call.units, size = panel_size(job.call);
    const float *panel = job.panels + block * size, *other = panel + size;
    Vec first[R][3], second[R][3], x_first[R], x_second[R];
    set_all(first, panel);
    set_all(second, other);
    add_products(first, second, tick.x + row, F, panel + 4 * W, other + 4 * W);
    set_aside(first, x_first, panel);
    set_aside(second, x_second, other);
    add_products(first, second, tick.product_h + row, U, panel + (4 + 3 * F) * W, other + (4 + 3 * F) * W);
    finish<R, SAVE>(first, x_first, tick, row, U, block * W);
    finish<R, SAVE>(second, x_second, tick, row, U, (block + 1) * W);
  }

  template <bool SAVE>
  static void forward(const Job& job, int64_t, const Tick& tick, int64_t busy, const Share& share) {
    constexpr int FEW = BLOCK_ROWS >= 6 ? 2 : 1;
    int64_t block = share.begin;
    if (busy <= FEW && !tick.by_gate)
      for (; block + 1 < share.end; block += 2)
        with_constant<FEW>(busy, [&](auto rows) { two_tiles<rows.value, SAVE>(job, tick, 0, block); });
    for (; block < share.end; ++block)
      in_row_blocks<BLOCK_ROWS>(busy, [&](auto rows, int64_t row) { tile<rows.value, SAVE>(job, tick, row, block); });
  }

  // --- backward ---

  struct StepBack {
    const Back& back;
    int64_t row;
    int64_t U;

    SOSTENUTO_INLINE void operator()(int r, Vec sum, int64_t unit, Lanes real) const {
      const int64_t i = row + r;
      if (back.dropout && !back.by_gate) sum = sum * load(back.dropout[i] + unit, real);
      const Vec dh = sum + load(back.d_output[i] + unit, real) + load(back.extra[i] + unit, real);
      const float* saved = back.saved[i] + unit;
      const Vec z = load(saved, real), reset = load(saved + U, real), g = load(saved + 2 * U, real);
      const Vec recurrent = load(saved + 3 * U, real), before = load(back.h_before[i] + unit, real);
      const Vec candidate = dh * (one() - z) * (one() - g * g);
      store(back.carried[i] + unit, dh * z, real);
      float* d = back.d[i] + unit;
      store(d, dh * (before - g) * z * (one() - z), real);
      store(d + U, candidate * recurrent * reset * (one() - reset), real);
      store(d + 2 * U, candidate * reset, real);
      store(d + 3 * U, candidate, real);
    }
  };

  static int64_t transposed_size(const Forward& call) { return vectors(call.units) * W * 3 * call.units; }

  static void pack_transposed(const Job& job, int64_t part, int64_t parts) {
    const int64_t U = job.call.units;
    transpose(job.call.weights.recurrent_kernel, 3 * U, 0, 3 * U, U, part, parts, job.transposed);
  }

  static void backward(const Job& job, int64_t, float*, const Back& back, int64_t busy, const Share& share) {
    const int64_t U = job.call.units;
    back_tiles(back.d_after, back.gates(3), 3 * U, job.transposed, back.last, U, busy, share,
               [&](int64_t row) { return StepBack{back, row, U}; });
  }

  static void first_state(const Job& job, const Ends& ends, int64_t number, const Share& share) {
    ends_tiles(ends, 3, 3 * job.call.units, job.transposed, job.call.units, number, share);
  }

  static constexpr int segment_count(bool by_gate) { return by_gate ? 4 : 3; }
  static Segment segment(int part, bool by_gate, int64_t U) {
    if (by_gate && part < 2) return {part * U, U, true, Source::h, part * U, part * U, (3 + part) * U, part};
    if (part == 0) return {0, 2 * U, true, Source::h, 0, 0, 3 * U, 0};
    if (part == (by_gate ? 2 : 1)) return {2 * U, U, false, Source::h, 2 * U, 5 * U, -1, 2};
    return {3 * U, U, true, Source::none, 2 * U, 2 * U, -1, 2};
  }
};

}  // namespace sostenuto::SOSTENUTO_TARGET
