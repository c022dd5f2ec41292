// The cross-entropy as ops of TensorFlow:
//
//   SostenutoCrossEntropy          (logits, classes) -> losses, kept
//   SostenutoCrossEntropyGradient  (logits, classes, kept, d_losses) -> d_logits

#include <string>

#include "sostenuto/cross_entropy.h"
#include "tensorflow_ops.h"

namespace sostenuto::tensorflow {
namespace {

enum Input { logits, classes, kept, d_losses, all_inputs };
const char* const input_names[] = {"logits", "classes", "kept", "d_losses"};

CrossEntropy read_call(const Run& run) {
  if (run.rank(logits) != 2) throw Failure(invalid_argument, "The native cross-entropy wants logits (B, V).");
  const int64_t rows = run.size(logits, 0), width = run.size(logits, 1);
  CrossEntropy call{rows, width, run.require<float>(logits, {rows, width}), run.require<int64_t>(classes, {rows})};
  for (int64_t row = 0; row < rows; ++row)
    if (call.wanted[row] < 0 || call.wanted[row] >= width)  // as TensorFlow's own says it
      throw Failure(invalid_argument, "Received a label value of " + std::to_string(call.wanted[row]) +
                                          " which is outside the valid range of [0, " + std::to_string(width) + ").");
  return call;
}

void losses(Context* context) {
  Run run(context, input_names, kept);
  const CrossEntropy call = read_call(run);
  float* found = run.write(0, {call.rows});
  float* needed = run.write(1, {call.rows, 2});
  if (call.rows > 0) cross_entropy(call, found, needed);
}

void gradient(Context* context) {
  Run run(context, input_names, all_inputs);
  const CrossEntropy call = read_call(run);
  const float* needed = run.require<float>(kept, {call.rows, 2});
  const float* d = run.require<float>(d_losses, {call.rows});
  float* found = run.write(0, {call.rows, call.classes});
  if (call.rows > 0) cross_entropy_gradient(call, needed, d, found);
}

template <void (*work)(Context*)>
void run(void*, Context* context) {
  guarded([&](Status*) { work(context); }, [&](Status* status) { api.run_failed(context, status); });
}

void shapes_of_losses(ShapeContext* context, Status* status) { Shapes(context, status).output_is_input(0, classes); }

void shape_of_gradient(ShapeContext* context, Status* status) { Shapes(context, status).output_is_input(0, logits); }

}  // namespace

std::vector<Op> loss_ops() {
  return {
      {"SostenutoCrossEntropy", {"logits: float", "classes: int64"}, {"losses: float", "kept: float"}, {},
       shapes_of_losses, nullptr, run<losses>},
      {"SostenutoCrossEntropyGradient",
       {"logits: float", "classes: int64", "kept: float", "d_losses: float"}, {"d_logits: float"}, {},
       shape_of_gradient, nullptr, run<gradient>},
  };
}

}  // namespace sostenuto::tensorflow
