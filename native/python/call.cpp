// What C++ computes for callers that hold addresses: integers in, 0 for null, no arithmetic.
//
// Shapes are the caller's to check; here only what would otherwise be a crash: arrays that must be there, and offsets.

#include <nanobind/nanobind.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "sostenuto/cross_entropy.h"
#include "sostenuto/recurrence.h"

namespace nb = nanobind;

void bind_kept(nb::module_& module);  // kept.cpp

namespace {

using Address = uintptr_t;

template <typename Number>
Number* at(Address address) {
  return reinterpret_cast<Number*>(address);
}

sostenuto::Cell cell_of(int number) {
  if (number < 0 || number > static_cast<int>(sostenuto::Cell::simple_rnn))
    throw std::invalid_argument("cell " + std::to_string(number) + " is not known");
  return static_cast<sostenuto::Cell>(number);
}

float nothing = 0;  // stands in for arrays without elements; nobody reads or writes it

void need(const void* array, bool wanted, const char* name) {
  if (wanted && !array) throw std::invalid_argument(std::string("the native kernel got no memory for ") + name);
}

// Offsets are numbers of the user's: read, before memory is read where they point.
void check_offsets(const int64_t* offsets, int64_t rows, int64_t steps) {
  bool rises = offsets[0] == 0 && offsets[rows] == steps;
  for (int64_t row = 0; row < rows && rises; ++row) rises = offsets[row] <= offsets[row + 1];
  if (!rises)
    throw std::invalid_argument("offsets must rise from 0 to the number of steps, " + std::to_string(steps));
}

// For flat inputs `steps` is N, their whole number of steps.
sostenuto::Forward forward_call(int cell, int64_t rows, int64_t steps, int64_t features, int64_t units, bool reverse,
                                Address offsets, Address mask, Address inputs, Address kernel,
                                Address recurrent_kernel, Address bias, Address initial_h, Address initial_c,
                                Address recurrent_dropout, Address input_dropout, bool dropout_by_gate,
                                Address outputs, Address saved) {
  sostenuto::Forward call;
  call.cell = cell_of(cell);
  if (rows < 0 || steps < 0 || features < 0 || units < 1)
    throw std::invalid_argument("the native kernel needs sizes that are not negative, and units");
  call.layout = {rows, steps, at<const int64_t>(offsets), at<const uint8_t>(mask), reverse};
  if (offsets) check_offsets(call.layout.offsets, rows, steps);
  call.features = features;
  call.units = units;
  call.weights = {at<const float>(kernel), at<const float>(recurrent_kernel), at<const float>(bias)};
  call.inputs = at<const float>(inputs);
  call.initial_h = at<const float>(initial_h);
  call.initial_c = at<const float>(initial_c);
  call.recurrent_dropout = at<const float>(recurrent_dropout);
  call.input_dropout = at<const float>(input_dropout);
  call.dropout_by_gate = dropout_by_gate;
  call.outputs = at<float>(outputs);
  call.saved = at<float>(saved);
  bool any_steps = call.layout.steps_in_memory() > 0;
  need(call.weights.kernel, features > 0, "the kernel");
  need(call.weights.recurrent_kernel, true, "the recurrent kernel");
  need(call.inputs, any_steps && features > 0, "the inputs");
  need(call.outputs, any_steps && saved, "the outputs");
  // Empty arrays often have no address, and a null would say that they are not wanted.
  if (!any_steps && !call.outputs) call.outputs = &nothing;
  return call;
}

void forward(int cell, int64_t rows, int64_t steps, int64_t features, int64_t units, bool reverse, Address offsets,
             Address mask, Address inputs, Address kernel, Address recurrent_kernel, Address bias, Address initial_h,
             Address initial_c, Address recurrent_dropout, Address input_dropout, bool dropout_by_gate, Address outputs,
             Address last_h, Address last_c, Address saved) {
  sostenuto::Forward call =
      forward_call(cell, rows, steps, features, units, reverse, offsets, mask, inputs, kernel, recurrent_kernel, bias,
                   initial_h, initial_c, recurrent_dropout, input_dropout, dropout_by_gate, outputs, saved);
  call.last_h = at<float>(last_h);
  call.last_c = at<float>(last_c);
  sostenuto::forward(call);
}

void backward(int cell, int64_t rows, int64_t steps, int64_t features, int64_t units, bool reverse, Address offsets,
              Address mask, Address inputs, Address kernel, Address recurrent_kernel, Address bias, Address initial_h,
              Address initial_c, Address recurrent_dropout, Address input_dropout, bool dropout_by_gate,
              Address outputs, Address saved, Address d_outputs, Address d_last_h, Address d_last_c, Address d_inputs,
              Address d_kernel, Address d_recurrent_kernel, Address d_bias, Address d_initial_h, Address d_initial_c) {
  sostenuto::Backward call;
  call.forward =
      forward_call(cell, rows, steps, features, units, reverse, offsets, mask, inputs, kernel, recurrent_kernel, bias,
                   initial_h, initial_c, recurrent_dropout, input_dropout, dropout_by_gate, outputs, saved);
  need(call.forward.saved, call.forward.layout.steps_in_memory() > 0, "what forward saved");
  if (!call.forward.saved) call.forward.saved = &nothing;
  call.d_outputs = at<const float>(d_outputs);
  call.d_last_h = at<const float>(d_last_h);
  call.d_last_c = at<const float>(d_last_c);
  call.d_inputs = at<float>(d_inputs);
  call.d_kernel = at<float>(d_kernel);
  call.d_recurrent_kernel = at<float>(d_recurrent_kernel);
  call.d_bias = at<float>(d_bias);
  call.d_initial_h = at<float>(d_initial_h);
  call.d_initial_c = at<float>(d_initial_c);
  sostenuto::backward(call);
}

int64_t saved_size(int cell, int64_t steps_in_memory, int64_t units) {
  return sostenuto::saved_size(cell_of(cell), steps_in_memory, units);
}

sostenuto::CrossEntropy cross_entropy_call(int64_t rows, int64_t classes, Address logits, Address wanted) {
  if (rows < 0 || classes < 1) throw std::invalid_argument("the cross-entropy needs rows and classes");
  sostenuto::CrossEntropy call{rows, classes, at<const float>(logits), at<const int64_t>(wanted)};
  need(call.logits, rows > 0, "the logits");
  need(call.wanted, rows > 0, "the classes");
  return call;
}

// Whether it could be done: not with a class that there is not.
bool cross_entropy(int64_t rows, int64_t classes, Address logits, Address wanted, Address losses, Address kept) {
  const sostenuto::CrossEntropy call = cross_entropy_call(rows, classes, logits, wanted);
  for (int64_t row = 0; row < rows; ++row)
    if (call.wanted[row] < 0 || call.wanted[row] >= classes) return false;
  sostenuto::cross_entropy(call, at<float>(losses), at<float>(kept));
  return true;
}

void cross_entropy_gradient(int64_t rows, int64_t classes, Address logits, Address wanted, Address kept,
                            Address d_losses, Address d_logits) {
  sostenuto::cross_entropy_gradient(cross_entropy_call(rows, classes, logits, wanted), at<const float>(kept),
                                    at<const float>(d_losses), at<float>(d_logits));
}

}  // namespace

void bind_call(nb::module_& module) {
  module.def("saved_size", &saved_size);
  module.def("forward", &forward, nb::call_guard<nb::gil_scoped_release>());
  module.def("backward", &backward, nb::call_guard<nb::gil_scoped_release>());
  module.def("cross_entropy", &cross_entropy, nb::call_guard<nb::gil_scoped_release>());
  module.def("cross_entropy_gradient", &cross_entropy_gradient, nb::call_guard<nb::gil_scoped_release>());
  bind_kept(module);
}
