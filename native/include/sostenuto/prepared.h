// Weights packed once, for calls that come one after the other: the steps of a live session.
//
// Legend as in recurrence.h. The bits of a row do not depend on the other rows, the number of steps in a call, or
// threads, and are those that forward() gives without `saved`. Objects may be used by several threads at once.

#pragma once

#include <memory>

#include "sostenuto/recurrence.h"

namespace sostenuto {

class PreparedCell {
 public:
  // Copies the weights; what they point to may be gone afterwards.
  PreparedCell(Cell cell, int64_t features, int64_t units, const Weights& weights);
  ~PreparedCell();
  PreparedCell(PreparedCell&&) noexcept;

  // As sostenuto::forward(); cell, features, units and weights of the call are taken from here.
  void forward(Forward call) const;

  // One step of B rows: inputs (B, F); h and new_h (B, U), not the same memory; c and new_c (B, U), LSTM only, may be
  // the same.
  void step(int64_t rows, const float* inputs, const float* h, const float* c, float* new_h, float* new_c) const;

 private:
  struct Packed;
  std::unique_ptr<Packed> packed_;
};

// inputs @ kernel + bias.
class PreparedDense {
 public:
  // kernel (F, U); bias (U,) or null. Copies them.
  PreparedDense(int64_t features, int64_t units, const float* kernel, const float* bias);
  ~PreparedDense();
  PreparedDense(PreparedDense&&) noexcept;

  // inputs (B, F), outputs (B, U).
  void run(int64_t rows, const float* inputs, float* outputs) const;

 private:
  struct Packed;
  std::unique_ptr<Packed> packed_;
};

}  // namespace sostenuto
