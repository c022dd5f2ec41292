// The twin's gradients against finite differences of its forward pass.

#include <cmath>

#include "check.h"
#include "problem.h"
#include "tests.h"
#include "twin.h"

namespace sostenuto::tests {
namespace {

double product(const Floats& a, const Floats& b) {
  double sum = 0;
  for (int64_t k = 0; k < a.size(); ++k) sum += double(a[k]) * b[k];
  return sum;
}

// What the gradients of a problem are gradients of.
double loss(const Problem& problem) {
  Results results = problem.results(false);
  twin::forward(problem.call(results));
  return product(problem.d_outputs, results.outputs) + product(problem.d_last_h, results.last_h) +
         product(problem.d_last_c, results.last_c);
}

// Central differences of fourth order; the step is a power of two, so that little is lost by adding it.
Floats differences(Problem& problem, Floats& parameters) {
  const float step = 1.0f / 64;
  Floats slopes(parameters.size());
  for (int64_t k = 0; k < parameters.size(); ++k) {
    const float before = parameters[k];
    auto at = [&](float shift) {
      parameters[k] = before + shift;
      return loss(problem);
    };
    slopes[k] = float((8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step));
    if (std::isnan(before)) slopes[k] = 0;  // a masked step
    parameters[k] = before;
  }
  return slopes;
}

void check_one(const Shape& shape) {
  Problem problem(shape);
  Results results = problem.results(false);
  Gradients gradients = problem.gradients();
  twin::backward(problem.call_back(results, gradients));
  auto compare = [&](const char* name, const Floats& got, Floats& parameters) {
    if (!got || !parameters) return;
    CHECK_NO_TROUBLE(difference(name, got, differences(problem, parameters), 1e-4), shape.text());
  };
  compare("d_inputs", gradients.inputs, problem.inputs);
  compare("d_kernel", gradients.kernel, problem.kernel);
  compare("d_recurrent_kernel", gradients.recurrent_kernel, problem.recurrent_kernel);
  compare("d_bias", gradients.bias, problem.bias);
  compare("d_initial_h", gradients.initial_h, problem.initial_h);
  compare("d_initial_c", gradients.initial_c, problem.initial_c);
}

}  // namespace

void check_twin() {
  uint32_t seed = 1;
  for (Cell cell : {Cell::lstm, Cell::gru_reset_after, Cell::gru_reset_before, Cell::simple_rnn}) {
    for (Rows kind : {Rows::dense, Rows::prefix, Rows::gaps, Rows::flat}) {
      for (int flags = 0; flags < 4; ++flags) {
        Shape shape;
        shape.cell = cell;
        shape.kind = kind;
        shape.rows = 4;
        shape.features = 3;
        shape.units = 4;
        shape.reverse = flags & 1;
        shape.dropout = flags & 2;
        shape.by_gate = flags & 1;
        shape.seed = seed++;
        check_one(shape);
      }
    }
  }
}

}  // namespace sostenuto::tests
