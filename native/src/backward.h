// Walks the rows of a group from their last step to their first, all slots side by side.

#pragma once

#include "gradients.h"

namespace sostenuto::SOSTENUTO_TARGET {

// Factors of the gates' shares of a gradient, (gates, U) for each row; null where they have none of their own.
struct GateFactors {
  const float* const* rows;
  int gates;
};

// What the register blocks of one turn read and write: an entry per busy slot.
struct Back {
  const float** d_after;    // gradients of the gates at the step after; zeros at the last
  const float** d_output;   // (U,)
  const float** extra;      // (U,) further gradient of h
  const float** saved;      // planes of (U,)
  const float** h_before;   // (U,)
  const float** product_h;  // the same, times the recurrent dropout
  const float** c_before;   // (U,), LSTM
  const float** output;     // (U,) what the step put out
  const float** dropout;    // (U,); the pointer to all is null without dropout
  float** carried;          // (U,) gradient of c (LSTM), or of h past the product (GRU), from step to step
  float** d;                // gradients of the gates
  bool* last;               // whether this is the last step of a row
  bool by_gate;             // whether gates have dropout of their own: (G, U) each

  GateFactors gates(int number) const { return {by_gate ? dropout : nullptr, number}; }
};

// Rows whose first step is done: the gradient of their initial h is still to be computed.
struct Ends {
  const float** d;
  const float** carried;
  const float** dropout;
  float** to;
  int64_t* rows;
  bool by_gate;
};

struct BackwardMemory {
  Back back;
  Ends ends;
  Pending pending;
  Slot* slots;
  float* masked_h;
  float* masked_x;

  BackwardMemory(const Job& job, int64_t number, Cut& cut) {
    const int64_t padded = vectors(job.call.units) * W, most = pending_limit(job.call.units) + number;
    const bool dropout = job.call.recurrent_dropout != nullptr;
    cut.take_all(number, back.d_after, back.d_output, back.extra, back.saved, back.h_before, back.product_h, back.c_before,
                 back.output, back.carried, back.d, back.last, ends.d, ends.carried, ends.to, ends.rows, slots);
    back.dropout = dropout ? cut.take<const float*>(number) : nullptr;
    ends.dropout = dropout ? cut.take<const float*>(number) : nullptr;
    cut.take_all(most, pending.x, pending.h, pending.reset_h, pending.d, pending.d_x);
    pending.columns = cut.take<float>(most * 4 * W);
    back.by_gate = ends.by_gate = job.call.dropout_by_gate;
    const int64_t gates = back.by_gate ? gates_of(job.call.cell) : 1;
    const bool input_dropout = back.by_gate && job.call.input_dropout;
    pending.h_stride = back.by_gate && dropout ? padded : 0;
    pending.x_stride = input_dropout ? vectors(job.call.features) * W : 0;
    masked_h = dropout ? cut.take<float>(most * gates * padded) : nullptr;
    masked_x = input_dropout ? cut.take<float>(most * gates * pending.x_stride) : nullptr;
    pending.input_dropout = input_dropout ? cut.take<const float*>(most) : nullptr;
    pending.moved = cut.take<const float*>(most);
  }
};

// What the members of a group have in common; the sums come first, where reduce_sums() finds them.
struct BackwardStates {
  float* sums;
  int64_t sums_size;
  float* carried;
  float* extra;
  float* folded;     // gradients of an output and of the masked steps that repeat it
  float* work;       // GRU with reset before
  float* gradients;  // of the gates: two rings, so that one may be read while the other is written
  int64_t ring;

  template <class Equations>
  BackwardStates(const Job& job, int64_t number, Cut& cut, Equations) {
    const int64_t padded = vectors(job.call.units) * W;
    sums_size = for_panels<Equations>(job.call, [](const Panel&, int64_t) {});
    sums = cut.take<float>(sums_size);
    carried = cut.take<float>(number * padded);
    extra = cut.take<float>(number * padded);
    folded = cut.take<float>(number * padded);
    work = job.call.cell == Cell::gru_reset_before ? cut.take<float>(number * padded) : nullptr;
    ring = (pending_limit(job.call.units) + number) * Equations::D * job.call.units;
    gradients = cut.take<float>(2 * ring);
  }
};

// The same as add_products, each gate's share times its factors.
template <int R, int V>
SOSTENUTO_NOINLINE void add_gates(Vec (&sums)[R][V], const float* const* d, GateFactors factors, int64_t K,
                                  const float* panel, int64_t size, int64_t begin) {
  for (int gate = 0; gate < factors.gates; ++gate) {
    const float* rows[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) rows[r] = d[r] + gate * K;
    Vec share[R][V];
    set_zero(share);
    add_products(share, rows, K, panel + gate * K * V * W);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int64_t unit = (begin + v) * W;
        sums[r][v] = fma(share[r][v], load(factors.rows[r] + gate * size + unit, lanes(size - unit)), sums[r][v]);
      }
  }
}

// One register block: gradients of the gates at the step after, through the recurrent kernel, and what to do with it.
template <int R, int V, class Finish>
SOSTENUTO_NOINLINE void back_tile(const float* const* d, GateFactors factors, int64_t K, const float* panel, bool product,
                                  int64_t U, int64_t begin, Finish finish) {
  Vec sums[R][V];
  set_zero(sums);
  if (product && !factors.rows) add_products(sums, d, K, panel);
  if (product && factors.rows) add_gates(sums, d, factors, K / factors.gates, panel, U, begin);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int64_t unit = (begin + v) * W;
      finish(r, sums[r][v], unit, lanes(U - unit));
    }
}

// All of them; finish_of(first row) makes what finishes a block. A block whose rows are all `last` needs no product.
template <class FinishOf>
SOSTENUTO_INLINE void back_tiles(const float* const* d, GateFactors factors, int64_t K, const float* panels, const bool* last, int64_t U,
                                 int64_t number, const Share& share, FinishOf finish_of) {
  for (int64_t begin = share.begin; begin < share.end; begin += 4) {
    const float* panel = panels + begin * W * K;
    with_constant<4>(share.end - begin < 4 ? share.end - begin : 4, [&](auto count) {
      in_row_blocks<BLOCK_ROWS>(number, [&](auto rows, int64_t row) {
        bool product = !last;
        for (int r = 0; last && r < rows.value; ++r) product = product || !last[row + r];
        const GateFactors own{factors.rows ? factors.rows + row : nullptr, factors.gates};
        back_tile<rows.value, count.value>(d + row, own, K, panel, product, U, begin, finish_of(row));
      });
    });
  }
}

struct StoreFirstState {
  const Ends& ends;
  int64_t row;

  SOSTENUTO_INLINE void operator()(int r, Vec sum, int64_t unit, Lanes real) const {
    if (ends.dropout && !ends.by_gate) sum = sum * load(ends.dropout[row + r] + unit, real);
    store(ends.to[row + r] + unit, sum + load(ends.carried[row + r] + unit, real), real);
  }
};

SOSTENUTO_INLINE void ends_tiles(
    const Ends& ends, int gates, int64_t K, const float* panels, int64_t U, int64_t number, const Share& share) {
  const GateFactors factors{ends.by_gate ? ends.dropout : nullptr, gates};
  back_tiles(ends.d, factors, K, panels, nullptr, U, number, share, [&](int64_t row) { return StoreFirstState{ends, row}; });
}

// Adds the gradients of the outputs at masked steps, in the order of the run: those that repeat the output of the real
// step `after`, or, for -1, the initial state.
inline void add_repeats(const Job& job, int64_t number, int64_t after, float* to, const Share& share) {
  const Layout& layout = job.call.layout;
  const Row& row = job.rows[number];
  if (!job.gradient.d_outputs || layout.offsets || row.length == layout.steps) return;
  const int64_t U = job.call.units, T = layout.steps;
  const float* from = job.gradient.d_outputs + number * T * U;
  if (!row.positions) {
    if (layout.reverse ? after != -1 : after != row.length - 1) return;
    for (int64_t step = row.length; step < T; ++step) add(to, from + step * U, share);
    return;
  }
  const uint8_t* mask = layout.mask + number * T;
  const int64_t stride = layout.reverse ? -1 : 1;
  int64_t step = after >= 0 ? row.positions[after] + stride : layout.reverse ? T - 1 : 0;
  for (; step >= 0 && step < T && !mask[step]; step += stride) add(to, from + step * U, share);
}

inline void set_masked_inputs_zero(const Job& job, int64_t number) {
  const Layout& layout = job.call.layout;
  const Row& row = job.rows[number];
  if (!job.gradient.d_inputs || layout.offsets || row.length == layout.steps) return;
  const int64_t F = job.call.features, T = layout.steps;
  float* to = job.gradient.d_inputs + number * T * F;
  if (!row.positions) {
    std::memset(to + row.length * F, 0, size_t((T - row.length) * F) * sizeof(float));
    return;
  }
  for (int64_t step = 0; step < T; ++step)
    if (!layout.mask[number * T + step]) std::memset(to + step * F, 0, size_t(F) * sizeof(float));
}

template <class Equations>
void run_backward(const Job& job, int64_t group_number, int64_t member) {
  const Forward& call = job.call;
  const Backward& gradient = job.gradient;
  const Group& group = job.groups[group_number];
  const int64_t F = call.features, U = call.units, padded = vectors(U) * W, planes = saved_planes(call.cell) * U;
  const int64_t width = Equations::D * U, limit = pending_limit(U);
  const int64_t gates = call.dropout_by_gate ? gates_of(call.cell) : 1;
  constexpr bool lstm = Equations::has_c;
  const Share share = share_of(call.units, member, job.members);
  Cut own(job.scratch + (group_number * job.members + member) * job.scratch_bytes);
  Cut common(job.shared + group_number * job.shared_bytes);
  BackwardMemory memory(job, group.slots, own);
  BackwardStates states(job, group.slots, common, Equations{});
  Back& back = memory.back;
  Ends& ends = memory.ends;
  Pending& pending = memory.pending;
  pending.number = 0;

  for_panels<Equations>(call, [&](const Panel& panel, int64_t number) {
    if (number % job.members == member)
      std::memset(states.sums + panel.offset, 0, size_t(panel.inputs * vectors(panel.width) * W) * sizeof(float));
  });
  int64_t saved_step = group.saved_begin;
  for (int64_t i = 0; i < group.slots; ++i) {
    hold(memory.slots[i], job, group, group.rows_begin[i + 1] - 1);
    memory.slots[i].step = memory.slots[i].length - 1;
    saved_step += group.steps_of_slot[i];
  }

  int64_t busy = 0, half = 0;
  float *ring = states.gradients, *after = nullptr;
  for (int64_t turn = group.steps_of_slot[0] - 1; turn >= 0; --turn) {
    while (busy < group.slots && group.steps_of_slot[busy] > turn) ++busy;
    int64_t busy_before = turn > 0 ? busy : 0;
    while (turn > 0 && busy_before < group.slots && group.steps_of_slot[busy_before] > turn - 1) ++busy_before;
    saved_step -= busy;

    for (int64_t i = 0; i < busy; ++i) {
      const Slot& slot = memory.slots[i];
      const int64_t step = place(*slot.shape, slot.step);
      float *carried = states.carried + i * padded, *extra = states.extra + i * padded;
      const bool last = slot.step == slot.length - 1;
      if (last) {
        float* start = Equations::carries_h ? carried : extra;
        if (gradient.d_last_h)
          copy(start, gradient.d_last_h + slot.row * U, share);
        else
          set_zero(start, share);
        if (!slot.shape->positions) add_repeats(job, slot.row, slot.step, start, share);
        if (lstm) {
          if (gradient.d_last_c)
            copy(carried, gradient.d_last_c + slot.row * U, share);
          else
            set_zero(carried, share);
        }
      }
      back.last[i] = last;
      back.d[i] = ring + i * width;
      back.d_after[i] = last ? job.zeros : after + i * width;
      back.saved[i] = job.step_saved(saved_step + i, planes);
      back.output[i] = call.outputs + step * U;
      back.carried[i] = carried;
      back.extra[i] = Equations::carries_h ? carried : last ? extra : job.zeros;
      if (!gradient.d_outputs) {
        back.d_output[i] = job.zeros;
      } else if (!slot.shape->positions) {
        back.d_output[i] = gradient.d_outputs + step * U;
      } else {
        float* folded = states.folded + i * padded;
        copy(folded, gradient.d_outputs + step * U, share);
        add_repeats(job, slot.row, slot.step, folded, share);
        back.d_output[i] = folded;
      }
      if (slot.step > 0) {
        const int64_t before = place(*slot.shape, slot.step - 1);
        back.h_before[i] = call.outputs + before * U;
        if (lstm) back.c_before[i] = job.step_saved(saved_step - busy_before + i, planes) + 4 * U;
        if (gradient.d_outputs)
          for (int64_t unit = share.first_unit; unit < share.last_unit; unit += 16)
            prefetch(gradient.d_outputs + before * U + unit);
        for (int64_t f = 0; f < F; f += 16) prefetch(call.inputs + before * F + f);
      } else {
        back.h_before[i] = call.initial_h ? call.initial_h + slot.row * U : job.zeros;
        back.c_before[i] = call.initial_c ? call.initial_c + slot.row * U : job.zeros;
      }
      back.product_h[i] = back.h_before[i];
      if (back.dropout) {
        back.dropout[i] = call.recurrent_dropout + slot.row * gates * U;
        float* masked = memory.masked_h + pending.number * gates * padded;
        multiply_gates(back.h_before[i], back.dropout[i], gates, U, masked);
        back.product_h[i] = masked;
      }
      pending.x[pending.number] = call.inputs + step * F;
      if (pending.input_dropout) {
        const float* factors = call.input_dropout + slot.row * gates * F;
        float* masked = memory.masked_x + pending.number * gates * pending.x_stride;
        multiply_gates(pending.x[pending.number], factors, gates, F, masked);
        pending.x[pending.number] = masked;
        pending.input_dropout[pending.number] = factors;
      }
      pending.h[pending.number] = back.product_h[i];
      pending.reset_h[pending.number] = back.saved[i] + 3 * U;
      pending.d[pending.number] = back.d[i];
      pending.d_x[pending.number] = gradient.d_inputs + step * F;
      ++pending.number;
    }
    Equations::backward(job, group_number, states.work, back, busy, share);
    if (job.members > 1) meet(job.meetings[group_number], job.members);

    int64_t ended = 0;
    for (int64_t i = 0; i < busy; ++i) {
      const Slot& slot = memory.slots[i];
      if (slot.step > 0) continue;
      if (gradient.d_initial_h) {
        ends.d[ended] = back.d[i];
        ends.carried[ended] = Equations::carries_h ? back.carried[i] : job.zeros;
        if (ends.dropout) ends.dropout[ended] = back.dropout[i];
        ends.to[ended] = gradient.d_initial_h + slot.row * U;
        ends.rows[ended] = slot.row;
        ++ended;
      }
      if (gradient.d_initial_c) copy(gradient.d_initial_c + slot.row * U, back.carried[i], share);
      if (member == 0) set_masked_inputs_zero(job, slot.row);
    }
    if (ended) {
      Equations::first_state(job, ends, ended, share);
      for (int64_t i = 0; i < ended; ++i) add_repeats(job, ends.rows[i], -1, ends.to[i], share);
    }
    for (int64_t i = 0; i < busy; ++i) {
      Slot& slot = memory.slots[i];
      if (--slot.step >= 0) continue;
      if (slot.at > group.rows_begin[i]) {
        hold(slot, job, group, slot.at - 1);
        slot.step = slot.length - 1;
      }
    }

    after = ring;
    ring += busy * width;
    if (pending.number >= limit || turn == 0) {
      add_pending<Equations>(job, pending, member, states.sums);
      half ^= 1;
      ring = states.gradients + half * states.ring;
    }
  }
}

}  // namespace sostenuto::SOSTENUTO_TARGET
