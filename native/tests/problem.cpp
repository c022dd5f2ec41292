#include "problem.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace sostenuto::tests {

Floats Random::floats(int64_t size, double low, double high) {
  Floats made(size);
  for (int64_t k = 0; k < size; ++k) made[k] = between(low, high);
  return made;
}

std::string Shape::text() const {
  static const char* cells[] = {"lstm", "gru_reset_after", "gru_reset_before", "simple_rnn"};
  static const char* kinds[] = {"dense", "prefix mask", "mask with gaps", "flat"};
  const char* kind_of_dropout = !dropout ? "" : by_gate ? ", dropout by gate" : ", dropout";
  char line[400];
  std::snprintf(line, sizeof line, "%s, %s, B %lld T %lld F %lld U %lld%s%s%s%s%s%s, seed %u", cells[int(cell)],
                kinds[int(kind)], (long long)rows, (long long)steps, (long long)features, (long long)units,
                reverse ? ", reverse" : "", initial_h ? ", initial_h" : "", initial_c ? ", initial_c" : "",
                bias ? ", bias" : "", kind_of_dropout, all_gradients ? "" : ", some gradients", seed);
  return line;
}

Problem::Problem(const Shape& wanted) : shape(wanted) {
  Random random(shape.seed);
  int64_t rows = shape.rows, features = shape.features, units = shape.units, width = gates_of(shape.cell) * units;

  if (shape.kind == Rows::flat) {
    offsets = Guarded<int64_t>(rows + 1);
    offsets[0] = 0;
    for (int64_t b = 0; b < rows; ++b) offsets[b + 1] = offsets[b] + random.below(shape.steps + 1);
  } else if (shape.kind != Rows::dense) {
    mask = Guarded<uint8_t>(rows * shape.steps);
    for (int64_t b = 0; b < rows; ++b) {
      // Some rows without any real step, some full; true is any number but 0.
      int64_t length = random.below(4) == 0 ? random.coin() * shape.steps : random.below(shape.steps + 1);
      for (int64_t t = 0; t < shape.steps; ++t) {
        bool real = shape.kind == Rows::prefix ? t < length : length != 0 && random.below(3) != 0;
        mask[b * shape.steps + t] = real ? uint8_t(1 + random.below(255)) : 0;
      }
    }
  }

  double of_features = 1 / std::sqrt(double(std::max<int64_t>(features, 1))), of_units = 1 / std::sqrt(double(units));
  kernel = random.floats(features * width, -of_features, of_features);
  recurrent_kernel = random.floats(units * width, -of_units, of_units);
  if (shape.bias) bias = random.floats((shape.cell == Cell::gru_reset_after ? 2 : 1) * width, -0.5, 0.5);
  inputs = random.floats(steps_in_memory() * features, -2, 2);
  for (int64_t step = 0; step < steps_in_memory() && mask; ++step) {
    float* x = inputs.data() + step * features;
    if (!mask[step]) std::fill_n(x, features, std::numeric_limits<float>::quiet_NaN());
  }
  if (shape.initial_h) initial_h = random.floats(rows * units, -1, 1);
  if (shape.initial_c && is_lstm()) initial_c = random.floats(rows * units, -2, 2);
  if (shape.dropout) {
    const int64_t gates = shape.by_gate ? gates_of(shape.cell) : 1;
    dropout = Floats(rows * gates * units);
    for (int64_t k = 0; k < dropout.size(); ++k) dropout[k] = random.below(3) == 0 ? 0.0f : 1.5f;
    if (shape.by_gate && random.coin()) {
      input_dropout = Floats(rows * gates * features);
      for (int64_t k = 0; k < input_dropout.size(); ++k) input_dropout[k] = random.below(3) == 0 ? 0.0f : 1.5f;
      if (random.coin()) dropout = Floats();
    }
  }

  auto given = [&] { return shape.all_gradients || random.coin(); };
  if (given()) d_outputs = random.floats(steps_in_memory() * units, -1, 1);
  if (given()) d_last_h = random.floats(rows * units, -1, 1);
  if (given() && is_lstm()) d_last_c = random.floats(rows * units, -1, 1);
  for (bool& each : wants) each = given();
  wants[3] = wants[3] && shape.bias;
  wants[5] = wants[5] && is_lstm();
  fingerprint_ = fingerprint();
}

Layout Problem::layout() const {
  return {shape.rows, offsets ? 0 : shape.steps, offsets.data(), mask.data(), shape.reverse};
}

Results Problem::results(bool training) const {
  Results made{Floats(steps_in_memory() * shape.units), Floats(shape.rows * shape.units), Floats(), Floats()};
  if (is_lstm()) made.last_c = Floats(shape.rows * shape.units);
  if (training) made.saved = Floats(saved_size(shape.cell, steps_in_memory(), shape.units));
  return made;
}

Gradients Problem::gradients() const {
  Gradients made;
  if (wants[0]) made.inputs = Floats(inputs.size());
  if (wants[1]) made.kernel = Floats(kernel.size());
  if (wants[2]) made.recurrent_kernel = Floats(recurrent_kernel.size());
  if (wants[3]) made.bias = Floats(bias.size());
  if (wants[4]) made.initial_h = Floats(shape.rows * shape.units);
  if (wants[5]) made.initial_c = Floats(shape.rows * shape.units);
  return made;
}

Forward Problem::call(Results& results) const {
  Forward made;
  made.cell = shape.cell;
  made.layout = layout();
  made.features = shape.features;
  made.units = shape.units;
  made.weights = {kernel.data(), recurrent_kernel.data(), bias.data()};
  made.inputs = inputs.data();
  made.initial_h = initial_h.data();
  made.initial_c = initial_c.data();
  made.recurrent_dropout = dropout.data();
  made.input_dropout = input_dropout.data();
  made.dropout_by_gate = shape.by_gate && shape.dropout;
  made.outputs = results.outputs.data();
  made.last_h = results.last_h.data();
  made.last_c = results.last_c.data();
  made.saved = results.saved.data();
  return made;
}

Backward Problem::call_back(Results& results, Gradients& gradients) const {
  Backward made;
  made.forward = call(results);
  made.d_outputs = d_outputs.data();
  made.d_last_h = d_last_h.data();
  made.d_last_c = d_last_c.data();
  made.d_inputs = gradients.inputs.data();
  made.d_kernel = gradients.kernel.data();
  made.d_recurrent_kernel = gradients.recurrent_kernel.data();
  made.d_bias = gradients.bias.data();
  made.d_initial_h = gradients.initial_h.data();
  made.d_initial_c = gradients.initial_c.data();
  return made;
}

uint64_t Problem::fingerprint() const {
  uint64_t sum = 14695981039346656037u;
  auto add = [&sum](const auto& array) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(array.data());
    for (size_t k = 0; k < array.size() * sizeof(array[0]); ++k) sum = (sum ^ bytes[k]) * 1099511628211u;
  };
  add(offsets);
  add(mask);
  for (const Floats* each : {&kernel, &recurrent_kernel, &bias, &inputs, &initial_h, &initial_c, &dropout,
                             &input_dropout, &d_outputs, &d_last_h, &d_last_c}) {
    add(*each);
  }
  return sum;
}

std::string Problem::damage() const {
  if (!offsets.canaries_live() || !mask.canaries_live()) return "wrote beside the offsets or the mask";
  for (const Floats* each : {&kernel, &recurrent_kernel, &bias, &inputs, &initial_h, &initial_c, &dropout,
                             &input_dropout, &d_outputs, &d_last_h, &d_last_c}) {
    if (!each->canaries_live()) return "wrote beside an array that is only read";
  }
  return fingerprint() == fingerprint_ ? "" : "wrote to an array that is only read";
}

std::string damage(const Results& results) {
  if (!results.outputs.canaries_live()) return "wrote beside outputs";
  if (!results.last_h.canaries_live()) return "wrote beside last_h";
  if (!results.last_c.canaries_live()) return "wrote beside last_c";
  return results.saved.canaries_live() ? "" : "wrote beside saved";
}

std::string damage(const Gradients& gradients) {
  if (!gradients.inputs.canaries_live()) return "wrote beside d_inputs";
  if (!gradients.kernel.canaries_live()) return "wrote beside d_kernel";
  if (!gradients.recurrent_kernel.canaries_live()) return "wrote beside d_recurrent_kernel";
  if (!gradients.bias.canaries_live()) return "wrote beside d_bias";
  if (!gradients.initial_h.canaries_live()) return "wrote beside d_initial_h";
  return gradients.initial_c.canaries_live() ? "" : "wrote beside d_initial_c";
}

std::string difference(const char* name, const Floats& got, const Floats& wanted, double tolerance) {
  int64_t wrong = 0, worst = 0;
  double largest = -1;
  for (int64_t k = 0; k < wanted.size(); ++k) {
    double a = got[k], b = wanted[k];
    bool both_odd = (std::isnan(a) && std::isnan(b)) || a == b;
    double apart = both_odd ? 0 : std::isfinite(a) && std::isfinite(b) ? std::fabs(a - b) : HUGE_VAL;
    wrong += apart > tolerance;
    if (apart > largest) largest = apart, worst = k;
  }
  if (wrong == 0) return "";
  char line[200];
  std::snprintf(line, sizeof line, "%s: %lld of %lld numbers wrong; [%lld] is %.9g, wanted %.9g within %.2g", name,
                (long long)wrong, (long long)wanted.size(), (long long)worst, got[worst], wanted[worst], tolerance);
  return line;
}

std::string difference(const Gradients& got, const Gradients& wanted) {
  auto compare = [](const char* name, const Floats& one, const Floats& other) {
    double largest = 0;
    for (int64_t k = 0; k < other.size(); ++k) largest = std::max(largest, double(std::fabs(other[k])));
    std::string trouble = difference(name, one, other, 2e-5 * largest + 1e-6);
    return trouble.empty() ? trouble : trouble + "; ";
  };
  return compare("d_inputs", got.inputs, wanted.inputs) + compare("d_kernel", got.kernel, wanted.kernel) +
         compare("d_recurrent_kernel", got.recurrent_kernel, wanted.recurrent_kernel) +
         compare("d_bias", got.bias, wanted.bias) + compare("d_initial_h", got.initial_h, wanted.initial_h) +
         compare("d_initial_c", got.initial_c, wanted.initial_c);
}

}  // namespace sostenuto::tests
