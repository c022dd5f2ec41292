// NaN and infinity.

#include <cmath>
#include <limits>

#include "check.h"
#include "problem.h"
#include "tests.h"
#include "twin.h"

namespace sostenuto::tests {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

int64_t count_nan(const Floats& numbers) {
  int64_t count = 0;
  for (int64_t k = 0; k < numbers.size(); ++k) count += std::isnan(numbers[k]);
  return count;
}

void compare_with_twin(const Problem& problem, const std::string& what) {
  Results wanted = problem.results(false);
  twin::forward(problem.call(wanted));
  on_every_target(2, [&](const std::string& where) {
    for (bool training : {false, true}) {
      Results got = problem.results(training);
      forward(problem.call(got));
      const std::string which = problem.shape.text() + ", " + what + (training ? ", saved; " : "; ") + where;
      CHECK_NO_TROUBLE(difference("outputs", got.outputs, wanted.outputs, 2e-6), which);
      CHECK_NO_TROUBLE(difference("last_h", got.last_h, wanted.last_h, 2e-6), which);
      CHECK_NO_TROUBLE(difference("last_c", got.last_c, wanted.last_c, 2e-6), which);
    }
  });
}

// One odd number in one real step of one row; every other row must come out as without it.
void check_input(const Shape& shape, float odd, const std::string& what) {
  Problem problem(shape);
  Random random(shape.seed + 1);
  int64_t step = random.below(problem.steps_in_memory());
  for (int64_t k = 0; k < problem.steps_in_memory() && problem.mask && !problem.mask[step]; ++k) {
    step = (step + 1) % problem.steps_in_memory();
  }
  problem.inputs[step * shape.features + random.below(shape.features)] = odd;
  compare_with_twin(problem, what + " in step " + std::to_string(step) + " of the inputs");
  Results results = problem.results(false);
  twin::forward(problem.call(results));
  CHECK(count_nan(results.outputs) < results.outputs.size(), shape.text() + ", " + what);
}

void check_weight(const Shape& shape, bool recurrent, float odd, const std::string& what) {
  Problem problem(shape);
  Random random(shape.seed + 2);
  Floats& weights = recurrent ? problem.recurrent_kernel : problem.kernel;
  weights[random.below(weights.size())] = odd;
  compare_with_twin(problem, what + (recurrent ? " in the recurrent kernel" : " in the kernel"));
}

}  // namespace

void check_odd_numbers() {
  Random random(77);
  for (Cell cell : {Cell::lstm, Cell::gru_reset_after, Cell::gru_reset_before, Cell::simple_rnn}) {
    for (Rows kind : {Rows::dense, Rows::prefix, Rows::gaps, Rows::flat}) {
      for (int64_t units : {1, 17, 40}) {
        Shape shape;
        shape.cell = cell;
        shape.kind = kind;
        shape.rows = 13;
        shape.steps = 6;
        shape.features = random.one_of<int64_t>({1, 7, 20});
        shape.units = units;
        shape.reverse = random.coin();
        shape.initial_h = random.coin();
        shape.dropout = random.coin();
        shape.by_gate = random.coin();
        shape.seed = uint32_t(random.below(1000000));
        check_input(shape, nan, "NaN");
        check_input(shape, infinity, "inf");
        check_input(shape, -infinity, "-inf");
        check_weight(shape, false, infinity, "inf");
        check_weight(shape, true, infinity, "inf");
        check_weight(shape, true, -infinity, "-inf");
      }
    }
  }
}

}  // namespace sostenuto::tests
