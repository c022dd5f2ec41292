#include "sostenuto/prepared.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "job.h"
#include "memory.h"
#include "run.h"
#include "targets.h"
#include "threads.h"

namespace sostenuto {

namespace {

// Floats on a cache line of their own, with room behind for what register blocks prefetch.
class Panels {
 public:
  explicit Panels(int64_t number) : size_((size_t(number) * sizeof(float) + 4096 + 63) / 64 * 64) {
    data_ = static_cast<float*>(std::aligned_alloc(64, size_));
    if (!data_) throw std::bad_alloc();
  }
  ~Panels() { std::free(data_); }
  Panels(const Panels&) = delete;
  Panels& operator=(const Panels&) = delete;

  float* data() const { return data_; }

 private:
  size_t size_;
  float* data_;
};

// Rows of a part: whole register blocks, a few parts for each thread.
int64_t rows_of_part(int64_t rows, int64_t threads, int64_t block_rows) {
  const int64_t each = (rows + 2 * threads - 1) / (2 * threads);
  return std::max((each + block_rows - 1) / block_rows, int64_t(2)) * block_rows;
}

}  // namespace

struct PreparedCell::Packed {
  const Kernels& kernels;
  Forward call;
  Panels panels;

  Packed(const Kernels& own, const Forward& shape) : kernels(own), call(shape), panels(own.panels_size(shape)) {
    Job job;
    job.call = shape;
    job.panels = panels.data();
    kernels.pack(job, 0, 1);
    call.weights = {};
  }
};

PreparedCell::PreparedCell(Cell cell, int64_t features, int64_t units, const Weights& weights) {
  Forward shape;
  shape.cell = cell;
  shape.features = features;
  shape.units = units;
  shape.weights = weights;
  packed_ = std::make_unique<Packed>(kernels_in_use(), shape);
}

PreparedCell::~PreparedCell() = default;
PreparedCell::PreparedCell(PreparedCell&&) noexcept = default;

void PreparedCell::forward(Forward call) const {
  call.cell = packed_->call.cell;
  call.features = packed_->call.features;
  call.units = packed_->call.units;
  if (call.units > 0) run_forward(call, packed_->kernels, packed_->panels.data());
}

void PreparedCell::step(
    int64_t rows, const float* inputs, const float* h, const float* c, float* new_h, float* new_c) const {
  const Forward& call = packed_->call;
  if (rows == 0 || call.units == 0) return;
  struct Step {
    Job job;
    StepRows rows;
    const Kernels& kernels;
    int64_t number;
    int64_t part_rows;
  } step{Job{}, {inputs, h, c, new_h, new_c}, packed_->kernels, rows, 0};
  step.job.call = call;
  step.job.panels = packed_->panels.data();
  // Two vectors of units for each row wait between the two parts of a step.
  const bool waits = call.cell == Cell::gru_reset_before;
  Memory memory(waits ? size_t(rows) * 2 * size_t(call.units + 16) * sizeof(float) : 0);
  step.job.scratch = memory.data();

  const double work = 2.0 * gates_of(call.cell) * double(call.units) * double(call.features + call.units) * double(rows);
  const auto run = [](void* context, int64_t part) {
    const Step& step = *static_cast<const Step*>(context);
    const int64_t begin = part * step.part_rows;
    step.kernels.step(step.job, step.rows, begin, std::min(begin + step.part_rows, step.number));
  };
  if (rows < 2 * step.kernels.block_rows || work < 5e5) {
    step.part_rows = rows;
    run(&step, 0);
    return;
  }
  Crew crew = Crew::for_short_call(work);
  step.part_rows = crew.size() == 1 ? rows : rows_of_part(rows, crew.size(), step.kernels.block_rows);
  crew.run((rows + step.part_rows - 1) / step.part_rows, run, &step);
}

struct PreparedDense::Packed {
  const Kernels& kernels;
  Panels panels;
  Dense dense;

  Packed(int64_t features, int64_t units, const float* kernel, const float* bias)
      : kernels(kernels_in_use()), panels(kernels.dense_size(features, units)), dense{features, units, panels.data()} {
    kernels.pack_dense(features, units, kernel, bias, panels.data());
  }
};

PreparedDense::PreparedDense(int64_t features, int64_t units, const float* kernel, const float* bias)
    : packed_(std::make_unique<Packed>(features, units, kernel, bias)) {}

PreparedDense::~PreparedDense() = default;
PreparedDense::PreparedDense(PreparedDense&&) noexcept = default;

void PreparedDense::run(int64_t rows, const float* inputs, float* outputs) const {
  struct Run {
    const Packed& packed;
    const float* inputs;
    float* outputs;
    int64_t number;
    int64_t part_rows;
  } run{*packed_, inputs, outputs, rows, rows};
  const auto part = [](void* context, int64_t part) {
    const Run& run = *static_cast<const Run*>(context);
    const int64_t begin = part * run.part_rows;
    run.packed.kernels.dense(run.packed.dense, run.inputs, run.outputs, begin, std::min(begin + run.part_rows, run.number));
  };
  if (rows == 0) return;
  const int64_t block_rows = packed_->kernels.block_rows;
  const double work = 2.0 * double(packed_->dense.units) * double(packed_->dense.features) * double(rows);
  if (rows < 2 * block_rows || work < 5e5) return part(&run, 0);
  Crew crew = Crew::for_short_call(work);
  if (crew.size() > 1) run.part_rows = rows_of_part(rows, crew.size(), block_rows);
  crew.run((rows + run.part_rows - 1) / run.part_rows, part, &run);
}

}  // namespace sostenuto
