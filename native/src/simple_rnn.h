// The simple recurrent network: src/sostenuto/cells/simple_rnn.py.

#pragma once

#include "activations.h"
#include "backward.h"
#include "columns.h"
#include "forward.h"

namespace sostenuto::SOSTENUTO_TARGET {

struct SimpleRnn {
  static constexpr int D = 1;
  static constexpr bool has_c = false;
  static constexpr bool carries_h = false;
  static constexpr Columns columns{0, 1};

  static int64_t panels_size(const Forward& call) { return columns.size(call); }
  static void pack(const Job& job, int64_t part, int64_t parts) { columns.pack(job, part, parts, job.panels); }

  template <int V>
  struct Step {
    const Tick& tick;
    int64_t row;
    int64_t begin;
    int64_t U;

    SOSTENUTO_INLINE void operator()(int r, const Vec (&sums)[V]) const {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int64_t unit = (begin + v) * W;
        store(tick.new_h[row + r] + unit, tanh(sums[v]), lanes(U - unit));
      }
    }
  };

  template <bool SAVE>
  static void forward(const Job& job, int64_t, const Tick& tick, int64_t busy, const Share& share) {
    column_tiles<1>(job, job.panels, ColumnRows{tick.x, 0, tick.product_h, 0}, busy, share, [&](int64_t row, int64_t begin, auto count) {
      return Step<count.value>{tick, row, begin, job.call.units};
    });
  }

  // --- backward: h is what the step put out ---

  struct StepBack {
    const Back& back;
    const float* const* outputs;
    int64_t row;

    SOSTENUTO_INLINE void operator()(int r, Vec sum, int64_t unit, Lanes real) const {
      const int64_t i = row + r;
      if (back.dropout && !back.by_gate) sum = sum * load(back.dropout[i] + unit, real);
      const Vec dh = sum + load(back.d_output[i] + unit, real) + load(back.extra[i] + unit, real);
      const Vec h = load(outputs[i] + unit, real);
      store(back.d[i] + unit, dh * (one() - h * h), real);
    }
  };

  static int64_t transposed_size(const Forward& call) { return vectors(call.units) * W * call.units; }

  static void pack_transposed(const Job& job, int64_t part, int64_t parts) {
    const int64_t U = job.call.units;
    transpose(job.call.weights.recurrent_kernel, U, 0, U, U, part, parts, job.transposed);
  }

  static void backward(const Job& job, int64_t, float*, const Back& back, int64_t busy, const Share& share) {
    const int64_t U = job.call.units;
    back_tiles(back.d_after, back.gates(1), U, job.transposed, back.last, U, busy, share,
               [&](int64_t row) { return StepBack{back, back.output, row}; });
  }

  static void first_state(const Job& job, const Ends& ends, int64_t number, const Share& share) {
    ends_tiles(ends, 1, job.call.units, job.transposed, job.call.units, number, share);
  }

  static constexpr int segment_count(bool) { return 1; }
  static Segment segment(int, bool, int64_t U) { return {0, U, true, Source::h, 0, 0, -1, 0}; }
};

}  // namespace sostenuto::SOSTENUTO_TARGET
