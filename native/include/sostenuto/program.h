// A whole model as a list of operations, for the steps of live sequences: flat values (N, F) in, flat outputs out.
//
// Legend as in recurrence.h; S is the number of states. The bits of a row do not depend on the other rows, on how its
// steps are cut into calls, or on threads. Made by one thread; then run() may be called by several at once.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sostenuto/recurrence.h"

namespace sostenuto {

// The sums of keras.activations; those that take a number are said.
enum class Activation : int {
  linear,
  tanh,
  sigmoid,
  relu,
  leaky_relu,   // negative slope
  relu6,
  elu,          // alpha
  selu,
  gelu,         // with the error function
  silu,
  softplus,
  softsign,
  exponential,
  hard_sigmoid,
  softmax,
  log_softmax,
};

enum class Combination : int { add, subtract, multiply, concatenate };

class Program {
 public:
  using Node = int;  // its number, in the order in which they are made

  Program();
  ~Program();

  // The inputs; one of the two, and first.
  Node input(int64_t features);  // (N, F) float
  Node tokens();                 // (N,) int32

  // table (size, width).
  Node embedding(Node tokens, int64_t size, int64_t width, const float* table);

  struct Recurrent {
    Cell cell = Cell::lstm;
    int64_t units = 0;
    Weights weights;
    bool last_only = false;     // (B, U), the output of the last step, in place of (N, U)
    bool masks_zero = false;    // steps whose token is 0 are no steps: they repeat the output before them
    bool zeros_masked = false;  // in place of which the output of such a step is 0
  };
  // Its states, h and with an LSTM c, take the next places in the order of states.
  Node recurrent(Node from, const Recurrent& what);

  Node dense(Node from, int64_t units, const float* kernel, const float* bias);  // (F, U); (U,) or null
  // (x - mean) / sqrt(variance + epsilon) * gamma + beta over the features of a row; gamma, beta (F,) or null.
  Node layer_normalization(Node from, float epsilon, const float* gamma, const float* beta);
  // (x - center) * scale + shift, (F,) each.
  Node affine(Node from, const float* center, const float* scale, const float* shift);
  Node activation(Node from, Activation what, float number);
  Node combine(Combination what, const std::vector<Node>& from);

  // What is the output. Nothing can be added afterwards.
  void finish(Node output);

  // All of these throw std::invalid_argument where the parts do not fit together.

  int64_t width_of(Node node) const;
  bool takes_tokens() const;
  int64_t features() const;        // of the input; 1 for tokens
  int64_t width() const;           // of the output
  bool per_step() const;           // whether the output is (N, width), or (B, width)
  const std::vector<int64_t>& state_units() const;  // (S,)

  struct Call {
    int64_t rows = 0;                  // B
    int64_t steps = 1;                 // T of every row; ignored where offsets are given
    const int64_t* offsets = nullptr;  // (B + 1,), rising from 0
    const void* values = nullptr;      // (N, F) float or (N,) int32
    const float* const* states = nullptr;  // S pointers to (B, U)
    float* const* new_states = nullptr;    // S pointers to (B, U), other memory than the states
    float* outputs = nullptr;              // (N, width) or (B, width)
  };

  // Throws std::out_of_range for a token that the table has not got.
  void run(const Call& call) const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace sostenuto
