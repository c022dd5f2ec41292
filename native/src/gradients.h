// Gradients of the weights and of the inputs: products over many steps, done every so often while the gradients of the
// gates are still in the cache.

#pragma once

#include "scratch.h"
#include "slots.h"
#include "tile.h"
#include "transpose.h"

namespace sostenuto::SOSTENUTO_TARGET {

enum class Source : int { none, h, reset_h };

// A range of columns of the gates' gradients, and which weights they belong to.
struct Segment {
  int64_t begin;   // in the planes of a step's gradients
  int64_t width;
  bool x;          // they meet the inputs in d_kernel
  Source source;   // and this in d_recurrent_kernel
  int64_t target;  // first column there
  int64_t bias;    // place in d_bias
  int64_t bias_2;  // and another one, or -1
  int gate;        // whose dropout counts, where gates have their own
};

// Steps whose weight gradients are still to be added up.
struct Pending {
  int64_t number;
  const float** x;
  const float** h;
  const float** reset_h;
  const float** d;
  float** d_x;
  float* columns;  // a panel's columns of all of them

  // Where gates have dropout of their own: how far apart their rows of x and h are (0: all read the same), and the
  // factors of the inputs, (G, F) for each row.
  int64_t x_stride;
  int64_t h_stride;
  const float** input_dropout;
  const float** moved;  // pointers to a gate's rows
};

// The most that are left waiting, not counting those of the last turn: enough to reuse the sums that they are added to,
// few enough to stay in the cache.
SOSTENUTO_INLINE int64_t pending_limit(int64_t units) { return units < 400 ? 128 : 256; }

// One panel of sums: up to four vectors of columns, all inputs of these.
struct Panel {
  Segment segment;
  int64_t begin;    // first column, in the planes
  int64_t width;    // columns, at most 4 * W
  int64_t inputs;   // rows of the sums: F if x, U if there is a source, and 1 for the bias
  int64_t offset;   // in the sums
};

// Calls f(Panel, its number) for all panels; gives the size of all sums in floats.
template <class Equations, class Function>
SOSTENUTO_INLINE int64_t for_panels(const Forward& call, Function&& f) {
  int64_t offset = 0, number = 0;
  const bool by_gate = call.dropout_by_gate;
  for (int part = 0; part < Equations::segment_count(by_gate); ++part) {
    const Segment segment = Equations::segment(part, by_gate, call.units);
    for (int64_t column = 0; column < segment.width; column += 4 * W, ++number) {
      Panel panel;
      panel.segment = segment;
      panel.begin = segment.begin + column;
      panel.width = segment.width - column < 4 * W ? segment.width - column : 4 * W;
      panel.inputs = (segment.x ? call.features : 0) + (segment.source != Source::none ? call.units : 0) + 1;
      panel.offset = offset;
      f(panel, number);
      offset += panel.inputs * vectors(panel.width) * W;
    }
  }
  return offset;
}

constexpr int MANY_ROWS = BLOCK_ROWS * 2;  // of a register block of one or two vectors

// sums[m][v] += a[n][m] * columns[n][v], for all n.
template <int R, int V>
SOSTENUTO_NOINLINE void outer_tile(const float* const* a, int64_t number, int64_t m, const float* columns, float* to) {
  Vec sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = load(to + (r * V + v) * W);
  for (int64_t n = 0; n < number; ++n, columns += V * W) {
    const float* row = a[n] + m;
    Vec right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) right[v] = load(columns + v * W);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec factor = splat(row[r]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = fma(factor, right[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(to + (r * V + v) * W, sums[r][v]);
}

template <int V>
SOSTENUTO_INLINE void outer_products(const float* const* a, int64_t number, int64_t inputs, const float* columns, float* to) {
  constexpr int MOST = V <= 2 ? MANY_ROWS : BLOCK_ROWS;
  in_row_blocks<MOST>(inputs, [&](auto rows, int64_t m) { outer_tile<rows.value, V>(a, number, m, columns, to + m * V * W); });
}

SOSTENUTO_INLINE const float* const* rows_of_gate(const Pending& pending, const float** rows, int64_t shift) {
  if (shift == 0) return rows;
  for (int64_t n = 0; n < pending.number; ++n) pending.moved[n] = rows[n] + shift;
  return pending.moved;
}

template <int V>
SOSTENUTO_NOINLINE void add_panel(const Job& job, const Pending& pending, const Panel& panel, float* sums) {
  const int64_t F = job.call.features, U = job.call.units;
  Vec bias[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) bias[v] = zero();
  const Lanes last = lanes(panel.width - (V - 1) * W);
  for (int64_t n = 0; n < pending.number; ++n) {
    const float* from = pending.d[n] + panel.begin;
    float* to = pending.columns + n * V * W;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const Vec d = v == V - 1 ? load(from + v * W, last) : load(from + v * W);
      bias[v] = bias[v] + d;
      store(to + v * W, d);
    }
  }
  if (panel.segment.x) {
    outer_products<V>(rows_of_gate(pending, pending.x, panel.segment.gate * pending.x_stride), pending.number, F,
                      pending.columns, sums);
    sums += F * V * W;
  }
  if (panel.segment.source != Source::none) {
    const float* const* source = panel.segment.source == Source::reset_h
                                     ? pending.reset_h
                                     : rows_of_gate(pending, pending.h, panel.segment.gate * pending.h_stride);
    outer_products<V>(source, pending.number, U, pending.columns, sums);
    sums += U * V * W;
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) store(sums + v * W, load(sums + v * W) + bias[v]);
}

template <class Equations, int R, int V>
SOSTENUTO_NOINLINE void inputs_tile(const Job& job, const float* const* d, const float* const* factors,
                                    float* const* d_x, int64_t begin, const float* panel) {
  const int64_t F = job.call.features, U = job.call.units;
  const bool by_gate = factors != nullptr;
  Vec sums[R][V];
  set_zero(sums);
  for (int part = 0; part < Equations::segment_count(by_gate); ++part) {
    const Segment segment = Equations::segment(part, by_gate, U);
    if (!segment.x) continue;
    const float* rows[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) rows[r] = d[r] + segment.begin;
    if (!by_gate) {
      add_products(sums, rows, segment.width, panel + segment.target * V * W);
      continue;
    }
    Vec share[R][V];
    set_zero(share);
    add_products(share, rows, segment.width, panel + segment.target * V * W);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int64_t feature = (begin + v) * W;
        const float* factor = factors[r] + segment.gate * F + feature;
        sums[r][v] = fma(share[r][v], load(factor, lanes(F - feature)), sums[r][v]);
      }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int64_t feature = (begin + v) * W;
      store(d_x[r] + feature, sums[r][v], lanes(F - feature));
    }
}

// d_inputs of the pending steps; members share them.
template <class Equations>
void add_inputs(const Job& job, const Pending& pending, int64_t member) {
  const Forward& call = job.call;
  const int64_t K = gates_of(call.cell) * call.units, all = vectors(call.features);
  const int64_t first = pending.number * member / job.members, last = pending.number * (member + 1) / job.members;
  for (int64_t begin = 0; begin < all; begin += 4) {
    const float* panel = job.transposed_kernel + begin * W * K;
    with_constant<4>(all - begin < 4 ? all - begin : 4, [&](auto count) {
      constexpr int V = count.value, MOST = V <= 2 ? MANY_ROWS : BLOCK_ROWS;
      in_row_blocks<MOST>(last - first, [&](auto rows, int64_t row) {
        const float* const* factors = pending.input_dropout ? pending.input_dropout + first + row : nullptr;
        inputs_tile<Equations, rows.value, V>(
            job, pending.d + first + row, factors, pending.d_x + first + row, begin, panel);
      });
    });
  }
}

template <class Equations>
void add_pending(const Job& job, Pending& pending, int64_t member, float* sums) {
  if (pending.number == 0) return;
  const Backward& gradient = job.gradient;
  if (gradient.d_kernel || gradient.d_recurrent_kernel || gradient.d_bias)
    for_panels<Equations>(job.call, [&](const Panel& panel, int64_t number) {
      if (number % job.members == member)
        with_constant<4>(vectors(panel.width),
                         [&](auto count) { add_panel<count.value>(job, pending, panel, sums + panel.offset); });
    });
  if (gradient.d_inputs) add_inputs<Equations>(job, pending, member);
  pending.number = 0;
}

// The weight gradients: sums of all groups, added up and put in place.
template <class Equations>
void reduce_sums(const Job& job, int64_t part, int64_t parts) {
  const Backward& gradient = job.gradient;
  const int64_t F = job.call.features, U = job.call.units, columns = gates_of(job.call.cell) * U;
  for_panels<Equations>(job.call, [&](const Panel& panel, int64_t number) {
    if (number % parts != part) return;
    const Segment& segment = panel.segment;
    const int64_t all = vectors(panel.width), shift = panel.begin - segment.begin;
    for (int64_t input = 0; input < panel.inputs; ++input) {
      float* to = nullptr;
      float* second = nullptr;
      int64_t number_of = input;
      if (input == panel.inputs - 1) {
        if (gradient.d_bias) {
          to = gradient.d_bias + segment.bias + shift;
          if (segment.bias_2 >= 0) second = gradient.d_bias + segment.bias_2 + shift;
        }
      } else if (segment.x && input < F) {
        if (gradient.d_kernel) to = gradient.d_kernel + input * columns + segment.target + shift;
      } else {
        number_of -= segment.x ? F : 0;
        if (gradient.d_recurrent_kernel) to = gradient.d_recurrent_kernel + number_of * columns + segment.target + shift;
      }
      if (!to) continue;
      for (int64_t v = 0; v < all; ++v) {
        Vec sum = zero();
        for (int64_t group = 0; group < job.group_count; ++group)
          sum = sum + load(reinterpret_cast<const float*>(job.shared + group * job.shared_bytes) + panel.offset +
                           (input * all + v) * W);
        const Lanes real = lanes(panel.width - v * W);
        store(to + v * W, sum, real);
        if (second) store(second + v * W, sum, real);
      }
    }
  });
}

}  // namespace sostenuto::SOSTENUTO_TARGET
