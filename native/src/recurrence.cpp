// One call: makes the plan, cuts the memory, lets the threads run the kernels.

#include "sostenuto/recurrence.h"

#include <algorithm>
#include <cstring>

#include "job.h"
#include "memory.h"
#include "plan.h"
#include "run.h"
#include "targets.h"
#include "threads.h"

namespace sostenuto {

namespace {

// What backward must repeat, at the head of Forward::saved.
struct SavedHead {
  int64_t groups;
  int64_t block_rows;
};
constexpr int64_t HEAD_FLOATS = 16;

struct Shares {
  int64_t groups;
  int64_t members;
};

double products(const Forward& call, int64_t steps) {
  return 2.0 * double(gates_of(call.cell)) * double(call.units) * double(call.features + call.units) * double(steps);
}

// Few rows cannot keep several threads busy with register blocks of their own, and each thread would read all weights:
// they share the units instead.
bool splits_units(const Forward& call, int64_t rows) { return rows <= 16 && call.units >= 128; }

Shares shares_of(const Forward& call, const Plan& plan, int64_t threads) {
  const int64_t rows = int64_t(plan.rows.size() - plan.empty.size());
  if (threads > 1 && splits_units(call, rows)) return {1, std::min<int64_t>(threads, call.units / 128 + 1)};
  return {std::max<int64_t>(1, std::min(threads, rows)), 1};
}

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

void empty_rows_forward(const Forward& call, const Plan& plan) {
  const size_t size = size_t(call.units) * sizeof(float);
  const auto put = [&](float* to, const float* from) { from ? std::memcpy(to, from, size) : std::memset(to, 0, size); };
  for (const int32_t row : plan.empty) {
    const float* h = call.initial_h ? call.initial_h + row * call.units : nullptr;
    const float* c = call.initial_c ? call.initial_c + row * call.units : nullptr;
    if (call.last_h) put(call.last_h + row * call.units, h);
    if (call.last_c) put(call.last_c + row * call.units, c);
    if (call.outputs && !call.layout.offsets)
      for (int64_t step = 0; step < call.layout.steps; ++step)
        put(call.outputs + (row * call.layout.steps + step) * call.units, h);
  }
}

void empty_rows_backward(const Backward& gradient, const Plan& plan) {
  const Forward& call = gradient.forward;
  const int64_t U = call.units, F = call.features, T = call.layout.steps;
  for (const int64_t row : plan.empty) {
    if (gradient.d_initial_h) {
      float* to = gradient.d_initial_h + row * U;
      for (int64_t unit = 0; unit < U; ++unit) {
        float sum = gradient.d_last_h ? gradient.d_last_h[row * U + unit] : 0.0f;
        if (gradient.d_outputs && !call.layout.offsets)
          for (int64_t step = 0; step < T; ++step) sum += gradient.d_outputs[(row * T + step) * U + unit];
        to[unit] = sum;
      }
    }
    if (gradient.d_initial_c)
      for (int64_t unit = 0; unit < U; ++unit)
        gradient.d_initial_c[row * U + unit] = gradient.d_last_c ? gradient.d_last_c[row * U + unit] : 0.0f;
    if (gradient.d_inputs && !call.layout.offsets)
      std::memset(gradient.d_inputs + row * T * F, 0, size_t(T * F) * sizeof(float));
  }
}

struct Run {
  const Job& job;
  const Kernels& kernels;
  int64_t parts;  // of the work that is not by group
};

// Parts of a run are members of groups, or just parts, by what is run.
template <void (*Kernels::*Kernel)(const Job&, int64_t, int64_t)>
void by_group(void* context, int64_t part) {
  const Run& run = *static_cast<const Run*>(context);
  (run.kernels.*Kernel)(run.job, part / run.job.members, part % run.job.members);
}

template <void (*Kernels::*Kernel)(const Job&, int64_t, int64_t)>
void by_part(void* context, int64_t part) {
  const Run& run = *static_cast<const Run*>(context);
  (run.kernels.*Kernel)(run.job, part, run.parts);
}

template <void (*Kernels::*Kernel)(const Job&, int64_t, int64_t)>
void run_groups(Crew& crew, Run& run) {
  const int64_t parts = run.job.group_count * run.job.members;
  if (run.job.members > 1)
    crew.run_together(parts, by_group<Kernel>, &run);
  else
    crew.run(parts, by_group<Kernel>, &run);
}

Plan& plan_of_thread() {
  static thread_local Plan plan;  // keeps its memory from call to call
  return plan;
}

// Cuts one block of memory into what a job needs.
struct Needs {
  size_t total = 0;
  size_t add(size_t bytes) {
    const size_t begin = total;
    total += aligned(bytes);
    return begin;
  }
};

int64_t zeros_needed(const Forward& call) { return 4 * (call.units + 16); }

void set_plan(Job& job, const Plan& plan, const Shares& shares) {
  job.rows = plan.rows.data();
  job.groups = plan.groups.data();
  job.group_count = int64_t(plan.groups.size());
  job.members = shares.members;
}

void set_memory(Job& job, Memory& memory, size_t zeros, size_t meetings, size_t scratch, size_t shared) {
  char* base = memory.data();
  std::memset(base + zeros, 0, size_t(zeros_needed(job.call)) * sizeof(float));
  job.zeros = reinterpret_cast<const float*>(base + zeros);
  std::memset(base + meetings, 0, sizeof(Meeting) * size_t(job.group_count));
  job.meetings = reinterpret_cast<Meeting*>(base + meetings);
  job.scratch = base + scratch;
  job.shared = base + shared;
}

}  // namespace

int64_t saved_size(Cell cell, int64_t steps_in_memory, int64_t units) {
  return HEAD_FLOATS + steps_in_memory * saved_planes(cell) * units;
}

void forward(const Forward& call) {
  if (call.units > 0) run_forward(call, kernels_in_use(), nullptr);
}

void run_forward(const Forward& call, const Kernels& kernels, float* packed) {
  Plan& plan = plan_of_thread();
  find_rows(call.layout, plan);
  empty_rows_forward(call, plan);
  const double work = products(call, plan.real_steps);
  Crew crew = call.saved ? Crew::for_training(work) : Crew::for_inference(work);
  const Shares shares = shares_of(call, plan, crew.size());
  pack_rows(shares.groups, kernels.block_rows, plan);
  if (call.saved) {
    const SavedHead head{shares.groups, kernels.block_rows};
    std::memcpy(call.saved, &head, sizeof head);
  }
  if (plan.groups.empty()) return;

  Job job;
  job.call = call;
  set_plan(job, plan, shares);
  job.scratch_bytes = kernels.forward_scratch(job, plan.most_slots);
  job.shared_bytes = kernels.forward_shared(job, plan.most_slots);
  Needs needs;
  const size_t zeros = needs.add(size_t(zeros_needed(call)) * sizeof(float));
  const size_t meetings = needs.add(sizeof(Meeting) * size_t(job.group_count));
  const size_t scratch = needs.add(job.scratch_bytes * size_t(job.group_count * job.members));
  const size_t shared = needs.add(job.shared_bytes * size_t(job.group_count));
  // Register blocks prefetch a little beyond the end of the panels.
  const size_t panels = needs.add(packed ? 0 : size_t(kernels.panels_size(call)) * sizeof(float) + 4096);
  Memory memory(needs.total);
  set_memory(job, memory, zeros, meetings, scratch, shared);
  job.panels = packed ? packed : reinterpret_cast<float*>(memory.data() + panels);

  Run run{job, kernels, crew.size()};
  if (!packed) crew.run(run.parts, by_part<&Kernels::pack>, &run);
  run_groups<&Kernels::forward>(crew, run);
}

void backward(const Backward& gradient) {
  const Forward& call = gradient.forward;
  if (call.units == 0) return;
  const Kernels& kernels = kernels_in_use();
  Plan& plan = plan_of_thread();
  find_rows(call.layout, plan);
  empty_rows_backward(gradient, plan);
  SavedHead head;
  std::memcpy(&head, call.saved, sizeof head);
  pack_rows(head.groups, head.block_rows, plan);
  Crew crew = Crew::for_training(2 * products(call, plan.real_steps));
  const bool split = head.groups == 1 && crew.size() > 1 && splits_units(call, int64_t(plan.rows.size() - plan.empty.size()));

  Job job;
  job.call = call;
  job.gradient = gradient;
  set_plan(job, plan, {head.groups, split ? std::min<int64_t>(crew.size(), call.units / 128 + 1) : 1});
  job.scratch_bytes = kernels.backward_scratch(job, plan.most_slots);
  job.shared_bytes = kernels.backward_shared(job, plan.most_slots);
  Needs needs;
  const size_t zeros = needs.add(size_t(zeros_needed(call)) * sizeof(float));
  const size_t meetings = needs.add(sizeof(Meeting) * size_t(job.group_count));
  const size_t scratch = needs.add(job.scratch_bytes * size_t(job.group_count * job.members));
  const size_t shared = needs.add(job.shared_bytes * size_t(job.group_count));
  const size_t transposed = needs.add(size_t(kernels.transposed_size(call)) * sizeof(float) + 4096);
  const size_t transposed_kernel =
      needs.add(gradient.d_inputs ? size_t(kernels.transposed_kernel_size(call)) * sizeof(float) + 4096 : 0);
  Memory memory(needs.total);
  set_memory(job, memory, zeros, meetings, scratch, shared);
  job.transposed = reinterpret_cast<float*>(memory.data() + transposed);
  job.transposed_kernel = reinterpret_cast<float*>(memory.data() + transposed_kernel);

  Run run{job, kernels, crew.size()};
  if (job.group_count > 0) {
    crew.run(run.parts, by_part<&Kernels::pack_transposed>, &run);
    run_groups<&Kernels::backward>(crew, run);
  }
  if (gradient.d_kernel || gradient.d_recurrent_kernel || gradient.d_bias)
    crew.run(run.parts, by_part<&Kernels::reduce>, &run);
}

}  // namespace sostenuto
