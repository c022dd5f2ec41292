// Programs: their numbers against sums in double written out plainly, and the bits of their rows.

#include "sostenuto/program.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "program_twin.h"
#include "tests.h"

namespace sostenuto::tests {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

bool same_bits(const Numbers& a, const Numbers& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), sizeof(float) * a.size()) == 0);
}

bool same_bits(const Outcome& a, const Outcome& b) {
  bool same = same_bits(a.outputs, b.outputs) && a.states.size() == b.states.size();
  for (size_t k = 0; k < a.states.size() && same; ++k) same = same_bits(a.states[k], b.states[k]);
  return same;
}

std::string difference(const Numbers& got, const Numbers& wanted) {
  if (got.size() != wanted.size()) return "another size";
  for (size_t k = 0; k < got.size(); ++k) {
    const double error = std::fabs(double(got[k]) - wanted[k]);
    if (!(error <= 3e-5 * (1 + std::fabs(wanted[k]))))
      return "at " + std::to_string(k) + ": " + std::to_string(got[k]) + ", wanted " + std::to_string(wanted[k]);
  }
  return "";
}

void check_numbers(Both& both, const Batch& batch, const std::string& which) {
  const Outcome wanted = both.expected(batch), got = both.got(batch);
  CHECK_NO_TROUBLE(difference(got.outputs, wanted.outputs), which);
  for (size_t k = 0; k < wanted.states.size(); ++k)
    CHECK_NO_TROUBLE(difference(got.states[k], wanted.states[k]), which + ", state " + std::to_string(k));
}

// Each row alone, in pieces of any size: step by step where a piece is one step.
void check_bits(Both& both, const Batch& batch, Random& random, const std::string& which) {
  const Outcome whole = both.got(batch);
  const int64_t width = both.program.width();
  for (int64_t row = 0; row < batch.rows(); ++row) {
    std::vector<Numbers> states = both.states_of(batch.states, row);
    const int64_t steps = batch.offsets[row + 1] - batch.offsets[row];
    Numbers outputs;
    for (int64_t done = 0; done < steps || (steps == 0 && done == 0);) {
      const int64_t piece = steps == 0 ? 0 : std::min(steps - done, 1 + random.below(3));
      const Outcome part = both.got(both.part(batch, row, done, done + piece, states), random.coin());
      if (both.program.per_step()) outputs.insert(outputs.end(), part.outputs.begin(), part.outputs.end());
      else outputs = part.outputs;
      states = part.states;
      done += std::max<int64_t>(piece, 1);
    }
    const int64_t begin = both.program.per_step() ? batch.offsets[row] : row, size = int64_t(outputs.size());
    const Numbers wanted(whole.outputs.begin() + begin * width, whole.outputs.begin() + begin * width + size);
    CHECK(same_bits(outputs, wanted), which + ", outputs of row " + std::to_string(row));
    const std::vector<Numbers> ended = both.states_of(whole.states, row);
    for (size_t k = 0; k < ended.size(); ++k)
      CHECK(same_bits(states[k], ended[k]), which + ", states of row " + std::to_string(row));
  }
}

void check_alike(Both& both, const std::string& which) {
  for (const int64_t steps : {0, 1, 4}) {
    const Batch batch = both.batch(5, steps, true);
    CHECK(same_bits(both.got(batch), both.got(batch, true)), which + ", rows of " + std::to_string(steps) + " steps");
  }
}

void check_at_once(Both& both, const std::string& which) {
  const Batch batch = both.batch(9, 6);
  const Outcome alone = both.got(batch);
  bool right[4] = {true, true, true, true};
  std::vector<std::thread> crowd;
  for (bool& each : right)
    crowd.emplace_back([&] {
      for (int round = 0; round < 20; ++round) each = each && same_bits(both.got(batch), alone);
    });
  for (std::thread& each : crowd) each.join();
  CHECK(right[0] && right[1] && right[2] && right[3], which + ", four callers at once");
}

void check_activations(const std::string& where) {
  Program program;
  const int64_t width = 9;
  const Program::Node input = program.input(width);
  std::vector<Program::Node> parts;
  for (int what = 0; what < int(Activation::softmax); ++what)
    parts.push_back(program.activation(input, Activation(what), 0.5f));
  program.finish(program.combine(Combination::concatenate, parts));
  for (const float x : {0.0f, 1e-7f, -1e-7f, 0.5f, -0.5f, 3.0f, -3.0f, 7.5f, -20.0f, 80.0f, infinity, -infinity, NAN}) {
    const Numbers values(width, x);
    Numbers outputs(program.width());
    Program::Call call;
    call.rows = 1;
    call.values = values.data();
    call.outputs = outputs.data();
    program.run(call);
    for (int what = 0; what < int(Activation::softmax); ++what) {
      const std::string which = "activation " + std::to_string(what) + " of " + std::to_string(x) + "; " + where;
      const float wanted = float(activated(Activation(what), 0.5, x)), got = outputs[what * width];
      const bool no_sum = std::isnan(x) || (std::isinf(x) && std::isnan(wanted));
      const bool fits = no_sum ? std::isnan(x) == std::isnan(got) || std::isinf(x)
                               : got == wanted || std::fabs(got - wanted) <= 4e-7 * (std::fabs(wanted) + 1);
      CHECK(fits, which + ": " + std::to_string(got));
      for (int64_t k = 1; k < width; ++k)
        CHECK(std::memcmp(&outputs[what * width + k], &got, sizeof got) == 0, which + ", place " + std::to_string(k));
    }
  }
}

template <class Error, class Function>
bool throws(Function f) {
  try {
    f();
  } catch (const Error&) {
    return true;
  }
  return false;
}

void check_refusals() {
  using Trouble = std::invalid_argument;
  const Numbers ones(100, 1.0f);
  const std::string which = "a program that cannot be";
  Program program;
  CHECK(throws<Trouble>([&] { program.dense(0, 2, ones.data(), nullptr); }), which);
  program.input(3);
  CHECK(throws<Trouble>([&] { program.tokens(); }), which);
  CHECK(throws<Trouble>([&] { program.embedding(0, 2, 2, ones.data()); }), which);
  CHECK(throws<Trouble>([&] { program.activation(1, Activation::tanh, 0); }), which);
  const Program::Node dense = program.dense(0, 2, ones.data(), nullptr);
  CHECK(throws<Trouble>([&] { program.combine(Combination::add, {0, dense}); }), which);
  CHECK(throws<Trouble>([&] { program.combine(Combination::subtract, {0}); }), which);
  Program::Recurrent last;
  last.cell = Cell::simple_rnn;
  last.units = 2;
  last.last_only = true;
  last.weights = {ones.data(), ones.data(), nullptr};
  const Program::Node state = program.recurrent(dense, last);
  CHECK(throws<Trouble>([&] { program.recurrent(state, last); }), which);
  CHECK(throws<Trouble>([&] { program.combine(Combination::add, {dense, state}); }), which);
  program.finish(state);
  CHECK(throws<Trouble>([&] { program.dense(state, 2, ones.data(), nullptr); }), which);

  Program lookup;
  lookup.tokens();
  lookup.finish(lookup.embedding(0, 5, 2, ones.data()));
  Numbers outputs(2);
  for (const int32_t token : {-1, 5}) {
    Program::Call call;
    call.rows = 1;
    call.values = &token;
    call.outputs = outputs.data();
    CHECK(throws<std::out_of_range>([&] { lookup.run(call); }), "token " + std::to_string(token));
  }
}

}  // namespace

void check_program() {
  check_refusals();
  on_every_target(2, check_activations);
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    on_every_target(2, [&](const std::string& where) {
      Both both(seed, seed % 3 == 0, seed % 2 == 0);
      Random random(seed);
      const std::string which = "program " + std::to_string(seed) + "; " + where;
      const Batch batch = both.batch(1 + random.below(12), 7);
      check_numbers(both, batch, which);
      check_bits(both, batch, random, which);
      check_alike(both, which);
      if (seed % 10 == 0) check_at_once(both, which);
    });
  }
}

}  // namespace sostenuto::tests
