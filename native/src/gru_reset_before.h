// GRU with reset_after=False: src/sostenuto/cells/gru.py. The candidate needs r * h of all units, so a step has two
// parts: the gates z and r, then the candidate.

#pragma once

#include "activations.h"
#include "backward.h"
#include "columns.h"
#include "forward.h"

namespace sostenuto::SOSTENUTO_TARGET {

struct GruResetBefore {
  static constexpr int D = 3;  // planes of gradients of a step: z r h
  static constexpr bool has_c = false;
  static constexpr bool carries_h = true;

  static Columns gates() { return {0, 2}; }
  static Columns candidate(const Forward& call) { return {2 * call.units, 1}; }

  static int64_t panels_size(const Forward& call) { return gates().size(call) + candidate(call).size(call); }

  static void pack(const Job& job, int64_t part, int64_t parts) {
    gates().pack(job, part, parts, job.panels);
    candidate(job.call).pack(job, part, parts, job.panels + gates().size(job.call));
  }

  // Where z, and r * h with its dropout, wait for the second part.
  template <bool SAVE>
  static SOSTENUTO_INLINE float* z_of(const Tick& tick, int64_t row) {
    return SAVE ? tick.saved[row] : tick.work[row];
  }
  template <bool SAVE>
  static SOSTENUTO_INLINE float* reset_h_of(const Tick& tick, int64_t row, int64_t U) {
    return SAVE ? tick.saved[row] + 3 * U : tick.work[row] + vectors(U) * W;
  }

  template <int V, bool SAVE>
  struct Gates {
    const Tick& tick;
    int64_t row;
    int64_t begin;
    int64_t U;

    SOSTENUTO_INLINE void operator()(int r, const Vec (&sums)[2 * V]) const {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int64_t unit = (begin + v) * W;
        const Lanes real = lanes(U - unit);
        const Vec z = sigmoid(sums[v]), reset = sigmoid(sums[V + v]);
        Vec reset_h = reset * load(tick.h[row + r] + unit, real);
        if (tick.dropout)
          reset_h = reset_h * load(tick.dropout[row + r] + (tick.by_gate ? 2 * U : 0) + unit, real);
        store(z_of<SAVE>(tick, row + r) + unit, z, real);
        store(reset_h_of<SAVE>(tick, row + r, U) + unit, reset_h, real);
        if constexpr (SAVE) store(tick.saved[row + r] + U + unit, reset, real);
      }
    }
  };

  template <int V, bool SAVE>
  struct Candidate {
    const Tick& tick;
    int64_t row;
    int64_t begin;
    int64_t U;

    SOSTENUTO_INLINE void operator()(int r, const Vec (&sums)[V]) const {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int64_t unit = (begin + v) * W;
        const Lanes real = lanes(U - unit);
        const Vec g = tanh(sums[v]), z = load(z_of<SAVE>(tick, row + r) + unit, real);
        const Vec h = fma(z, load(tick.h[row + r] + unit, real), (one() - z) * g);
        if constexpr (SAVE) store(tick.saved[row + r] + 2 * U + unit, g, real);
        store(tick.new_h[row + r] + unit, h, real);
      }
    }
  };

  template <bool SAVE>
  static void forward(const Job& job, int64_t group, const Tick& tick, int64_t busy, const Share& share) {
    const int64_t U = job.call.units;
    // A stride of 0 is right where gates have no dropout of their own.
    const int64_t x_stride = tick.by_gate ? tick.x_stride : 0, h_stride = tick.by_gate ? tick.h_stride : 0;
    const ColumnRows gate_rows{tick.x, x_stride, tick.product_h, h_stride};
    column_tiles<2>(job, job.panels, gate_rows, busy, share, [&](int64_t row, int64_t begin, auto count) {
      return Gates<count.value, SAVE>{tick, row, begin, U};
    });
    if (job.members > 1) meet(job.meetings[group], job.members);
    for (int64_t i = 0; i < busy; ++i) {
      tick.x[i] += 2 * x_stride;
      tick.product_h[i] = reset_h_of<SAVE>(tick, i, U);
    }
    column_tiles<1>(job, job.panels + gates().size(job.call), ColumnRows{tick.x, 0, tick.product_h, 0}, busy, share,
                    [&](int64_t row, int64_t begin, auto count) {
                      return Candidate<count.value, SAVE>{tick, row, begin, U};
                    });
  }

  // --- backward, in two parts as well ---

  struct CandidateBack {
    const Back& back;
    float* work;  // gradient of h, per slot
    int64_t row;
    int64_t U;

    SOSTENUTO_INLINE void operator()(int r, Vec sum, int64_t unit, Lanes real) const {
      const int64_t i = row + r;
      if (back.dropout && !back.by_gate) sum = sum * load(back.dropout[i] + unit, real);
      const Vec dh = sum + load(back.d_output[i] + unit, real) + load(back.extra[i] + unit, real);
      const float* saved = back.saved[i] + unit;
      const Vec z = load(saved, real), g = load(saved + 2 * U, real);
      store(work + i * vectors(U) * W + unit, dh);
      store(back.d[i] + unit, dh * (load(back.h_before[i] + unit, real) - g) * z * (one() - z), real);
      store(back.d[i] + 2 * U + unit, dh * (one() - z) * (one() - g * g), real);
    }
  };

  struct ResetBack {
    const Back& back;
    const float* work;
    int64_t row;
    int64_t U;

    SOSTENUTO_INLINE void operator()(int r, Vec sum, int64_t unit, Lanes real) const {
      const int64_t i = row + r;
      if (back.dropout) sum = sum * load(back.dropout[i] + (back.by_gate ? 2 * U : 0) + unit, real);
      const float* saved = back.saved[i] + unit;
      const Vec z = load(saved, real), reset = load(saved + U, real);
      const Vec dh = load(work + i * vectors(U) * W + unit);
      store(back.d[i] + U + unit, sum * load(back.h_before[i] + unit, real) * reset * (one() - reset), real);
      store(back.carried[i] + unit, fma(sum, reset, dh * z), real);
    }
  };

  static int64_t transposed_size(const Forward& call) { return vectors(call.units) * W * 3 * call.units; }

  static void pack_transposed(const Job& job, int64_t part, int64_t parts) {
    const int64_t U = job.call.units;
    const float* recurrent_kernel = job.call.weights.recurrent_kernel;
    transpose(recurrent_kernel, 3 * U, 0, 2 * U, U, part, parts, job.transposed);
    transpose(recurrent_kernel, 3 * U, 2 * U, U, U, part, parts, second_part(job));
  }

  static void backward(const Job& job, int64_t group, float* work, const Back& back, int64_t busy, const Share& share) {
    const int64_t U = job.call.units;
    back_tiles(back.d_after, back.gates(2), 2 * U, job.transposed, back.last, U, busy, share,
               [&](int64_t row) { return CandidateBack{back, work, row, U}; });
    if (job.members > 1) meet(job.meetings[group], job.members);
    for (int64_t i = 0; i < busy; ++i) back.d_after[i] = back.d[i] + 2 * U;
    back_tiles(back.d_after, GateFactors{nullptr, 1}, U, second_part(job), nullptr, U, busy, share,
               [&](int64_t row) { return ResetBack{back, work, row, U}; });
  }

  static void first_state(const Job& job, const Ends& ends, int64_t number, const Share& share) {
    ends_tiles(ends, 2, 2 * job.call.units, job.transposed, job.call.units, number, share);
  }

  static constexpr int segment_count(bool by_gate) { return by_gate ? 3 : 2; }
  static Segment segment(int part, bool by_gate, int64_t U) {
    if (by_gate && part < 2) return {part * U, U, true, Source::h, part * U, part * U, -1, part};
    if (part == 0) return {0, 2 * U, true, Source::h, 0, 0, -1, 0};
    return {2 * U, U, true, Source::reset_h, 2 * U, 2 * U, -1, 2};
  }

 private:
  static float* second_part(const Job& job) {
    return job.transposed + vectors(job.call.units) * W * 2 * job.call.units;
  }
};

}  // namespace sostenuto::SOSTENUTO_TARGET
