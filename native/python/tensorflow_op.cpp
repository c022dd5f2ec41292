// The recurrence as ops of TensorFlow, registered through its C API. Four ops, so that each has outputs of known shape:
//
//   SostenutoForward        (inputs...) -> outputs, last_h, last_c
//   SostenutoLast           (inputs...) -> last_h, last_c
//   SostenutoForwardSaving  (inputs...) -> outputs, last_h, last_c, saved
//   SostenutoBackward       (inputs..., outputs, saved, d_outputs, d_last_h, d_last_c) -> the gradients of inputs
//
// and SostenutoNoSecondDerivative, which fails where it is run. An input that is not given is a vector of no elements.

#include <nanobind/nanobind.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "sostenuto/recurrence.h"
#include "tensorflow_ops.h"

namespace sostenuto::tensorflow {

Api api;

namespace {

enum Input {
  inputs, kernel, recurrent_kernel, bias, initial_h, initial_c, mask, offsets, recurrent_dropout, input_dropout,
  forward_inputs,
  outputs = forward_inputs, saved, d_outputs, d_last_h, d_last_c, backward_inputs
};
const char* const input_names[] = {"inputs", "kernel", "recurrent_kernel", "bias", "initial_h", "initial_c", "mask",
                                   "offsets", "recurrent_dropout", "input_dropout", "outputs", "saved", "d_outputs",
                                   "d_last_h", "d_last_c"};
const char* const input_types[] = {"float", "float", "float", "float", "float", "float", "bool",
                                   "int64", "float", "float", "float", "float", "float", "float", "float"};

// --- runs --------------------------------------------------------------------------------------------------------

// What a node of a graph is told once, when it is made.
struct Settings {
  Cell cell = Cell::lstm;
  bool reverse = false;
  int64_t wanted = 0;  // SostenutoBackward: bit k for the gradient of input k
};

void check_offsets(const int64_t* offsets, int64_t rows, int64_t steps) {
  bool rises = offsets[0] == 0 && offsets[rows] == steps && std::is_sorted(offsets, offsets + rows + 1);
  if (!rises)
    throw Failure(invalid_argument,
                  "The native kernel got offsets that do not rise from 0 to the number of steps, " +
                      std::to_string(steps) + ".");
}

Forward read_call(const Settings& settings, const Run& run) {
  Forward call;
  call.cell = settings.cell;
  call.layout.reverse = settings.reverse;
  bool flat = run.has(offsets);
  if (run.rank(inputs) != (flat ? 2 : 3) || run.rank(recurrent_kernel) != 2 || run.size(recurrent_kernel, 0) < 1)
    throw Failure(invalid_argument,
                  "The native kernel wants inputs (B, T, F), or (N, F) with offsets, and recurrent_kernel (U, G * U).");
  call.features = run.size(inputs, flat ? 1 : 2);
  call.units = run.size(recurrent_kernel, 0);
  int64_t gate_units = gates_of(call.cell) * call.units;
  if (flat) {
    call.layout.rows = run.size(offsets, 0) - 1;
    call.layout.offsets = run.read<int64_t>(offsets, {call.layout.rows + 1});
    check_offsets(call.layout.offsets, call.layout.rows, run.size(inputs, 0));
    if (run.has(mask)) throw Failure(invalid_argument, "The native kernel takes a mask or offsets, not both.");
    call.inputs = run.read<float>(inputs, {run.size(inputs, 0), call.features});
  } else {
    call.layout.rows = run.size(inputs, 0);
    call.layout.steps = run.size(inputs, 1);
    call.layout.mask = run.read<uint8_t>(mask, {call.layout.rows, call.layout.steps});
    call.inputs = run.read<float>(inputs, {call.layout.rows, call.layout.steps, call.features});
  }
  call.weights.kernel = run.read<float>(kernel, {call.features, gate_units});
  call.weights.recurrent_kernel = run.read<float>(recurrent_kernel, {call.units, gate_units});
  call.weights.bias = call.cell == Cell::gru_reset_after ? run.read<float>(bias, {2, gate_units})
                                                         : run.read<float>(bias, {gate_units});
  call.initial_h = run.read<float>(initial_h, {call.layout.rows, call.units});
  call.initial_c = run.read<float>(initial_c, {call.layout.rows, call.units});
  const int64_t gates = gates_of(call.cell);
  call.dropout_by_gate = run.has(input_dropout) || (run.has(recurrent_dropout) && run.rank(recurrent_dropout) == 2 &&
                                                    run.size(recurrent_dropout, 1) != call.units);
  call.recurrent_dropout =
      run.read<float>(recurrent_dropout, {call.layout.rows, call.dropout_by_gate ? gate_units : call.units});
  call.input_dropout = run.read<float>(input_dropout, {call.layout.rows, gates * call.features});
  if (!call.weights.kernel || !call.initial_h || !call.initial_c != (call.cell != Cell::lstm))
    throw Failure(invalid_argument, "The native kernel wants a kernel and the states of its cell: h; c for an LSTM.");
  return call;
}

float* write_steps(const Forward& call, Run& run, int number, int64_t width) {
  return call.layout.offsets ? run.write(number, {call.layout.steps_in_memory(), width})
                             : run.write(number, {call.layout.rows, call.layout.steps, width});
}

float* write_c(const Forward& call, Run& run, int number) {
  if (call.cell == Cell::lstm) return run.write(number, {call.layout.rows, call.units});
  run.write(number, {0});
  return nullptr;
}

enum class Kind { outputs, last, saving };

template <Kind kind>
void run_forward(const Settings& settings, Context* context) {
  Run run(context, input_names, forward_inputs);
  Forward call = read_call(settings, run);
  int number = 0;
  if (kind != Kind::last) call.outputs = write_steps(call, run, number++, call.units);
  call.last_h = run.write(number++, {call.layout.rows, call.units});
  call.last_c = write_c(call, run, number++);
  if (kind == Kind::saving)
    call.saved = run.write(number, {saved_size(call.cell, call.layout.steps_in_memory(), call.units)});
  forward(call);
}

void run_backward(const Settings& settings, Context* context) {
  Run run(context, input_names, backward_inputs);
  Backward call;
  Forward& then = call.forward;
  then = read_call(settings, run);
  const int64_t rows = then.layout.rows, units = then.units, steps = then.layout.steps_in_memory();
  const int64_t gate_units = gates_of(then.cell) * units;
  auto read_steps = [&](Input input) {
    return then.layout.offsets ? run.read<float>(input, {steps, units})
                               : run.read<float>(input, {rows, then.layout.steps, units});
  };
  // The kernel does not write to what it read before; Forward has one type for both directions.
  then.outputs = const_cast<float*>(read_steps(outputs));
  then.saved = const_cast<float*>(run.read<float>(saved, {saved_size(then.cell, steps, units)}));
  if (steps > 0 && (!then.outputs || !then.saved))
    throw Failure(invalid_argument, "The native kernel wants the outputs of the forward run, and what it saved.");
  call.d_outputs = read_steps(d_outputs);
  call.d_last_h = run.read<float>(d_last_h, {rows, units});
  call.d_last_c = run.read<float>(d_last_c, {rows, units});

  auto wanted = [&](Input input) {
    bool is = (settings.wanted >> input & 1) && run.has(input);
    if (!is) run.write(input, {0});
    return is;
  };
  if (wanted(inputs)) call.d_inputs = write_steps(then, run, inputs, then.features);
  if (wanted(kernel)) call.d_kernel = run.write(kernel, {then.features, gate_units});
  if (wanted(recurrent_kernel)) call.d_recurrent_kernel = run.write(recurrent_kernel, {units, gate_units});
  if (wanted(bias))
    call.d_bias = run.rank(bias) == 2 ? run.write(bias, {2, gate_units}) : run.write(bias, {gate_units});
  if (wanted(initial_h)) call.d_initial_h = run.write(initial_h, {rows, units});
  if (wanted(initial_c)) call.d_initial_c = run.write(initial_c, {rows, units});
  backward(call);
}

void refuse(const Settings&, Context*) {
  throw Failure(unimplemented,
                "The native kernel has no second derivatives. Set SOSTENUTO_NATIVE=0 before Python starts, and the "
                "portable kernel, which has them, takes its place.");
}

// --- what TensorFlow calls -----------------------------------------------------------------------------------------

template <bool has_wanted>
void* create(Construction* construction) {
  auto settings = std::make_unique<Settings>();
  guarded(
      [&](Status* status) {
        int64_t cell = 0;
        unsigned char reverse = 0;
        api.int_attribute(construction, "cell", &cell, status);
        throw_if_failed(status);
        if (cell < 0 || cell > int64_t(Cell::simple_rnn)) throw Failure(invalid_argument, "cell is 0 to 3");
        api.bool_attribute(construction, "reverse", &reverse, status);
        throw_if_failed(status);
        if (has_wanted) api.int_attribute(construction, "wanted", &settings->wanted, status);
        throw_if_failed(status);
        settings->cell = Cell(cell);
        settings->reverse = reverse != 0;
      },
      [&](Status* status) { api.construction_failed(construction, status); });
  return settings.release();
}

template <void (*work)(const Settings&, Context*)>
void run(void* settings, Context* context) {
  static const Settings none;
  guarded([&](Status*) { work(settings ? *static_cast<Settings*>(settings) : none, context); },
          [&](Status* status) { api.run_failed(context, status); });
}

void destroy(void* settings) { delete static_cast<Settings*>(settings); }

// --- shapes --------------------------------------------------------------------------------------------------------

template <Kind kind>
void forward_shapes(ShapeContext* context, Status* status) {
  Shapes shapes(context, status);
  int number = 0;
  if (kind != Kind::last) shapes.output_is_steps(number++, inputs, recurrent_kernel);
  shapes.output_is_input(number++, initial_h);
  shapes.output_is_input(number, initial_c);
}

// A gradient that is not wanted comes out empty, which is not for a shape function to see.
void backward_shapes(ShapeContext* context, Status* status) { Shapes(context, status); }

void same_shape(ShapeContext* context, Status* status) { Shapes(context, status).output_is_input(0, 0); }

// --- registration --------------------------------------------------------------------------------------------------

std::vector<std::string> signature(int begin, int end) {
  std::vector<std::string> specs;
  for (int input = begin; input < end; ++input)
    specs.push_back(std::string(input_names[input]) + ": " + input_types[input]);
  return specs;
}

std::vector<Op> all_ops() {
  const std::vector<std::string> how = {"cell: int", "reverse: bool"};
  // all_outputs is for the gradient in Python: false where nobody can have used outputs.
  const std::vector<std::string> saving = {"cell: int", "reverse: bool", "all_outputs: bool"};
  const std::vector<std::string> back = {"cell: int", "reverse: bool", "wanted: int"};
  const std::vector<std::string> gradients = {"d_inputs: float", "d_kernel: float", "d_recurrent_kernel: float",
                                              "d_bias: float", "d_initial_h: float", "d_initial_c: float"};
  const auto given = signature(0, forward_inputs), returned = signature(0, backward_inputs);
  return {
      {"SostenutoForward", given, {"outputs: float", "last_h: float", "last_c: float"}, how,
       forward_shapes<Kind::outputs>, create<false>, run<run_forward<Kind::outputs>>},
      {"SostenutoLast", given, {"last_h: float", "last_c: float"}, how,
       forward_shapes<Kind::last>, create<false>, run<run_forward<Kind::last>>},
      {"SostenutoForwardSaving", given, {"outputs: float", "last_h: float", "last_c: float", "saved: float"}, saving,
       forward_shapes<Kind::saving>, create<false>, run<run_forward<Kind::saving>>},
      {"SostenutoBackward", returned, gradients, back, backward_shapes, create<true>, run<run_backward>},
      {"SostenutoNoSecondDerivative", {"x: float"}, {"y: float"}, {}, same_shape, nullptr, run<refuse>},
  };
}

void register_op(const Op& op) {
  Owned<Status> status(api.new_status());
  OpBuilder* builder = api.new_op(op.name);
  for (const std::string& text : op.inputs) api.add_input(builder, text.c_str());
  for (const std::string& text : op.outputs) api.add_output(builder, text.c_str());
  for (const std::string& text : op.attributes) api.add_attribute(builder, text.c_str());
  api.set_shapes(builder, op.shapes);
  api.register_op(builder, status.get());
  throw_if_failed(status.get());
  KernelBuilder* made = api.new_kernel(op.name, "CPU", op.create, op.run, op.create ? destroy : nullptr);
  api.register_kernel(op.name, made, status.get());
  throw_if_failed(status.get());
}

void register_all(const char* path) {
  static bool done = false;
  if (done) return;
  api = load_api(path);
  for (const Op& op : all_ops()) register_op(op);
  for (const Op& op : loss_ops()) register_op(op);
  done = true;
}

}  // namespace
}  // namespace sostenuto::tensorflow

void bind_tensorflow(nanobind::module_& module) {
  module.def("register_tensorflow", &sostenuto::tensorflow::register_all, nanobind::arg("path"),
             "Registers the ops with the TensorFlow whose libtensorflow_framework lies at path; once, then nothing.");
}
