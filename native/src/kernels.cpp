// The kernels of one target: this file is compiled once for each, with SOSTENUTO_TARGET its name.

#include "cross_entropy.h"
#include "dense.h"
#include "gru.h"
#include "gru_reset_before.h"
#include "lstm.h"
#include "simple_rnn.h"
#include "step.h"

namespace sostenuto::SOSTENUTO_TARGET {

namespace {

template <class Function>
auto with_cell(Cell cell, Function&& f) {
  switch (cell) {
    case Cell::lstm: return f(Lstm{});
    case Cell::gru_reset_after: return f(Gru{});
    case Cell::gru_reset_before: return f(GruResetBefore{});
    default: return f(SimpleRnn{});
  }
}

int64_t panels_size(const Forward& call) {
  return with_cell(call.cell, [&](auto cell) { return decltype(cell)::panels_size(call); });
}

void pack(const Job& job, int64_t part, int64_t parts) {
  with_cell(job.call.cell, [&](auto cell) { decltype(cell)::pack(job, part, parts); });
}

size_t forward_scratch(const Job& job, int64_t slots) {
  Cut cut(nullptr);
  ForwardMemory(job, slots, cut);
  return cut.used();
}

size_t forward_shared(const Job& job, int64_t slots) {
  Cut cut(nullptr);
  ForwardStates(job, slots, cut);
  return cut.used();
}

void forward(const Job& job, int64_t group, int64_t member) {
  with_cell(job.call.cell, [&](auto cell) {
    if (job.call.saved)
      run_forward<decltype(cell), true>(job, group, member);
    else
      run_forward<decltype(cell), false>(job, group, member);
  });
}

int64_t transposed_size(const Forward& call) {
  return with_cell(call.cell, [&](auto cell) { return decltype(cell)::transposed_size(call); });
}

int64_t transposed_kernel_size(const Forward& call) {
  return vectors(call.features) * W * gates_of(call.cell) * call.units;
}

void pack_transposed(const Job& job, int64_t part, int64_t parts) {
  with_cell(job.call.cell, [&](auto cell) { decltype(cell)::pack_transposed(job, part, parts); });
  const int64_t columns = gates_of(job.call.cell) * job.call.units;
  if (job.gradient.d_inputs)
    transpose(job.call.weights.kernel, columns, 0, columns, job.call.features, part, parts, job.transposed_kernel);
}

size_t backward_scratch(const Job& job, int64_t slots) {
  Cut cut(nullptr);
  BackwardMemory(job, slots, cut);
  return cut.used();
}

size_t backward_shared(const Job& job, int64_t slots) {
  return with_cell(job.call.cell, [&](auto cell) {
    Cut cut(nullptr);
    BackwardStates(job, slots, cut, cell);
    return cut.used();
  });
}

void backward(const Job& job, int64_t group, int64_t member) {
  with_cell(job.call.cell, [&](auto cell) { run_backward<decltype(cell)>(job, group, member); });
}

void reduce(const Job& job, int64_t part, int64_t parts) {
  with_cell(job.call.cell, [&](auto cell) { reduce_sums<decltype(cell)>(job, part, parts); });
}

void step(const Job& job, const StepRows& rows, int64_t begin, int64_t end) {
  with_cell(job.call.cell, [&](auto cell) { run_step<decltype(cell)>(job, rows, begin, end); });
}

}  // namespace

#define SOSTENUTO_TEXT_OF(name) #name
#define SOSTENUTO_TEXT(name) SOSTENUTO_TEXT_OF(name)

extern const Kernels kernels;
const Kernels kernels = {
    SOSTENUTO_TEXT(SOSTENUTO_TARGET), BLOCK_ROWS,      panels_size,       pack,
    forward_scratch,                  forward_shared,  forward,           transposed_size,
    transposed_kernel_size,           pack_transposed, backward_scratch,  backward_shared,
    backward,                         reduce,          step,              dense_size,
    pack_dense,                       dense,           cross_entropy_row, cross_entropy_gradient_row,
};

}  // namespace sostenuto::SOSTENUTO_TARGET
