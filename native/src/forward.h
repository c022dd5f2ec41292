// Runs the rows of a group through all their steps, all slots side by side.

#pragma once

#include "scratch.h"
#include "slots.h"

namespace sostenuto::SOSTENUTO_TARGET {

// What the register blocks of one tick read and write: an entry per busy slot.
struct Tick {
  const float** x;          // (F,), or one for each gate
  const float** h;          // (U,) the state before
  const float** product_h;  // the same, times the recurrent dropout; or one for each gate
  const float** dropout;    // (U,); the pointer to all is null without dropout
  const float** c;          // (U,), LSTM
  float** new_h;            // (U,)
  float** new_c;            // (U,), LSTM
  float** saved;            // planes of (U,), to be kept for backward
  float** work;             // GRU with reset before: z and r * h where nothing is saved
  bool by_gate;             // whether gates have dropout of their own; then from one gate's row to the next's:
  int64_t x_stride;
  int64_t h_stride;
};

struct ForwardMemory {
  Tick tick;
  Slot* slots;
  float* masked_h;  // product_h
  float* masked_x;  // x, where gates have dropout of their own

  ForwardMemory(const Job& job, int64_t number, Cut& cut) {
    cut.take_all(number, tick.x, tick.h, tick.product_h, tick.c, tick.new_h, tick.new_c, tick.saved, tick.work, slots);
    const bool dropout = job.call.recurrent_dropout != nullptr;
    tick.dropout = dropout ? cut.take<const float*>(number) : nullptr;
    tick.by_gate = job.call.dropout_by_gate;
    tick.h_stride = dropout ? vectors(job.call.units) * W : 0;
    tick.x_stride = tick.by_gate && job.call.input_dropout ? vectors(job.call.features) * W : 0;
    const int64_t gates = tick.by_gate ? gates_of(job.call.cell) : 1;
    masked_h = dropout ? cut.take<float>(number * gates * tick.h_stride) : nullptr;
    masked_x = tick.x_stride ? cut.take<float>(number * gates * tick.x_stride) : nullptr;
  }
};

// What the members of a group have in common.
struct ForwardStates {
  float* h;     // two of each slot, used in turn, where outputs are not wanted
  float* c;     // LSTM, where nothing is saved
  float* work;  // GRU with reset before, where nothing is saved

  ForwardStates(const Job& job, int64_t number, Cut& cut) {
    const int64_t size = number * vectors(job.call.units) * W;
    const bool saved = job.call.saved != nullptr;
    h = job.call.outputs ? nullptr : cut.take<float>(2 * size);
    c = job.call.cell == Cell::lstm && !saved ? cut.take<float>(size) : nullptr;
    work = job.call.cell == Cell::gru_reset_before && !saved ? cut.take<float>(2 * size) : nullptr;
  }
};

// A masked step repeats the output before it in the order of the run.
SOSTENUTO_NOINLINE inline void fill_masked(const Job& job, int64_t number, const Share& share) {
  const Forward& call = job.call;
  const Layout& layout = call.layout;
  const Row& row = job.rows[number];
  if (!call.outputs || layout.offsets || row.length == layout.steps) return;
  const int64_t U = call.units, T = layout.steps;
  float* outputs = call.outputs + number * T * U;
  const float* before = call.initial_h ? call.initial_h + number * U : job.zeros;
  if (!row.positions) {  // the first `length` steps are real
    const float* from = layout.reverse ? before : outputs + (row.length - 1) * U;
    for (int64_t step = row.length; step < T; ++step) copy(outputs + step * U, from, share);
    return;
  }
  const uint8_t* mask = layout.mask + number * T;
  for (int64_t turn = 0; turn < T; ++turn) {
    const int64_t step = layout.reverse ? T - 1 - turn : turn;
    if (mask[step])
      before = outputs + step * U;
    else
      copy(outputs + step * U, before, share);
  }
}

template <class Equations, bool SAVE>
void run_forward(const Job& job, int64_t group_number, int64_t member) {
  const Forward& call = job.call;
  const Group& group = job.groups[group_number];
  const int64_t F = call.features, U = call.units, padded = vectors(U) * W, planes = saved_planes(call.cell) * U;
  const int64_t gates = call.dropout_by_gate ? gates_of(call.cell) : 1;
  const Share share = share_of(call.units, member, job.members);
  Cut own(job.scratch + (group_number * job.members + member) * job.scratch_bytes);
  Cut common(job.shared + group_number * job.shared_bytes);
  ForwardMemory memory(job, group.slots, own);
  ForwardStates states(job, group.slots, common);
  Tick& tick = memory.tick;

  for (int64_t i = 0; i < group.slots; ++i) {
    hold(memory.slots[i], job, group, group.rows_begin[i]);
    memory.slots[i].step = 0;
  }
  int64_t busy = group.slots, saved_step = group.saved_begin, saved_before = 0;
  for (int64_t turn = 0; busy > 0; ++turn) {
    for (int64_t i = 0; i < busy; ++i) {
      const Slot& slot = memory.slots[i];
      const int64_t step = place(*slot.shape, slot.step);
      tick.x[i] = call.inputs + step * F;
      if (slot.step + 1 < slot.length) {
        const float* next = call.inputs + place(*slot.shape, slot.step + 1) * F;
        for (int64_t f = 0; f < F; f += 16) prefetch(next + f);
      }
      tick.new_h[i] = call.outputs ? call.outputs + step * U : states.h + ((turn & 1) * group.slots + i) * padded;
      if (SAVE) tick.saved[i] = job.step_saved(saved_step + i, planes);
      if (states.work) tick.work[i] = states.work + 2 * i * padded;
      if constexpr (Equations::has_c) tick.new_c[i] = SAVE ? tick.saved[i] + 4 * U : states.c + i * padded;
      if (slot.step == 0) {
        tick.h[i] = call.initial_h ? call.initial_h + slot.row * U : job.zeros;
        tick.c[i] = call.initial_c ? call.initial_c + slot.row * U : job.zeros;
        if (tick.dropout) tick.dropout[i] = call.recurrent_dropout + slot.row * gates * U;
      } else {
        tick.h[i] = call.outputs ? call.outputs + place(*slot.shape, slot.step - 1) * U
                                 : states.h + (((turn & 1) ^ 1) * group.slots + i) * padded;
        if constexpr (Equations::has_c)
          tick.c[i] = SAVE ? job.step_saved(saved_before + i, planes) + 4 * U : states.c + i * padded;
      }
      tick.product_h[i] = tick.h[i];
      if (tick.dropout) {
        float* masked = memory.masked_h + i * gates * padded;
        multiply_gates(tick.h[i], tick.dropout[i], gates, U, masked);
        tick.product_h[i] = masked;
      }
      if (tick.x_stride) {
        float* masked = memory.masked_x + i * gates * tick.x_stride;
        multiply_gates(tick.x[i], call.input_dropout + slot.row * gates * F, gates, F, masked);
        tick.x[i] = masked;
      }
    }
    Equations::template forward<SAVE>(job, group_number, tick, busy, share);
    if (job.members > 1) meet(job.meetings[group_number], job.members);

    for (int64_t i = 0; i < busy; ++i) {
      Slot& slot = memory.slots[i];
      if (++slot.step < slot.length) continue;
      if (call.last_h) copy(call.last_h + slot.row * U, tick.new_h[i], share);
      if (call.last_c) copy(call.last_c + slot.row * U, tick.new_c[i], share);
      fill_masked(job, slot.row, share);
      slot.step = 0;
      if (slot.at + 1 < group.rows_begin[i + 1])
        hold(slot, job, group, slot.at + 1);
      else
        slot.shape = nullptr;
    }
    saved_before = saved_step;
    saved_step += busy;
    while (busy > 0 && !memory.slots[busy - 1].shape) --busy;
  }
}

}  // namespace sostenuto::SOSTENUTO_TARGET
