// One call, cut into groups of rows: what the plain part (plan.cpp, recurrence.cpp) hands to the kernels of a target.
// Plain data only, for this header is compiled for every target.

#pragma once

#include <cstddef>
#include <cstdint>

#include "sostenuto/recurrence.h"

namespace sostenuto {

// Where the real steps of a row lie: step k of the run is step begin + (positions ? positions[k] : stride * k).
struct Row {
  int64_t begin = 0;
  int64_t length = 0;                  // real steps
  int64_t stride = 1;                  // -1: backwards
  const int32_t* positions = nullptr;  // (length,), for masks with gaps
};

// Rows that run together, several at a time: each slot holds one row after the other, so that a finished row makes room
// for the next and register blocks stay full. Slots are sorted by their number of steps, the longest first; those still
// busy are therefore the first ones, at every tick.
struct Group {
  int64_t slots = 0;
  const int32_t* rows = nullptr;           // all rows, slot by slot
  const int64_t* rows_begin = nullptr;     // (slots + 1,): the rows of a slot
  const int64_t* steps_of_slot = nullptr;  // (slots,)
  int64_t saved_begin = 0;                 // where the group begins in Forward::saved, in steps
};

// Where the members of a group wait for each other. Groups of one member never do.
struct Meeting {
  int32_t arrived = 0;
  uint32_t round = 0;
  char line[56];  // a cache line of its own
};

struct Job {
  Forward call;
  Backward gradient;  // used by backward() only
  const Row* rows = nullptr;
  const Group* groups = nullptr;
  int64_t group_count = 0;
  int64_t members = 1;  // threads that share a group, each with some of the units
  Meeting* meetings = nullptr;

  const float* zeros = nullptr;        // as many as any row of anything is long
  float* panels = nullptr;             // weights as the register blocks read them
  float* transposed = nullptr;         // backward: recurrent kernel for the gradient of h
  float* transposed_kernel = nullptr;  // backward: kernel for the gradient of the inputs
  char* scratch = nullptr;             // members * group_count parts of scratch_bytes each
  size_t scratch_bytes = 0;
  char* shared = nullptr;  // group_count parts of shared_bytes each
  size_t shared_bytes = 0;

  float* step_saved(int64_t step, int64_t size) const { return call.saved + 16 + step * size; }
};

// Floats per step in Forward::saved, divided by U.
constexpr int saved_planes(Cell cell) {
  return cell == Cell::lstm ? 5 : cell == Cell::simple_rnn ? 0 : 4;  // i f g o c; none; z r g and q, or r * h
}

// One step of many rows, whose arrays lie row by row.
struct StepRows {
  const float* inputs;
  const float* h;
  const float* c;
  float* new_h;
  float* new_c;
};

// inputs @ kernel + bias.
struct Dense {
  int64_t features;
  int64_t units;
  const float* panels;
};

// What a target offers.
struct Kernels {
  const char* name;
  int block_rows;  // rows that a register block holds: plans fill multiples of it

  int64_t (*panels_size)(const Forward&);  // floats
  void (*pack)(const Job&, int64_t part, int64_t parts);
  size_t (*forward_scratch)(const Job&, int64_t slots);
  size_t (*forward_shared)(const Job&, int64_t slots);
  void (*forward)(const Job&, int64_t group, int64_t member);

  int64_t (*transposed_size)(const Forward&);         // floats
  int64_t (*transposed_kernel_size)(const Forward&);  // floats
  void (*pack_transposed)(const Job&, int64_t part, int64_t parts);
  size_t (*backward_scratch)(const Job&, int64_t slots);
  size_t (*backward_shared)(const Job&, int64_t slots);
  void (*backward)(const Job&, int64_t group, int64_t member);
  void (*reduce)(const Job&, int64_t part, int64_t parts);  // weight gradients: the sum over groups

  void (*step)(const Job&, const StepRows&, int64_t begin, int64_t end);  // the rows begin .. end - 1
  int64_t (*dense_size)(int64_t features, int64_t units);                 // floats
  void (*pack_dense)(int64_t features, int64_t units, const float* kernel, const float* bias, float* panels);
  void (*dense)(const Dense&, const float* inputs, float* outputs, int64_t begin, int64_t end);

  void (*cross_entropy)(const float* logits, int64_t size, int64_t wanted, float* loss, float* kept);  // of one row
  void (*cross_entropy_gradient)(const float* logits, int64_t size, int64_t wanted, const float* kept, float d_loss,
                                 float* d_logits);
};

// Waits until all members of a group have come here.
void meet(Meeting& meeting, int64_t members);

}  // namespace sostenuto
