// The operations of a program and what one run of it needs; plain code, compiled once for all targets.

#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "sostenuto/prepared.h"
#include "sostenuto/program.h"

namespace sostenuto {

enum class Kind { input, tokens, embedding, recurrent, dense, normalization, affine, activation, combination };

struct Operation {
  Kind kind;
  int64_t width;
  bool per_step;
  std::vector<int> from;

  std::vector<float> numbers{};            // table; gamma and beta; center, scale and shift
  bool has_gamma = false, has_beta = false;
  float number = 0;                        // epsilon, or that of the activation
  int64_t size = 0;                        // of the table
  Activation activation{};
  Combination combination{};
  Cell cell{};
  bool last_only = false, masks_zero = false, zeros_masked = false;
  size_t state = 0;  // the place of h
  std::optional<PreparedCell> prepared_cell{};
  std::optional<PreparedDense> prepared_dense{};

  int slot = -1;  // where the result rests, if not in memory of the caller
};

// What one run needs, kept for the next one.
struct Spare {
  std::vector<float> memory;
  std::vector<const float*> results;  // of each operation
};

struct Program::Inside {
  std::vector<Operation> operations;
  std::vector<int64_t> state_units;
  std::vector<int64_t> slots;  // their widths
  Node output = -1;
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Spare>> spares;

  Node add(Operation operation);
  const Operation& at(Node node) const;
  void take_slots();

  std::unique_ptr<Spare> spare() const;
  void give_back(std::unique_ptr<Spare> used) const;
  void run(const Call& call) const;
  const float* run(const Operation& operation, const Call& call, int64_t rows, const float* const* results,
                   float* to) const;
  void look_up(const Operation& operation, int64_t rows, const int32_t* tokens, float* to) const;
  void combine_all(const Operation& operation, int64_t rows, const float* const* results, float* to) const;
  const float* recur(const Operation& operation, const Call& call, const float* inputs, float* to) const;
  void recur_masked(const Operation& operation, Forward forward, const Call& call, const float* inputs,
                    float* to) const;
};

}  // namespace sostenuto
