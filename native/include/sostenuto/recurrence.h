// One recurrent cell run over many sequences, forward and backward, in float32.
//
// Legend, here and in all of native/: B rows, T steps of a padded batch, N steps in memory (B * T padded, the sum of
// the lengths flat), F features, U units, G gates. Gates and states stand in the order of Keras: LSTM i, f, c, o with
// states h, c; GRU z, r, h with state h. All arrays are C-contiguous. Nothing here knows of Python.

#pragma once

#include <cstdint>

namespace sostenuto {

// The equations: src/sostenuto/cells/{lstm,gru,simple_rnn}.py; activations are tanh, recurrent ones the sigmoid.
enum class Cell : int { lstm = 0, gru_reset_after = 1, gru_reset_before = 2, simple_rnn = 3 };

// G.
constexpr int gates_of(Cell cell) { return cell == Cell::lstm ? 4 : cell == Cell::simple_rnn ? 1 : 3; }

// Where the steps of each row lie in memory, and which are real.
struct Layout {
  int64_t rows = 0;                  // B
  int64_t steps = 0;                 // T of a padded batch; ignored where offsets are given
  const int64_t* offsets = nullptr;  // (B + 1,): flat, row b is steps offsets[b] .. offsets[b + 1] - 1, all real;
                                     // null: padded, row b begins at step b * T
  const uint8_t* mask = nullptr;     // (B, T), padded only: not 0 for a real step, any pattern; null: all are real
  bool reverse = false;              // run every row from its last real step to its first

  int64_t steps_in_memory() const { return offsets ? offsets[rows] : rows * steps; }  // N
};

struct Weights {
  const float* kernel = nullptr;            // (F, G * U)
  const float* recurrent_kernel = nullptr;  // (U, G * U)
  const float* bias = nullptr;              // (G * U,); gru_reset_after (2, 3 * U); null: none
};

struct Forward {
  Cell cell = Cell::lstm;
  Layout layout;
  int64_t features = 0;  // F, may be 0
  int64_t units = 0;     // U
  Weights weights;
  const float* inputs = nullptr;             // (N, F); what stands at masked steps is never read
  const float* initial_h = nullptr;          // (B, U); null: zeros
  const float* initial_c = nullptr;          // (B, U), LSTM only; null: zeros
  // Multiplies h (GRU without reset_after: r * h for the candidate) wherever it meets the recurrent kernel: (B, U), or
  // (B, G, U) with dropout_by_gate; null: ones.
  const float* recurrent_dropout = nullptr;
  // Multiplies the inputs, with dropout_by_gate only: (B, G, F); null: ones. One factor for all gates is the caller's to
  // multiply with.
  const float* input_dropout = nullptr;
  bool dropout_by_gate = false;  // a factor of its own for each gate

  float* outputs = nullptr;  // (N, U); a masked step repeats the output before it in the order of the run, or
                             // initial_h ahead of the first. May be null where saved is null.
  float* last_h = nullptr;   // (B, U), or null
  float* last_c = nullptr;   // (B, U), LSTM only, or null
  float* saved = nullptr;    // what backward() needs, saved_size() floats; null: inference
};

struct Backward {
  Forward forward;  // as it was run: the same numbers, inputs, weights and initial states; outputs and saved as filled
                    // then. last_h and last_c are not read.
  const float* d_outputs = nullptr;  // (N, U), gradient of all outputs, masked steps included; null: zeros
  const float* d_last_h = nullptr;   // (B, U); null: zeros
  const float* d_last_c = nullptr;   // (B, U); null: zeros

  // Any of these may be null: not wanted. All are overwritten, never added to; d_inputs is 0 at masked steps.
  float* d_inputs = nullptr;            // (N, F)
  float* d_kernel = nullptr;            // (F, G * U)
  float* d_recurrent_kernel = nullptr;  // (U, G * U)
  float* d_bias = nullptr;              // like bias
  float* d_initial_h = nullptr;         // (B, U)
  float* d_initial_c = nullptr;         // (B, U)
};

// Number of floats in Forward::saved, for N steps in memory.
int64_t saved_size(Cell cell, int64_t steps_in_memory, int64_t units);

// Runs a batch. The bits of a row do not depend on the other rows, on padding, on threads, or on whether it is run in
// one call or in several with its states handed on. Safe to call from several threads at once.
void forward(const Forward& call);

// Gradients of what forward() computed. Sums over rows are taken in an order that depends on the number of threads.
void backward(const Backward& call);

// --- threads ----------------------------------------------------------------------------------------------------

// Threads that a call may use. At first: as many as the process may run on (affinity and cgroup quota).
int threads();

// number < 1: back to the default.
void set_threads(int number);

// Runs on the OpenMP threads that are already in the process (libgomp, found at run time) instead of threads of our
// own, which would compete with them; false where there is none.
bool use_openmp(bool wanted);

// --- targets ----------------------------------------------------------------------------------------------------

// The instruction set in use: "avx512", "avx2" or "generic".
const char* target();

// Takes another one, for tests; false where this processor or build has not got it.
bool set_target(const char* name);

}  // namespace sostenuto
