// Random programs, and beside each the same sums written out plainly in double: the oracle of check_program.cpp.

#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "problem.h"
#include "sostenuto/program.h"
#include "twin.h"

namespace sostenuto::tests {

using Numbers = std::vector<float>;

constexpr int64_t table_size = 7;

inline Numbers some(Random& random, int64_t size, double low = -1, double high = 1) {
  Numbers made(size);
  for (float& each : made) each = random.between(low, high);
  return made;
}

inline double activated(Activation what, double number, double x) {
  switch (what) {
    case Activation::tanh: return std::tanh(x);
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    case Activation::relu: return std::max(x, 0.0);
    case Activation::leaky_relu: return x < 0 ? number * x : x;
    case Activation::relu6: return std::min(std::max(x, 0.0), 6.0);
    case Activation::elu: return x > 0 ? x : number * std::expm1(x);
    case Activation::selu: return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x));
    case Activation::gelu: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::softplus: return x > 30 ? x : std::log1p(std::exp(x));
    case Activation::softsign: return x / (1 + std::fabs(x));
    case Activation::exponential: return std::exp(x);
    case Activation::hard_sigmoid: return std::min(std::max(x + 3, 0.0), 6.0) / 6;
    default: return x;
  }
}

inline void activate_row(Activation what, double number, int64_t width, float* row) {
  if (what != Activation::softmax && what != Activation::log_softmax) {
    for (int64_t k = 0; k < width; ++k) row[k] = float(activated(what, number, row[k]));
    return;
  }
  const double most = *std::max_element(row, row + width);
  double sum = 0;
  for (int64_t k = 0; k < width; ++k) sum += std::exp(row[k] - most);
  for (int64_t k = 0; k < width; ++k) {
    const double logarithm = row[k] - most - std::log(sum);
    row[k] = float(what == Activation::softmax ? std::exp(logarithm) : logarithm);
  }
}

// Everything that runs through a program, and the states.
struct Batch {
  std::vector<int64_t> offsets{0};
  Numbers values;                // (N, F)
  std::vector<int32_t> tokens;   // (N,)
  std::vector<Numbers> states;   // (B, U) each
  int64_t rows() const { return int64_t(offsets.size()) - 1; }
  int64_t steps() const { return offsets.back(); }
};

struct Outcome {
  Numbers outputs;
  std::vector<Numbers> states;
};

// A program, and beside it the same sums one by one.
class Both {
 public:
  Program program;

  explicit Both(uint32_t seed, bool tokens, bool masks_zero) : random_(seed), tokens_(tokens), masks_zero_(masks_zero) {
    const int64_t width = random_.one_of<int64_t>({1, 3, 16});
    Program::Node now = 0;
    if (tokens) {
      program.tokens();
      const Numbers table = some(random_, table_size * width);
      now = program.embedding(0, table_size, width, table.data());
      add(1, true, [](const Batch& batch, Outcome&) { return Numbers(batch.tokens.begin(), batch.tokens.end()); });
      add(width, true, [=](const Batch& batch, Outcome&) {
        Numbers made;
        for (const int32_t token : batch.tokens)
          made.insert(made.end(), table.begin() + token * width, table.begin() + (token + 1) * width);
        return made;
      });
    } else {
      now = program.input(width);
      add(width, true, [](const Batch& batch, Outcome&) { return batch.values; });
    }
    const int64_t layers = 1 + random_.below(7);
    for (int64_t k = 0; k < layers; ++k) now = layer(now, k == layers - 1);
    program.finish(now);
  }

  Batch batch(int64_t rows, int64_t most_steps, bool alike = false) {
    Batch made;
    for (int64_t row = 0; row < rows; ++row)
      made.offsets.push_back(made.offsets.back() + (alike ? most_steps : random_.below(most_steps + 1)));
    made.values = some(random_, made.steps() * widths_[0], -2, 2);
    for (int64_t step = 0; step < made.steps(); ++step) made.tokens.push_back(int32_t(random_.below(table_size)));
    for (const int64_t units : program.state_units()) made.states.push_back(some(random_, rows * units));
    return made;
  }

  Outcome expected(const Batch& batch) const {
    Outcome made;
    made.states = batch.states;
    results_.clear();
    for (const auto& each : sums_) results_.push_back(each(batch, made));
    made.outputs = results_.back();
    return made;
  }

  // As it lies, or as rows of as many steps each.
  Outcome got(const Batch& batch, bool padded = false) const {
    Outcome made;
    Program::Call call;
    call.rows = batch.rows();
    call.steps = padded && call.rows > 0 ? batch.steps() / call.rows : 0;
    call.offsets = padded ? nullptr : batch.offsets.data();
    call.values = tokens_ ? static_cast<const void*>(batch.tokens.data()) : batch.values.data();
    made.outputs.assign((program.per_step() ? batch.steps() : batch.rows()) * program.width(), NAN);
    call.outputs = made.outputs.data();
    std::vector<const float*> from;
    std::vector<float*> to;
    for (const Numbers& each : batch.states) made.states.emplace_back(each.size(), NAN);
    for (const Numbers& each : batch.states) from.push_back(each.data());
    for (Numbers& each : made.states) to.push_back(each.data());
    call.states = from.data();
    call.new_states = to.data();
    program.run(call);
    return made;
  }

  // Steps `from` to `to` of a row, from given states (1, U).
  Batch part(const Batch& batch, int64_t row, int64_t from, int64_t to, const std::vector<Numbers>& states) const {
    Batch made;
    const int64_t begin = batch.offsets[row] + from, end = batch.offsets[row] + to, width = widths_[0];
    made.offsets.push_back(to - from);
    made.values.assign(batch.values.begin() + begin * width, batch.values.begin() + end * width);
    made.tokens.assign(batch.tokens.begin() + begin, batch.tokens.begin() + end);
    made.states = states;
    return made;
  }

  std::vector<Numbers> states_of(const std::vector<Numbers>& states, int64_t row) const {
    std::vector<Numbers> made;
    for (size_t k = 0; k < states.size(); ++k) {
      const int64_t units = program.state_units()[k];
      made.emplace_back(states[k].begin() + row * units, states[k].begin() + (row + 1) * units);
    }
    return made;
  }

 private:
  using Sum = std::function<Numbers(const Batch&, Outcome&)>;

  void add(int64_t width, bool per_step, Sum sum) {
    widths_.push_back(width);
    per_step_.push_back(per_step);
    sums_.push_back(std::move(sum));
  }

  Program::Node layer(Program::Node from, bool may_be_last) {
    const int64_t width = widths_[from];
    const bool per_step = per_step_[from];
    const int64_t kind = random_.below(6);
    if (kind == 0 && per_step) return recurrent(from, may_be_last && random_.coin());
    if (kind == 1) return combination(from);
    if (kind == 2) {
      const Numbers gamma = some(random_, width), beta = some(random_, width);
      const bool has_gamma = random_.coin(), has_beta = random_.coin();
      add(width, per_step, [=](const Batch&, Outcome&) {
        Numbers made = results_[from];
        for (size_t begin = 0; begin < made.size(); begin += width) {
          double mean = 0, variance = 0;
          for (int64_t k = 0; k < width; ++k) mean += made[begin + k] / double(width);
          for (int64_t k = 0; k < width; ++k) variance += std::pow(made[begin + k] - mean, 2) / double(width);
          for (int64_t k = 0; k < width; ++k) {
            const double x = (made[begin + k] - mean) / std::sqrt(variance + 0.01);
            made[begin + k] = float(x * (has_gamma ? gamma[k] : 1) + (has_beta ? beta[k] : 0));
          }
        }
        return made;
      });
      return program.layer_normalization(from, 0.01f, has_gamma ? gamma.data() : nullptr,
                                         has_beta ? beta.data() : nullptr);
    }
    if (kind == 3) {
      const Numbers center = some(random_, width), scale = some(random_, width), shift = some(random_, width);
      add(width, per_step, [=](const Batch&, Outcome&) {
        Numbers made = results_[from];
        for (size_t k = 0; k < made.size(); ++k)
          made[k] = (made[k] - center[k % width]) * scale[k % width] + shift[k % width];
        return made;
      });
      return program.affine(from, center.data(), scale.data(), shift.data());
    }
    if (kind == 4) {
      const auto what = Activation(random_.below(int64_t(Activation::log_softmax) + 1));
      add(width, per_step, [=](const Batch&, Outcome&) {
        Numbers made = results_[from];
        for (size_t begin = 0; begin < made.size(); begin += width) activate_row(what, 0.3, width, made.data() + begin);
        return made;
      });
      return program.activation(from, what, 0.3f);
    }
    const int64_t units = random_.one_of<int64_t>({1, 5, 16, 33});
    const Numbers kernel = some(random_, width * units), bias = some(random_, units);
    const bool has_bias = random_.coin();
    add(units, per_step, [=](const Batch&, Outcome&) {
      const Numbers& x = results_[from];
      Numbers made;
      for (size_t begin = 0; begin < x.size(); begin += width)
        for (int64_t unit = 0; unit < units; ++unit) {
          double sum = has_bias ? bias[unit] : 0;
          for (int64_t k = 0; k < width; ++k) sum += double(x[begin + k]) * kernel[k * units + unit];
          made.push_back(float(sum));
        }
      return made;
    });
    return program.dense(from, units, kernel.data(), has_bias ? bias.data() : nullptr);
  }

  Program::Node combination(Program::Node from) {
    const int64_t width = widths_[from];
    const auto what = Combination(random_.below(4));
    std::vector<int> parts{from};
    const int first = tokens_ ? 1 : 0;
    while (parts.size() < 2 || (parts.size() < 4 && what != Combination::subtract && random_.coin())) {
      const int other = int(first + random_.below(int64_t(widths_.size()) - first));
      const bool fits = per_step_[other] == per_step_[from] &&
                        (what == Combination::concatenate || widths_[other] == width);
      parts.push_back(fits ? other : from);
    }
    int64_t whole = 0;
    for (const int part : parts) whole += widths_[part];
    if (what != Combination::concatenate) whole = width;
    add(whole, per_step_[from], [=](const Batch&, Outcome&) {
      Numbers made;
      const size_t rows = results_[from].size() / width;
      for (size_t row = 0; row < rows; ++row) {
        if (what == Combination::concatenate) {
          for (const int part : parts) {
            const auto begin = results_[part].begin() + row * widths_[part];
            made.insert(made.end(), begin, begin + widths_[part]);
          }
          continue;
        }
        for (int64_t k = 0; k < width; ++k) {
          float sum = results_[parts[0]][row * width + k];
          for (size_t part = 1; part < parts.size(); ++part) {
            const float x = results_[parts[part]][row * width + k];
            sum = what == Combination::add ? sum + x : what == Combination::subtract ? sum - x : sum * x;
          }
          made.push_back(sum);
        }
      }
      return made;
    });
    return program.combine(what, parts);
  }

  Program::Node recurrent(Program::Node from, bool last_only) {
    Program::Recurrent what;
    what.cell = Cell(random_.below(4));
    what.units = random_.one_of<int64_t>({1, 5, 17});
    what.last_only = last_only;
    what.masks_zero = tokens_ && masks_zero_;
    what.zeros_masked = random_.coin();
    const int64_t F = widths_[from], U = what.units, columns = gates_of(what.cell) * U;
    const Numbers kernel = some(random_, F * columns, -0.5, 0.5), recurrent = some(random_, U * columns, -0.5, 0.5);
    const Numbers bias = some(random_, 2 * columns);
    what.weights = {kernel.data(), recurrent.data(), random_.coin() ? bias.data() : nullptr};
    const bool has_bias = what.weights.bias;
    const size_t state = states_;
    const bool lstm = what.cell == Cell::lstm;
    states_ += lstm ? 2 : 1;
    const Program::Node node = program.recurrent(from, what);
    add(U, !last_only, [=](const Batch& batch, Outcome& outcome) {
      Numbers made;
      for (int64_t row = 0; row < batch.rows(); ++row) {
        for (int64_t step = batch.offsets[row]; step < batch.offsets[row + 1]; ++step) {
          float* h = outcome.states[state].data() + row * U;
          const bool masked = what.masks_zero && batch.tokens[step] == 0;
          if (!masked) {
            Forward one;
            one.cell = what.cell;
            one.layout.rows = one.layout.steps = 1;
            one.features = F;
            one.units = U;
            one.weights = {kernel.data(), recurrent.data(), has_bias ? bias.data() : nullptr};
            one.inputs = results_[from].data() + step * F;
            Numbers output(U), last_c(U);
            const Numbers first_h(h, h + U);
            float* c = lstm ? outcome.states[state + 1].data() + row * U : nullptr;
            one.initial_h = first_h.data();
            one.initial_c = c;
            one.outputs = output.data();
            one.last_c = lstm ? last_c.data() : nullptr;
            twin::forward(one);
            std::copy(output.begin(), output.end(), h);
            if (lstm) std::copy(last_c.begin(), last_c.end(), c);
          }
          if (last_only) continue;
          for (int64_t unit = 0; unit < U; ++unit) made.push_back(masked && what.zeros_masked ? 0 : h[unit]);
        }
      }
      return last_only ? outcome.states[state] : made;
    });
    return node;
  }

  Random random_;
  bool tokens_, masks_zero_;
  size_t states_ = 0;
  std::vector<int64_t> widths_;
  std::vector<bool> per_step_;
  std::vector<Sum> sums_;
  mutable std::vector<Numbers> results_;
};

}  // namespace sostenuto::tests
