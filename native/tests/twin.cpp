#include "twin.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace sostenuto::twin {
namespace {

using Numbers = std::vector<double>;

double sigmoid(double x) { return 0.5 + 0.5 * std::tanh(0.5 * x); }
double slope_of_sigmoid(double value) { return value * (1 - value); }
double slope_of_tanh(double value) { return 1 - value * value; }

// Steps of a row in memory, in the order of the run.
std::vector<int64_t> order_of(const Layout& layout, int64_t row) {
  int64_t begin = layout.offsets ? layout.offsets[row] : row * layout.steps;
  int64_t end = layout.offsets ? layout.offsets[row + 1] : begin + layout.steps;
  std::vector<int64_t> order;
  for (int64_t step = begin; step < end; ++step) order.push_back(step);
  if (layout.reverse) std::reverse(order.begin(), order.end());
  return order;
}

bool is_real(const Layout& layout, int64_t step) { return !layout.mask || layout.mask[step] != 0; }

struct States {
  std::vector<float> h, c;  // (U,); c is zeros but for the LSTM
};

// What a real step remembers for the way back.
struct Remembered {
  int64_t step = 0;
  States before;
  Numbers gates;  // (G * U,), after their activations
  Numbers met;    // (G * U,), h as it meets the recurrent kernel of each gate: times the dropout
  Numbers inner;  // (U,), LSTM: tanh(c'); gru_reset_after: met R_h + d_h; gru_reset_before: r * met
};

// One row of a call: its weights, inputs and states by index.
class Row {
 public:
  Row(const Forward& call, int64_t row)
      : call_(call), row_(row), units_(call.units), width_(gates_of(call.cell) * call.units) {}

  States initial() const {
    States states{std::vector<float>(units_), std::vector<float>(units_)};
    for (int64_t u = 0; u < units_; ++u) {
      if (call_.initial_h) states.h[u] = call_.initial_h[row_ * units_ + u];
      if (call_.initial_c && call_.cell == Cell::lstm) states.c[u] = call_.initial_c[row_ * units_ + u];
    }
    return states;
  }

  double dropout(int64_t column) const {
    if (!call_.recurrent_dropout) return 1.0;
    return call_.recurrent_dropout[call_.dropout_by_gate ? row_ * width_ + column : row_ * units_ + column % units_];
  }

  double input_dropout(int64_t k, int64_t column) const {
    if (!call_.input_dropout || !call_.dropout_by_gate) return 1.0;
    return call_.input_dropout[(row_ * (width_ / units_) + column / units_) * call_.features + k];
  }

  // Runs one real step: changes the states to those after it.
  Remembered advance(int64_t step, States& states) const {
    Remembered now{step, states, Numbers(width_), Numbers(width_), Numbers(units_)};
    for (int64_t column = 0; column < width_; ++column) now.met[column] = states.h[column % units_] * dropout(column);
    switch (call_.cell) {
      case Cell::lstm: lstm(now, states); break;
      case Cell::gru_reset_after:
      case Cell::gru_reset_before: gru(now, states); break;
      case Cell::simple_rnn: simple_rnn(now, states); break;
    }
    return now;
  }

 private:
  // x K + b for a column, which is gate * U + unit.
  double of_input(int64_t step, int64_t column) const {
    double sum = call_.weights.bias ? call_.weights.bias[column] : 0.0;
    for (int64_t k = 0; k < call_.features; ++k) {
      double x = call_.inputs[step * call_.features + k] * input_dropout(k, column);
      sum += x * call_.weights.kernel[k * width_ + column];
    }
    return sum;
  }

  // met R for a column; met is (G * U,), or (U,) where it is that of the column's gate alone.
  double of_state(const Numbers& met, int64_t column) const {
    const double* own = met.data() + (int64_t(met.size()) == width_ ? column / units_ * units_ : 0);
    double sum = 0;
    for (int64_t k = 0; k < units_; ++k) sum += own[k] * call_.weights.recurrent_kernel[k * width_ + column];
    return sum;
  }

  // The second row of gru_reset_after's bias.
  double recurrent_bias(int64_t column) const {
    bool has_one = call_.cell == Cell::gru_reset_after && call_.weights.bias;
    return has_one ? call_.weights.bias[width_ + column] : 0.0;
  }

  void lstm(Remembered& now, States& states) const {
    for (int64_t u = 0; u < units_; ++u) {
      for (int gate = 0; gate < 4; ++gate) {
        int64_t column = gate * units_ + u;
        double sum = of_input(now.step, column) + of_state(now.met, column);
        now.gates[column] = gate == 2 ? std::tanh(sum) : sigmoid(sum);
      }
      double i = now.gates[u], f = now.gates[units_ + u], g = now.gates[2 * units_ + u], o = now.gates[3 * units_ + u];
      double c = f * now.before.c[u] + i * g;
      now.inner[u] = std::tanh(c);
      states.c[u] = float(c);
      states.h[u] = float(o * now.inner[u]);
    }
  }

  void gru(Remembered& now, States& states) const {
    bool after = call_.cell == Cell::gru_reset_after;
    for (int64_t column = 0; column < 2 * units_; ++column) {
      double sum = of_input(now.step, column) + of_state(now.met, column) + recurrent_bias(column);
      now.gates[column] = sigmoid(sum);
    }
    const double* r = &now.gates[units_];
    for (int64_t u = 0; u < units_; ++u) {
      int64_t column = 2 * units_ + u;
      now.inner[u] = after ? of_state(now.met, column) + recurrent_bias(column) : r[u] * now.met[column];
    }
    for (int64_t u = 0; u < units_; ++u) {
      int64_t column = 2 * units_ + u;
      double z = now.gates[u];
      double of_h = after ? r[u] * now.inner[u] : of_state(now.inner, column);
      double g = std::tanh(of_input(now.step, column) + of_h);
      now.gates[column] = g;
      states.h[u] = float(z * now.before.h[u] + (1 - z) * g);
    }
  }

  void simple_rnn(Remembered& now, States& states) const {
    for (int64_t u = 0; u < units_; ++u) {
      now.gates[u] = std::tanh(of_input(now.step, u) + of_state(now.met, u));
      states.h[u] = float(now.gates[u]);
    }
  }

  const Forward& call_;
  int64_t row_, units_, width_;
};

// Sums over all rows, rounded once at the end.
struct Gradients {
  Numbers kernel, recurrent_kernel, bias;
};

// The way back through one row.
class RowBack {
 public:
  RowBack(const Backward& call, int64_t row, Gradients& sums)
      : back_(call), call_(call.forward), row_(row), units_(call_.units), width_(gates_of(call_.cell) * units_),
        forth_(call_, row), sums_(sums), d_h_(units_), d_c_(units_), d_input_side_(width_), d_state_side_(width_) {}

  void run() {
    std::vector<int64_t> order = order_of(call_.layout, row_);
    std::vector<Remembered> tape;
    States states = forth_.initial();
    for (int64_t step : order) {
      if (is_real(call_.layout, step)) tape.push_back(forth_.advance(step, states));
    }
    for (int64_t u = 0; u < units_; ++u) {
      if (back_.d_last_h) d_h_[u] = back_.d_last_h[row_ * units_ + u];
      if (back_.d_last_c) d_c_[u] = back_.d_last_c[row_ * units_ + u];
    }
    for (auto step = order.rbegin(); step != order.rend(); ++step) {
      for (int64_t u = 0; u < units_ && back_.d_outputs; ++u) d_h_[u] += back_.d_outputs[*step * units_ + u];
      if (is_real(call_.layout, *step)) {
        retreat(tape.back());
        tape.pop_back();
      } else if (back_.d_inputs) {
        std::fill_n(back_.d_inputs + *step * call_.features, call_.features, 0.0f);
      }
    }
    for (int64_t u = 0; u < units_; ++u) {
      if (back_.d_initial_h) back_.d_initial_h[row_ * units_ + u] = float(d_h_[u]);
      if (back_.d_initial_c) back_.d_initial_c[row_ * units_ + u] = float(d_c_[u]);
    }
  }

 private:
  // From the gradients of the states after a step to those of the states before it.
  void retreat(const Remembered& then) {
    switch (call_.cell) {
      case Cell::lstm: lstm(then); break;
      case Cell::gru_reset_after:
      case Cell::gru_reset_before: gru(then); break;
      case Cell::simple_rnn: simple_rnn(then); break;
    }
    to_weights_and_inputs(then);
  }

  void lstm(const Remembered& then) {
    for (int64_t u = 0; u < units_; ++u) {
      int64_t at_i = u, at_f = units_ + u, at_g = 2 * units_ + u, at_o = 3 * units_ + u;
      double i = then.gates[at_i], f = then.gates[at_f], g = then.gates[at_g], o = then.gates[at_o];
      double d_c = d_c_[u] + d_h_[u] * o * slope_of_tanh(then.inner[u]);
      d_input_side_[at_i] = d_c * g * slope_of_sigmoid(i);
      d_input_side_[at_f] = d_c * then.before.c[u] * slope_of_sigmoid(f);
      d_input_side_[at_g] = d_c * i * slope_of_tanh(g);
      d_input_side_[at_o] = d_h_[u] * then.inner[u] * slope_of_sigmoid(o);
      d_c_[u] = d_c * f;
      d_h_[u] = 0;
    }
    d_state_side_ = d_input_side_;
    through_recurrent_kernel(4);
  }

  void gru(const Remembered& then) {
    bool after = call_.cell == Cell::gru_reset_after;
    const double *z = &then.gates[0], *r = &then.gates[units_], *g = &then.gates[2 * units_];
    for (int64_t u = 0; u < units_; ++u) {
      d_input_side_[u] = d_h_[u] * (then.before.h[u] - g[u]) * slope_of_sigmoid(z[u]);
      d_input_side_[2 * units_ + u] = d_h_[u] * (1 - z[u]) * slope_of_tanh(g[u]);
      d_h_[u] *= z[u];
    }
    for (int64_t u = 0; u < units_; ++u) {
      double d_r = 0;
      if (after) {
        d_r = d_input_side_[2 * units_ + u] * then.inner[u];
      } else {
        double d_inner = 0;  // inner is r * h * dropout
        for (int64_t k = 0; k < units_; ++k) d_inner += d_input_side_[2 * units_ + k] * recurrent(u, 2 * units_ + k);
        d_r = d_inner * then.met[2 * units_ + u];
        d_h_[u] += d_inner * r[u] * forth_.dropout(2 * units_ + u);
      }
      d_input_side_[units_ + u] = d_r * slope_of_sigmoid(r[u]);
    }
    d_state_side_ = d_input_side_;
    for (int64_t u = 0; u < units_ && after; ++u) d_state_side_[2 * units_ + u] *= r[u];
    through_recurrent_kernel(after ? 3 : 2);
  }

  void simple_rnn(const Remembered& then) {
    for (int64_t u = 0; u < units_; ++u) {
      d_input_side_[u] = d_h_[u] * slope_of_tanh(then.gates[u]);
      d_h_[u] = 0;
    }
    d_state_side_ = d_input_side_;
    through_recurrent_kernel(1);
  }

  // Adds to d_h what comes by way of the first gates of the recurrent kernel.
  void through_recurrent_kernel(int gates) {
    for (int64_t u = 0; u < units_; ++u) {
      double sum = 0;
      for (int64_t column = 0; column < gates * units_; ++column) {
        sum += d_state_side_[column] * recurrent(u, column) * forth_.dropout(column / units_ * units_ + u);
      }
      d_h_[u] += sum;
    }
  }

  void to_weights_and_inputs(const Remembered& then) {
    const float* x = call_.inputs + then.step * call_.features;
    for (int64_t k = 0; k < call_.features; ++k) {
      double sum = 0;
      for (int64_t column = 0; column < width_; ++column) {
        double factor = forth_.input_dropout(k, column);
        sum += d_input_side_[column] * call_.weights.kernel[k * width_ + column] * factor;
        sums_.kernel[k * width_ + column] += x[k] * factor * d_input_side_[column];
      }
      if (back_.d_inputs) back_.d_inputs[then.step * call_.features + k] = float(sum);
    }
    for (int64_t column = 0; column < width_; ++column) {
      bool candidate_before = call_.cell == Cell::gru_reset_before && column >= 2 * units_;
      const double* met = candidate_before ? then.inner.data() : then.met.data() + column / units_ * units_;
      for (int64_t k = 0; k < units_; ++k) {
        sums_.recurrent_kernel[k * width_ + column] += met[k] * d_state_side_[column];
      }
      sums_.bias[column] += d_input_side_[column];
      if (call_.cell == Cell::gru_reset_after) sums_.bias[width_ + column] += d_state_side_[column];
    }
  }

  double recurrent(int64_t k, int64_t column) const { return call_.weights.recurrent_kernel[k * width_ + column]; }

  const Backward& back_;
  const Forward& call_;
  int64_t row_, units_, width_;
  Row forth_;
  Gradients& sums_;
  Numbers d_h_, d_c_;                    // (U,), gradients of the states after the step at hand
  Numbers d_input_side_, d_state_side_;  // (G * U,), gradients of x K + b and of met R + d
};

void write(const Numbers& sums, float* where) {
  for (size_t k = 0; k < sums.size() && where; ++k) where[k] = float(sums[k]);
}

}  // namespace

void forward(const Forward& call) {
  for (int64_t b = 0; b < call.layout.rows; ++b) {
    Row row(call, b);
    States states = row.initial();
    for (int64_t step : order_of(call.layout, b)) {
      if (is_real(call.layout, step)) row.advance(step, states);
      if (call.outputs) std::copy(states.h.begin(), states.h.end(), call.outputs + step * call.units);
    }
    if (call.last_h) std::copy(states.h.begin(), states.h.end(), call.last_h + b * call.units);
    if (call.last_c) std::copy(states.c.begin(), states.c.end(), call.last_c + b * call.units);
  }
}

void backward(const Backward& call) {
  int64_t width = gates_of(call.forward.cell) * call.forward.units;
  int64_t bias_rows = call.forward.cell == Cell::gru_reset_after ? 2 : 1;
  Gradients sums{Numbers(call.forward.features * width), Numbers(call.forward.units * width),
                 Numbers(bias_rows * width)};
  for (int64_t b = 0; b < call.forward.layout.rows; ++b) RowBack(call, b, sums).run();
  write(sums.kernel, call.d_kernel);
  write(sums.recurrent_kernel, call.d_recurrent_kernel);
  write(sums.bias, call.d_bias);
}

}  // namespace sostenuto::twin
