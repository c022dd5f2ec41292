// Programs for Python: arrays in, their sizes checked, and nothing computed here.
//
// Arrays are taken through the buffer protocol and nothing else: a step of a small model is under a microsecond, and takes
// six of them.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "sostenuto/program.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using sostenuto::Program;

constexpr int64_t AS_GIVEN = -1;  // rows: as many as there are values for
constexpr int64_t FEW_STEPS = 16;  // so few are not worth letting go of the GIL

// The numbers of an array, for as long as this lives.
class Numbers {
 public:
  Numbers() = default;
  Numbers(nb::handle array, const char* name, const char* formats, bool writable) {
    const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(array.ptr(), &view_, flags) != 0) throw nb::python_error();
    held_ = true;
    const char* format = view_.format ? view_.format : "B";
    if (*format == '=' || *format == '<') ++format;
    const bool known = format[0] != 0 && format[1] == 0 && std::strchr(formats, format[0]);
    if (!known || size_t(view_.itemsize) != size_of(formats)) {
      release();
      throw std::invalid_argument(std::string(name) + " has numbers of another kind than " + formats);
    }
  }
  Numbers(Numbers&& other) noexcept : view_(other.view_), held_(other.held_) { other.held_ = false; }
  Numbers& operator=(Numbers&& other) noexcept {
    std::swap(view_, other.view_);
    std::swap(held_, other.held_);
    return *this;
  }
  ~Numbers() { release(); }

  int64_t size() const { return held_ ? int64_t(view_.len / view_.itemsize) : 0; }
  int64_t axis(int number) const { return view_.ndim > number ? int64_t(view_.shape[number]) : 0; }
  template <class Number>
  Number* data() const { return held_ ? static_cast<Number*>(view_.buf) : nullptr; }

 private:
  static size_t size_of(const char* formats) { return formats[0] == 'q' ? 8 : 4; }
  void release() {
    if (held_) PyBuffer_Release(&view_);
    held_ = false;
  }

  Py_buffer view_{};
  bool held_ = false;
};

const char* const FLOATS = "f";
const char* const TOKENS = "il";
const char* const OFFSETS = "ql";

void need(bool fits, const char* name) {
  if (!fits) throw std::invalid_argument(std::string("the program got another size of ") + name);
}

Numbers floats(nb::handle array, const char* name, int64_t size) {
  Numbers numbers(array, name, FLOATS, false);
  need(numbers.size() == size, name);
  return numbers;
}

Numbers floats_or_none(nb::handle array, const char* name, int64_t size) {
  return array.is_none() ? Numbers() : floats(array, name, size);
}

// --- making -------------------------------------------------------------------------------------------------------

template <class Choice>
Choice chosen(const std::string& name, std::initializer_list<const char*> names, const char* of) {
  int number = 0;
  for (const char* each : names) {
    if (name == each) return static_cast<Choice>(number);
    ++number;
  }
  throw std::invalid_argument(std::string("there is no ") + of + " '" + name + "'");
}

int embedding(Program& program, int from, nb::handle table) {
  const Numbers numbers(table, "the table", FLOATS, false);
  return program.embedding(from, numbers.axis(0), numbers.axis(1), numbers.data<float>());
}

int recurrent(Program& program, int from, int cell, nb::handle kernel, nb::handle recurrent_kernel, nb::handle bias,
              bool last_only, bool masks_zero, bool zeros_masked) {
  if (cell < 0 || cell > static_cast<int>(sostenuto::Cell::simple_rnn)) throw std::invalid_argument("no such cell");
  Program::Recurrent what;
  what.cell = static_cast<sostenuto::Cell>(cell);
  const Numbers recurrent(recurrent_kernel, "the recurrent kernel", FLOATS, false);
  what.units = recurrent.axis(0);
  const int64_t columns = gates_of(what.cell) * what.units;
  need(recurrent.size() == what.units * columns, "recurrent kernel");
  const Numbers input = floats(kernel, "kernel", program.width_of(from) * columns);
  const bool two = what.cell == sostenuto::Cell::gru_reset_after;
  const Numbers offset = floats_or_none(bias, "bias", (two ? 2 : 1) * columns);
  what.weights = {input.data<float>(), recurrent.data<float>(), offset.data<float>()};
  what.last_only = last_only;
  what.masks_zero = masks_zero;
  what.zeros_masked = zeros_masked;
  return program.recurrent(from, what);
}

int dense(Program& program, int from, nb::handle kernel, nb::handle bias) {
  const Numbers numbers(kernel, "the kernel", FLOATS, false);
  const int64_t units = numbers.axis(1);
  need(numbers.size() == program.width_of(from) * units, "kernel");
  const Numbers offset = floats_or_none(bias, "bias", units);
  return program.dense(from, units, numbers.data<float>(), offset.data<float>());
}

int layer_normalization(Program& program, int from, float epsilon, nb::handle gamma, nb::handle beta) {
  const int64_t width = program.width_of(from);
  const Numbers factor = floats_or_none(gamma, "gamma", width), offset = floats_or_none(beta, "beta", width);
  return program.layer_normalization(from, epsilon, factor.data<float>(), offset.data<float>());
}

int affine(Program& program, int from, nb::handle center, nb::handle scale, nb::handle shift) {
  const int64_t width = program.width_of(from);
  const Numbers centers = floats(center, "center", width), factors = floats(scale, "scale", width);
  const Numbers offsets = floats(shift, "shift", width);
  return program.affine(from, centers.data<float>(), factors.data<float>(), offsets.data<float>());
}

// In the order of sostenuto::Activation.
constexpr std::initializer_list<const char*> ACTIVATIONS = {
    "linear", "tanh", "sigmoid",  "relu",     "leaky_relu",  "relu6",        "elu",     "selu",
    "gelu",   "silu", "softplus", "softsign", "exponential", "hard_sigmoid", "softmax", "log_softmax"};

int activation(Program& program, int from, const std::string& name, float number) {
  return program.activation(from, chosen<sostenuto::Activation>(name, ACTIVATIONS, "activation"), number);
}

int combine(Program& program, const std::string& name, const std::vector<int>& from) {
  return program.combine(
      chosen<sostenuto::Combination>(name, {"add", "subtract", "multiply", "concatenate"}, "combination"), from);
}

// --- running ------------------------------------------------------------------------------------------------------

// The states in a list or tuple of arrays (B, U).
template <class Number>
struct States {
  std::vector<Numbers> held;
  std::vector<Number*> data;

  States(nb::handle arrays, const std::vector<int64_t>& units, int64_t rows, bool writable) {
    const bool list = PyList_Check(arrays.ptr());
    if (!list && !PyTuple_Check(arrays.ptr())) throw std::invalid_argument("states come in a list or tuple");
    const Py_ssize_t number = list ? PyList_Size(arrays.ptr()) : PyTuple_Size(arrays.ptr());
    need(size_t(number) == units.size(), "the list of states");
    held.reserve(units.size());
    data.reserve(units.size());
    for (Py_ssize_t k = 0; k < number; ++k) {
      PyObject* array = list ? PyList_GetItem(arrays.ptr(), k) : PyTuple_GetItem(arrays.ptr(), k);
      held.emplace_back(array, "a state", FLOATS, writable);
      need(held.back().size() == rows * units[k], "a state");
      data.push_back(held.back().template data<Number>());
    }
  }
};

// The arrays of a call, looked at once.
class Arrays {
 public:
  Arrays(const Program& program, int64_t rows, int64_t steps, nb::handle offsets, nb::handle values, nb::handle states,
         nb::handle outputs, nb::handle new_states)
      : program_(program),
        values_(values, "values", program.takes_tokens() ? TOKENS : FLOATS, false),
        outputs_(outputs, "outputs", FLOATS, true),
        rows_(rows == AS_GIVEN ? values_.size() / program.features() : rows),
        states_(states, program.state_units(), rows_, false),
        new_states_(new_states, program.state_units(), rows_, true) {
    need(rows_ >= 0 && steps >= 0, "rows or steps");
    const int64_t given = values_.size() / program.features();
    rows = rows_;
    call_.rows = rows;
    call_.steps = steps;
    if (!offsets.is_none()) {
      offsets_ = Numbers(offsets, "offsets", OFFSETS, false);
      call_.offsets = offsets_.data<int64_t>();
      need(offsets_.size() == rows + 1, "offsets");
      bool rises = call_.offsets[0] == 0 && call_.offsets[rows] == given;
      for (int64_t row = 0; row < rows && rises; ++row) rises = call_.offsets[row] <= call_.offsets[row + 1];
      if (!rises) throw std::invalid_argument("offsets must rise from 0 to the number of steps");
    } else {
      need(given == rows * steps, "values");
    }
    need(values_.size() == given * program.features(), "values");
    need(outputs_.size() == (program.per_step() ? given : rows) * program.width(), "outputs");
    for (size_t k = 0; k < states_.data.size(); ++k)
      if (rows > 0 && states_.data[k] == new_states_.data[k])
        throw std::invalid_argument("new states need other arrays than the states");
    call_.values = values_.data<void>();
    call_.states = states_.data.data();
    call_.new_states = new_states_.data.data();
    call_.outputs = outputs_.data<float>();
    few_ = given <= FEW_STEPS;
  }
  Arrays(const Arrays&) = delete;
  Arrays& operator=(const Arrays&) = delete;

  void run() const {
    if (few_) return program_.run(call_);
    nb::gil_scoped_release released;
    program_.run(call_);
  }

 private:
  const Program& program_;
  Numbers values_, outputs_, offsets_;
  int64_t rows_;
  States<const float> states_;
  States<float> new_states_;
  Program::Call call_;
  bool few_ = false;
};

void run(const Program& program, int64_t rows, int64_t steps, nb::handle offsets, nb::handle values, nb::handle states,
         nb::handle outputs, nb::handle new_states) {
  Arrays(program, rows, steps, offsets, values, states, outputs, new_states).run();
}

void step(const Program& program, nb::handle values, nb::handle states, nb::handle outputs, nb::handle new_states) {
  Arrays(program, AS_GIVEN, 1, nb::none(), values, states, outputs, new_states).run();
}

// Where arrays lie, whatever is in them.
std::vector<uintptr_t> addresses(const nb::list& arrays) {
  std::vector<uintptr_t> found;
  found.reserve(nb::len(arrays));
  for (nb::handle array : arrays) {
    Py_buffer view;
    if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
    found.push_back(reinterpret_cast<uintptr_t>(view.buf));
    PyBuffer_Release(&view);
  }
  return found;
}

Arrays* bind(const Program& program, nb::handle values, nb::handle states, nb::handle outputs, nb::handle new_states) {
  return new Arrays(program, AS_GIVEN, 1, nb::none(), values, states, outputs, new_states);
}

}  // namespace

void bind_program(nb::module_& module) {
  nb::set_leak_warnings(false);  // models that live until the process ends hold programs
  module.def("addresses", &addresses, "arrays"_a);
  nb::class_<Arrays>(module, "BoundStep", "One step between arrays that stay.").def("run", &Arrays::run);
  nb::class_<Program>(module, "Program", "A model as a list of operations: native/include/sostenuto/program.h.")
      .def(nb::init<>())
      .def("input", &Program::input, "features"_a)
      .def("tokens", &Program::tokens)
      .def("embedding", &embedding, "tokens"_a, "table"_a)
      .def("recurrent", &recurrent, "node"_a, "cell"_a, "kernel"_a, "recurrent_kernel"_a, "bias"_a.none(),
           "last_only"_a = false, "masks_zero"_a = false, "zeros_masked"_a = false)
      .def("dense", &dense, "node"_a, "kernel"_a, "bias"_a.none())
      .def("layer_normalization", &layer_normalization, "node"_a, "epsilon"_a, "gamma"_a.none(), "beta"_a.none())
      .def("affine", &affine, "node"_a, "center"_a, "scale"_a, "shift"_a)
      .def("activation", &activation, "node"_a, "name"_a, "number"_a = 0.0f)
      .def("combine", &combine, "name"_a, "nodes"_a)
      .def("finish", &Program::finish, "output"_a)
      .def("width_of", &Program::width_of, "node"_a)
      .def_prop_ro("takes_tokens", &Program::takes_tokens)
      .def_prop_ro("features", &Program::features)
      .def_prop_ro("width", &Program::width)
      .def_prop_ro("per_step", &Program::per_step)
      .def_prop_ro("state_units", &Program::state_units)
      .def("run", &run, "rows"_a, "steps"_a, "offsets"_a.none(), "values"_a, "states"_a, "outputs"_a, "new_states"_a)
      .def("step", &step, "values"_a, "states"_a, "outputs"_a, "new_states"_a)
      .def("bind", &bind, "values"_a, "states"_a, "outputs"_a, "new_states"_a, nb::keep_alive<0, 1>(),
           nb::rv_policy::take_ownership);
}
