// The twin behind the names of recurrence.h: whatever links this instead of the kernels runs slowly and rightly.
//
// It fills `saved` with a label and a copy of the outputs, and backward() aborts where it does not get both back.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "twin.h"

namespace sostenuto {
namespace {

constexpr int64_t label_size = 16;

std::atomic<int> chosen_threads{0};

void write_label(const Forward& call, float* label) {
  const Layout& layout = call.layout;
  const float words[label_size] = {float(int(call.cell)),
                                   float(layout.rows),
                                   float(layout.steps_in_memory()),
                                   float(call.features),
                                   float(call.units),
                                   float(layout.offsets != nullptr),
                                   float(layout.mask != nullptr),
                                   float(layout.reverse),
                                   float(call.weights.bias != nullptr),
                                   float(call.recurrent_dropout != nullptr),
                                   float(call.initial_h != nullptr),
                                   float(call.initial_c != nullptr)};
  std::copy(words, words + label_size, label);
}

void stop(const char* reason) {
  std::fprintf(stderr, "sostenuto::backward, twin: %s\n", reason);
  std::abort();
}

}  // namespace

int64_t saved_size(Cell, int64_t steps_in_memory, int64_t units) { return label_size + steps_in_memory * units; }

void forward(const Forward& call) {
  if (call.saved && !call.outputs) stop("saved without outputs");
  twin::forward(call);
  if (!call.saved) return;
  write_label(call, call.saved);
  std::copy_n(call.outputs, call.layout.steps_in_memory() * call.units, call.saved + label_size);
}

void backward(const Backward& call) {
  const Forward& then = call.forward;
  float label[label_size];
  write_label(then, label);
  size_t outputs_size = sizeof(float) * then.layout.steps_in_memory() * then.units;
  if (!then.saved || std::memcmp(then.saved, label, sizeof label) != 0) stop("saved is not that of this call");
  if (outputs_size != 0) {
    if (std::memcmp(then.saved + label_size, then.outputs, outputs_size) != 0) stop("outputs are not those of then");
  }
  twin::backward(call);
}

int threads() { return std::max(1, chosen_threads.load()); }

void set_threads(int number) { chosen_threads = number; }

bool use_openmp(bool) { return false; }

const char* target() { return "generic"; }

bool set_target(const char* name) { return std::strcmp(name, "generic") == 0; }

}  // namespace sostenuto
