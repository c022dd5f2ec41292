// LSTM: src/sostenuto/cells/lstm.py. Panels hold the four gates of W units: [block][bias, F, U][gate][W].

#pragma once

#include "activations.h"
#include "backward.h"
#include "forward.h"

namespace sostenuto::SOSTENUTO_TARGET {

struct Lstm {
  static constexpr int D = 4;                    // planes of gradients of a step: i f g o
  static constexpr bool has_c = true;
  static constexpr bool carries_h = false;       // whether h reaches the step before past the product as well

  static int64_t panel_size(const Forward& call) { return (1 + call.features + call.units) * 4 * W; }
  static int64_t panels_size(const Forward& call) { return vectors(call.units) * panel_size(call); }

  static void pack(const Job& job, int64_t part, int64_t parts) {
    const Forward& call = job.call;
    const int64_t blocks = vectors(call.units), F = call.features, U = call.units;
    for (int64_t block = blocks * part / parts; block < blocks * (part + 1) / parts; ++block) {
      float* to = job.panels + block * panel_size(call);
      const int64_t unit = block * W;
      const Lanes real = lanes(U - unit);
      for (int64_t k = -1; k < F + U; ++k)
        for (int64_t gate = 0; gate < 4; ++gate, to += W) {
          const int64_t column = gate * U + unit;
          const float* from = k < 0   ? call.weights.bias
                              : k < F ? call.weights.kernel + k * 4 * U
                                      : call.weights.recurrent_kernel + (k - F) * 4 * U;
          store(to, from ? load(from + column, real) : zero());
        }
    }
  }

  template <int R, bool SAVE>
  static SOSTENUTO_INLINE void finish(Vec (&sums)[R][4], const Tick& tick, int64_t row, int64_t U, int64_t unit) {
    const Lanes real = lanes(U - unit);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec before = load(tick.c[row + r] + unit, real);
      Vec c, h;
      if constexpr (SAVE) {
        const Vec i = sigmoid(sums[r][0]), f = sigmoid(sums[r][1]), g = tanh(sums[r][2]), o = sigmoid(sums[r][3]);
        c = fma(f, before, i * g);
        h = o * tanh(c);
        float* saved = tick.saved[row + r] + unit;
        store(saved, i, real);
        store(saved + U, f, real);
        store(saved + 2 * U, g, real);
        store(saved + 3 * U, o, real);
      } else {
        // Three divisions instead of five: i * g and o * tanh(c) as one fraction each.
        const Vec i = exp_minus(sums[r][0]), f = exp_minus(sums[r][1]), o = exp_minus(sums[r][3]);
        const Vec g = exp_twice_less_one(sums[r][2]);
        c = before / (one() + f) + g / ((one() + i) * (g + splat(2.0f)));
        const Vec e = exp_twice_less_one(c);
        h = e / ((one() + o) * (e + splat(2.0f)));
      }
      store(tick.new_c[row + r] + unit, c, real);
      store(tick.new_h[row + r] + unit, h, real);
    }
  }

  template <int R, bool SAVE>
  static SOSTENUTO_NOINLINE void tile(const Job& job, const Tick& tick, int64_t row, int64_t block) {
    const int64_t F = job.call.features, U = job.call.units;
    const float* panel = job.panels + block * panel_size(job.call);
    Vec sums[R][4];
    set_all(sums, panel);
    const float* const* h = tick.product_h + row;
    if (tick.by_gate) {
      add_products_by_gate<1>(sums, tick.x + row, tick.x_stride, F, panel + 4 * W);
      add_products_by_gate<1>(sums, h, tick.h_stride, U, panel + (1 + F) * 4 * W);
    } else {
      add_products(sums, tick.x + row, F, panel + 4 * W);
      add_products(sums, h, U, panel + (1 + F) * 4 * W);
    }
    finish<R, SAVE>(sums, tick, row, U, block * W);
  }

  template <int R, bool SAVE>
  static SOSTENUTO_NOINLINE void two_tiles(const Job& job, const Tick& tick, int64_t row, int64_t block) {
    const int64_t F = job.call.features, U = job.call.units, size = panel_size(job.call);
    const float* panel = job.panels + block * size;
    Vec first[R][4], second[R][4];
    set_all(first, panel);
    set_all(second, panel + size);
    panel += 4 * W;
    add_products(first, second, tick.x + row, F, panel, panel + size);
    panel += F * 4 * W;
    add_products(first, second, tick.product_h + row, U, panel, panel + size);
    finish<R, SAVE>(first, tick, row, U, block * W);
    finish<R, SAVE>(second, tick, row, U, (block + 1) * W);
  }

  template <bool SAVE>
  static void forward(const Job& job, int64_t, const Tick& tick, int64_t busy, const Share& share) {
    constexpr int FEW = BLOCK_ROWS >= 6 ? 2 : 1;
    int64_t block = share.begin;
    if (busy <= FEW && !tick.by_gate)
      for (; block + 1 < share.end; block += 2)
        with_constant<FEW>(busy, [&](auto rows) { two_tiles<rows.value, SAVE>(job, tick, 0, block); });
    for (; block < share.end; ++block)
      in_row_blocks<BLOCK_ROWS>(
          busy, [&](auto rows, int64_t row) { tile<rows.value, SAVE>(job, tick, row, block); });
  }

  // --- backward ---

  struct StepBack {
    const Back& back;
    int64_t row;
    int64_t U;

    SOSTENUTO_INLINE void operator()(int r, Vec sum, int64_t unit, Lanes real) const {
      const int64_t i_row = row + r;
      if (back.dropout && !back.by_gate) sum = sum * load(back.dropout[i_row] + unit, real);
      const Vec dh = sum + load(back.d_output[i_row] + unit, real) + load(back.extra[i_row] + unit, real);
      const float* saved = back.saved[i_row] + unit;
      const Vec i = load(saved, real), f = load(saved + U, real), g = load(saved + 2 * U, real);
      const Vec o = load(saved + 3 * U, real), c = tanh(load(saved + 4 * U, real));
      const Vec before = load(back.c_before[i_row] + unit, real);
      float* carried = back.carried[i_row] + unit;
      const Vec dc = fma(dh * o, one() - c * c, load(carried, real));
      store(carried, dc * f, real);
      float* d = back.d[i_row] + unit;
      store(d, dc * g * i * (one() - i), real);
      store(d + U, dc * before * f * (one() - f), real);
      store(d + 2 * U, dc * i * (one() - g * g), real);
      store(d + 3 * U, dh * c * o * (one() - o), real);
    }
  };

  static int64_t transposed_size(const Forward& call) { return vectors(call.units) * W * 4 * call.units; }

  static void pack_transposed(const Job& job, int64_t part, int64_t parts) {
    const Forward& call = job.call;
    transpose(call.weights.recurrent_kernel, 4 * call.units, 0, 4 * call.units, call.units, part, parts, job.transposed);
  }

  static void backward(const Job& job, int64_t, float*, const Back& back, int64_t busy, const Share& share) {
    const int64_t U = job.call.units;
    back_tiles(back.d_after, back.gates(4), 4 * U, job.transposed, back.last, U, busy, share,
               [&](int64_t row) { return StepBack{back, row, U}; });
  }

  static void first_state(const Job& job, const Ends& ends, int64_t number, const Share& share) {
    ends_tiles(ends, 4, 4 * job.call.units, job.transposed, job.call.units, number, share);
  }

  static constexpr int segment_count(bool by_gate) { return by_gate ? 4 : 1; }
  static Segment segment(int part, bool by_gate, int64_t U) {
    if (by_gate) return {part * U, U, true, Source::h, part * U, part * U, -1, part};
    return {0, 4 * U, true, Source::h, 0, 0, -1, 0};
  }
};

}  // namespace sostenuto::SOSTENUTO_TARGET
