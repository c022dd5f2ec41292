// Running a program, operation by operation.

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "elementwise.h"
#include "program.h"

namespace sostenuto {

namespace {

// Buffers above this size are given back after the call: a long history should not stay in memory for ever.
constexpr size_t MOST_KEPT = size_t(1) << 24;  // floats
constexpr size_t MOST_SPARES = 8;

void copy(float* to, const float* from, int64_t number) {
  if (number > 0) std::memcpy(to, from, size_t(number) * sizeof(float));
}

// Steps of the batch without those whose token is 0, which are masked.
struct Compact {
  std::vector<int64_t> places;   // of the real steps in the batch
  std::vector<int64_t> offsets;  // (B + 1,)

  Compact(const Program::Call& call, const int32_t* tokens) {
    offsets.push_back(0);
    for (int64_t row = 0; row < call.rows; ++row) {
      const int64_t begin = call.offsets ? call.offsets[row] : row * call.steps;
      const int64_t end = call.offsets ? call.offsets[row + 1] : begin + call.steps;
      for (int64_t step = begin; step < end; ++step)
        if (tokens[step] != 0) places.push_back(step);
      offsets.push_back(int64_t(places.size()));
    }
  }
};

}  // namespace

void Program::run(const Call& call) const {
  if (inside_->output < 0) throw std::logic_error("a program is run before it is finished");
  inside_->run(call);
}

void Program::Inside::run(const Call& call) const {
  const int64_t steps = call.offsets ? call.offsets[call.rows] : call.rows * call.steps;
  std::unique_ptr<Spare> spare = this->spare();
  int64_t width = 0;
  for (const int64_t each : slots) width += each;
  const int64_t most_rows = std::max(steps, call.rows);
  if (int64_t(spare->memory.size()) < width * most_rows) spare->memory.resize(size_t(width * most_rows));

  const float** results = spare->results.data();
  for (size_t k = 0; k < operations.size(); ++k) {
    const Operation& operation = operations[k];
    float* to = call.outputs;
    if (int(k) != output && operation.slot >= 0) {
      int64_t before = 0;
      for (int slot = 0; slot < operation.slot; ++slot) before += slots[slot];
      to = spare->memory.data() + before * most_rows;
    }
    results[k] = run(operation, call, operation.per_step ? steps : call.rows, results, to);
  }
  const Operation& last = operations[output];
  const int64_t rows = last.per_step ? steps : call.rows;
  if (results[output] != call.outputs) copy(call.outputs, results[output], rows * last.width);
  give_back(std::move(spare));
}

const float* Program::Inside::run(const Operation& operation, const Call& call, int64_t rows,
                                  const float* const* results, float* to) const {
  const float* from = operation.from.empty() ? nullptr : results[operation.from[0]];
  const int64_t width = operation.width;
  const float* numbers = operation.numbers.data();
  switch (operation.kind) {
    case Kind::input:
    case Kind::tokens:
      return static_cast<const float*>(call.values);
    case Kind::embedding:
      look_up(operation, rows, static_cast<const int32_t*>(call.values), to);
      return to;
    case Kind::recurrent:
      return recur(operation, call, from, to);
    case Kind::dense:
      operation.prepared_dense->run(rows, from, to);
      return to;
    case Kind::normalization:
      normalize(operation.number, operation.has_gamma ? numbers : nullptr,
                operation.has_beta ? numbers + (operation.has_gamma ? width : 0) : nullptr, rows, width, from, to);
      return to;
    case Kind::affine:
      scale_and_shift(numbers, numbers + width, numbers + 2 * width, rows, width, from, to);
      return to;
    case Kind::activation:
      activate(operation.activation, operation.number, rows, width, from, to);
      return to;
    case Kind::combination:
      combine_all(operation, rows, results, to);
      return to;
  }
  return to;
}

std::unique_ptr<Spare> Program::Inside::spare() const {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (!spares.empty()) {
      std::unique_ptr<Spare> taken = std::move(spares.back());
      spares.pop_back();
      return taken;
    }
  }
  auto made = std::make_unique<Spare>();
  made->results.resize(operations.size());
  return made;
}

void Program::Inside::give_back(std::unique_ptr<Spare> used) const {
  if (used->memory.size() > MOST_KEPT) return;
  std::lock_guard<std::mutex> lock(mutex);
  if (spares.size() < MOST_SPARES) spares.push_back(std::move(used));
}

void Program::Inside::look_up(const Operation& operation, int64_t rows, const int32_t* tokens, float* to) const {
  for (int64_t row = 0; row < rows; ++row)
    if (tokens[row] < 0 || tokens[row] >= operation.size)
      throw std::out_of_range("token " + std::to_string(tokens[row]) + " is not in a table of " +
                              std::to_string(operation.size));
  for (int64_t row = 0; row < rows; ++row)
    copy(to + row * operation.width, operation.numbers.data() + tokens[row] * operation.width, operation.width);
}

void Program::Inside::combine_all(const Operation& operation, int64_t rows, const float* const* results,
                                  float* to) const {
  const int64_t width = operation.width;
  if (operation.combination == Combination::concatenate) {
    int64_t begin = 0;
    for (const int node : operation.from) {
      const int64_t own = operations[node].width;
      for (int64_t row = 0; row < rows; ++row) copy(to + row * width + begin, results[node] + row * own, own);
      begin += own;
    }
    return;
  }
  if (operation.from.size() == 1) return copy(to, results[operation.from[0]], rows * width);
  const float* sum = results[operation.from[0]];
  for (size_t k = 1; k < operation.from.size(); ++k, sum = to)
    combine_numbers(operation.combination, rows * width, sum, results[operation.from[k]], to);
}

const float* Program::Inside::recur(const Operation& operation, const Call& call, const float* inputs,
                                    float* to) const {
  const PreparedCell& cell = *operation.prepared_cell;
  const bool lstm = operation.cell == Cell::lstm;
  const size_t state = operation.state;
  const auto* tokens = static_cast<const int32_t*>(call.values);
  const int64_t steps = call.offsets ? call.offsets[call.rows] : call.rows * call.steps;
  const bool masked = operation.masks_zero && std::find(tokens, tokens + steps, 0) != tokens + steps;
  float* new_h = call.new_states[state];
  if (!call.offsets && call.steps == 1 && !masked) {
    cell.step(call.rows, inputs, call.states[state], lstm ? call.states[state + 1] : nullptr, new_h,
              lstm ? call.new_states[state + 1] : nullptr);
    return new_h;
  }
  Forward forward;
  forward.layout.rows = call.rows;
  forward.layout.steps = call.steps;
  forward.layout.offsets = call.offsets;
  forward.inputs = inputs;
  forward.initial_h = call.states[state];
  forward.last_h = new_h;
  if (lstm) {
    forward.initial_c = call.states[state + 1];
    forward.last_c = call.new_states[state + 1];
  }
  if (masked) {
    recur_masked(operation, forward, call, inputs, to);
  } else {
    forward.outputs = operation.last_only ? nullptr : to;
    cell.forward(forward);
  }
  return operation.last_only ? new_h : to;
}

void Program::Inside::recur_masked(const Operation& operation, Forward forward, const Call& call, const float* inputs,
                                   float* to) const {
  const int64_t F = operations[operation.from[0]].width, U = operation.width;
  const Compact real(call, static_cast<const int32_t*>(call.values));
  const int64_t number = int64_t(real.places.size());
  std::vector<float> real_inputs(size_t(number * F)), outputs(size_t(operation.last_only ? 0 : number * U) + 1);
  for (int64_t k = 0; k < number; ++k) copy(real_inputs.data() + k * F, inputs + real.places[k] * F, F);
  forward.layout.offsets = real.offsets.data();
  forward.inputs = real_inputs.data();
  forward.outputs = operation.last_only ? nullptr : outputs.data();
  operation.prepared_cell->forward(forward);
  if (operation.last_only) return;
  const auto* tokens = static_cast<const int32_t*>(call.values);
  for (int64_t row = 0, k = 0; row < call.rows; ++row) {
    const int64_t begin = call.offsets ? call.offsets[row] : row * call.steps;
    const int64_t end = call.offsets ? call.offsets[row + 1] : begin + call.steps;
    const float* before = forward.initial_h + row * U;
    for (int64_t step = begin; step < end; ++step) {
      if (tokens[step] != 0) before = outputs.data() + U * k++;
      if (tokens[step] == 0 && operation.zeros_masked)
        std::memset(to + step * U, 0, size_t(U) * sizeof(float));
      else
        copy(to + step * U, before, U);
    }
  }
}

}  // namespace sostenuto
