// The kernels against the twin.

#include <cstring>

#include "check.h"
#include "problem.h"
#include "tests.h"
#include "twin.h"

namespace sostenuto::tests {
namespace {

constexpr double tolerance = 2e-6;

void check_forward(const Problem& problem, const Results& wanted, const std::string& which) {
  Results without = problem.results(false), with = problem.results(true);
  forward(problem.call(without));
  forward(problem.call(with));
  for (const Results* got : {&without, &with}) {
    CHECK_NO_TROUBLE(damage(*got), which);
    CHECK_NO_TROUBLE(difference("outputs", got->outputs, wanted.outputs, tolerance), which);
    CHECK_NO_TROUBLE(difference("last_h", got->last_h, wanted.last_h, tolerance), which);
    CHECK_NO_TROUBLE(difference("last_c", got->last_c, wanted.last_c, tolerance), which);
  }
  CHECK_NO_TROUBLE(difference("outputs with saved", with.outputs, without.outputs, 1e-6), which);
  CHECK_NO_TROUBLE(difference("last_h with saved", with.last_h, without.last_h, 1e-6), which);
  CHECK_NO_TROUBLE(difference("last_c with saved", with.last_c, without.last_c, 1e-6), which);

  // Any of the results may be null, and that changes no bit of the others.
  const int subset = int(problem.shape.seed % 8);
  Results some = problem.results(false);
  if (subset & 1) some.outputs = Floats();
  if (subset & 2) some.last_h = Floats();
  if (subset & 4) some.last_c = Floats();
  forward(problem.call(some));
  CHECK_NO_TROUBLE(damage(some), which);
  CHECK(!some.outputs || same(some.outputs, without.outputs), which);
  CHECK(!some.last_h || same(some.last_h, without.last_h), which);
  CHECK(!some.last_c || same(some.last_c, without.last_c), which);
}

void check_backward(const Problem& problem, const Gradients& wanted, const std::string& which) {
  Results results = problem.results(true);
  forward(problem.call(results));
  const Results as_filled = results;
  Gradients got = problem.gradients();
  // Gradients overwrite what stood there.
  for (Floats* each : {&got.inputs, &got.kernel, &got.recurrent_kernel, &got.bias, &got.initial_h, &got.initial_c}) {
    for (int64_t k = 0; k < each->size(); ++k) (*each)[k] = 1e3f;
  }
  backward(problem.call_back(results, got));
  CHECK_NO_TROUBLE(damage(got), which);
  CHECK_NO_TROUBLE(damage(results), which);
  CHECK_NO_TROUBLE(difference(got, wanted), which);
  CHECK(same(results.outputs, as_filled.outputs) && same(results.last_h, as_filled.last_h), which);
}

void check_one(const Shape& shape) {
  const Problem problem(shape);
  Results results = problem.results(false);
  twin::forward(problem.call(results));
  Gradients gradients = problem.gradients();
  twin::backward(problem.call_back(results, gradients));
  on_every_target(3, [&](const std::string& where) {
    const std::string which = shape.text() + "; " + where;
    check_forward(problem, results, which);
    check_backward(problem, gradients, which);
    CHECK_NO_TROUBLE(problem.damage(), which);
  });
}

Shape any_shape(Random& random) {
  Shape shape;
  shape.cell = random.one_of<Cell>({Cell::lstm, Cell::gru_reset_after, Cell::gru_reset_before, Cell::simple_rnn});
  shape.kind = random.one_of<Rows>({Rows::dense, Rows::prefix, Rows::gaps, Rows::flat});
  shape.rows = random.one_of<int64_t>({1, 2, 7, 19});
  shape.steps = random.one_of<int64_t>({1, 2, 5, 11, 24});
  shape.features = random.one_of<int64_t>({0, 1, 7, 33});
  shape.units = random.one_of<int64_t>({1, 5, 16, 17, 40, 64});
  shape.reverse = random.coin();
  shape.initial_h = random.coin();
  shape.initial_c = random.coin();
  shape.bias = random.coin();
  shape.dropout = random.coin();
  shape.by_gate = random.coin();
  shape.all_gradients = random.coin();
  shape.seed = uint32_t(random.below(1000000));
  return shape;
}

void check_settings() {
  const std::string at_first = target();
  CHECK(!set_target("nonsense") && target() == at_first, "set_target");
  CHECK(set_target(at_first.c_str()) && target() == at_first, "set_target");
  CHECK(set_target("generic") && std::strcmp(target(), "generic") == 0, "set_target");
  set_target(at_first.c_str());
  const int by_default = threads();
  CHECK(by_default >= 1, "threads");
  set_threads(by_default + 2);
  CHECK(threads() == by_default + 2, "set_threads");
  set_threads(0);
  CHECK(threads() == by_default, "set_threads");
}

}  // namespace

void check_values() {
  check_settings();
  Random random(20240601);
  for (int k = 0; k < 400; ++k) check_one(any_shape(random));

  // The ends of what is possible, and sizes at which other ways of sharing the work may begin.
  const int64_t sizes[][4] = {{0, 5, 3, 8},  {3, 0, 3, 8},   {0, 0, 0, 1},    {1, 6, 9, 256},
                              {3, 5, 2, 200}, {16, 4, 5, 130}, {130, 7, 6, 16}, {6, 100, 3, 24}};
  for (Cell cell : {Cell::lstm, Cell::gru_reset_after, Cell::gru_reset_before, Cell::simple_rnn}) {
    for (const auto& size : sizes) {
      for (Rows kind : {Rows::prefix, Rows::flat}) {
        Shape shape = any_shape(random);
        shape.cell = cell;
        shape.kind = kind;
        shape.rows = size[0];
        shape.steps = size[1];
        shape.features = size[2];
        shape.units = size[3];
        check_one(shape);
      }
    }
  }
}

}  // namespace sostenuto::tests
