// The recurrence as two calls of XLA's foreign function interface, for JAX on CPU.
//
// src/sostenuto/kernels/adapters/jax.py passes the buffers in the order of forward() and backward() below; what is
// absent or not wanted comes with shape (0,), which nothing else has. XLA hands its own memory over, calls from threads
// of its own, perhaps several at once, and holds no lock of Python's: calls share nothing here.

#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "sostenuto/recurrence.h"
#include "xla/ffi/api/ffi.h"

namespace nb = nanobind;
namespace ffi = xla::ffi;

void add_jax_losses(nb::dict& targets);  // jax_loss_ffi.cpp

namespace {

using sostenuto::Cell;
using Buffer = ffi::AnyBuffer;
using Result = ffi::Result<ffi::AnyBuffer>;

// Up to three sizes.
class Shape {
 public:
  Shape(int64_t a) : sizes_{a, 0, 0}, rank_(1) {}
  Shape(int64_t a, int64_t b) : sizes_{a, b, 0}, rank_(2) {}
  Shape(int64_t a, int64_t b, int64_t c) : sizes_{a, b, c}, rank_(3) {}

  const int64_t* begin() const { return sizes_; }
  const int64_t* end() const { return sizes_ + rank_; }
  size_t size() const { return rank_; }

 private:
  int64_t sizes_[3];
  size_t rank_;
};

const Shape absent(0);

template <typename Sizes>
bool same(const Buffer::Dimensions& sizes, const Sizes& wanted) {
  return sizes.size() == wanted.size() && std::equal(wanted.begin(), wanted.end(), sizes.begin());
}

template <typename Sizes>
std::string in_words(ffi::DataType type, const Sizes& sizes) {
  const char* name = type == ffi::PRED   ? "bool"
                     : type == ffi::S32  ? "int32"
                     : type == ffi::S64  ? "int64"
                     : type == ffi::F16  ? "float16"
                     : type == ffi::BF16 ? "bfloat16"
                     : type == ffi::F32  ? "float32"
                     : type == ffi::F64  ? "float64"
                                         : "another type";
  std::string words;
  for (int64_t size : sizes) words += (words.empty() ? "" : ", ") + std::to_string(size);
  return std::string(name) + " (" + words + (sizes.size() == 1 ? ",)" : ")");
}

// Checks buffers. The first that does not fit is noted, and all after it are null.
class Checks {
 public:
  const float* given(const char* name, Buffer buffer, Shape shape) {
    return checked<const float>(name, buffer, ffi::F32, shape);
  }

  const float* given_or_null(const char* name, Buffer buffer, Shape shape) {
    return same(buffer.dimensions(), absent) ? nullptr : given(name, buffer, shape);
  }

  const uint8_t* mask_or_null(Buffer buffer, Shape shape) {
    return same(buffer.dimensions(), absent) ? nullptr : checked<const uint8_t>("mask", buffer, ffi::PRED, shape);
  }

  float* wanted_or_null(const char* name, Result result, Shape shape) {
    return same(result->dimensions(), absent) ? nullptr : checked<float>(name, *result, ffi::F32, shape);
  }

  void refuse(std::string note) {
    if (note_.empty()) note_ = std::move(note);
  }

  bool passed() const { return note_.empty(); }
  ffi::Error error() const { return ffi::Error::InvalidArgument("The native kernel cannot run this call: " + note_); }

 private:
  template <typename Number>
  Number* checked(const char* name, Buffer buffer, ffi::DataType type, Shape shape) {
    // Memory without elements may have no address, but null means absent.
    static float nothing;
    if (!same(buffer.dimensions(), shape) || buffer.element_type() != type) {
      refuse(std::string(name) + ": got " + in_words(buffer.element_type(), buffer.dimensions()) + ", wanted " +
             in_words(type, shape));
    }
    if (!passed()) return nullptr;
    return static_cast<Number*>(buffer.untyped_data() ? buffer.untyped_data() : static_cast<void*>(&nothing));
  }

  std::string note_;
};

// What both calls begin with.
struct Operands {
  Buffer offsets, inputs, kernel, recurrent_kernel, bias, h, c, recurrent_dropout, input_dropout, mask;
};

// The operands, checked.
struct Recurrence {
  Recurrence(Checks& checks, const Operands& operands, int64_t cell, int64_t units, bool reverse) {
    if (cell < 0 || cell > static_cast<int64_t>(Cell::simple_rnn) || units < 1) {
      checks.refuse("cell number " + std::to_string(cell) + " with " + std::to_string(units) + " units");
      return;
    }
    call.cell = static_cast<Cell>(cell);
    call.units = units;
    call.layout.reverse = reverse;
    read_offsets(checks, operands.offsets);
    read_inputs(checks, operands.inputs);
    call.weights.kernel = checks.given("kernel", operands.kernel, {call.features, width()});
    call.weights.recurrent_kernel = checks.given("recurrent_kernel", operands.recurrent_kernel, {units, width()});
    call.weights.bias = checks.given_or_null("bias", operands.bias, bias());
    call.initial_h = checks.given("state h", operands.h, state_h());
    call.initial_c = checks.given_or_null("state c", operands.c, state_c());
    read_dropout(checks, operands);
    call.layout.mask = checks.mask_or_null(operands.mask, flat() ? absent : Shape(call.layout.rows, call.layout.steps));
  }

  Recurrence(const Recurrence&) = delete;  // call holds the address of offsets

  bool flat() const { return !offsets.empty(); }
  int64_t width() const { return sostenuto::gates_of(call.cell) * call.units; }
  Shape bias() const { return call.cell == Cell::gru_reset_after ? Shape(2, width()) : Shape(width()); }
  Shape state_h() const { return {call.layout.rows, call.units}; }
  Shape state_c() const { return call.cell == Cell::lstm ? state_h() : absent; }
  Shape each_step(int64_t size) const {
    return flat() ? Shape(steps_in_memory, size) : Shape(call.layout.rows, call.layout.steps, size);
  }

  // Never (0,), which would say that nothing is saved.
  Shape saved() const {
    return std::max<int64_t>(1, sostenuto::saved_size(call.cell, steps_in_memory, call.units));
  }

  sostenuto::Forward call;
  int64_t steps_in_memory = 0;
  std::vector<int64_t> offsets;

 private:
  // By gate where that of the inputs is there, or that of the states is as wide as all gates.
  void read_dropout(Checks& checks, const Operands& operands) {
    const auto sizes = operands.recurrent_dropout.dimensions();
    const int64_t rows = call.layout.rows, gates = sostenuto::gates_of(call.cell);
    call.dropout_by_gate = !same(operands.input_dropout.dimensions(), absent) ||
                           (sizes.size() == 2 && sizes[1] != call.units);
    const Shape of_state = call.dropout_by_gate ? Shape(rows, width()) : state_h();
    call.recurrent_dropout = checks.given_or_null("recurrent_dropout", operands.recurrent_dropout, of_state);
    const Shape of_inputs(rows, gates * call.features);
    call.input_dropout = checks.given_or_null("input_dropout", operands.input_dropout, of_inputs);
  }

  // int32, unless JAX was told to use 64 bits.
  void read_offsets(Checks& checks, Buffer buffer) {
    const auto sizes = buffer.dimensions();
    const ffi::DataType type = buffer.element_type();
    if (same(sizes, absent)) return;
    if (sizes.size() != 1 || (type != ffi::S32 && type != ffi::S64)) {
      return checks.refuse("offsets: got " + in_words(type, sizes) + ", wanted int32 or int64 (rows + 1,)");
    }
    const auto* narrow = static_cast<const int32_t*>(buffer.untyped_data());
    const auto* wide = static_cast<const int64_t*>(buffer.untyped_data());
    if (type == ffi::S32) offsets.assign(narrow, narrow + sizes[0]);
    else offsets.assign(wide, wide + sizes[0]);
    call.layout.offsets = offsets.data();
    call.layout.rows = sizes[0] - 1;
  }

  void read_inputs(Checks& checks, Buffer buffer) {
    const auto sizes = buffer.dimensions();
    if (sizes.size() != (flat() ? 2 : 3) || buffer.element_type() != ffi::F32) {
      return checks.refuse("inputs: got " + in_words(buffer.element_type(), sizes) + ", wanted float32 " +
                           (flat() ? "(steps, features)" : "(rows, steps, features)"));
    }
    call.inputs = static_cast<const float*>(buffer.untyped_data());
    if (flat()) {
      steps_in_memory = sizes[0];
      call.features = sizes[1];
      return check_offsets(checks);
    }
    call.layout.rows = sizes[0];
    call.layout.steps = sizes[1];
    call.features = sizes[2];
    steps_in_memory = sizes[0] * sizes[1];
  }

  void check_offsets(Checks& checks) const {
    const bool rise = std::is_sorted(offsets.begin(), offsets.end());
    if (rise && offsets.front() == 0 && offsets.back() == steps_in_memory) return;
    checks.refuse("offsets: got " + std::to_string(offsets.front()) + " to " + std::to_string(offsets.back()) +
                  (rise ? "" : ", not rising all the way") + ", wanted 0 to " + std::to_string(steps_in_memory) +
                  ", the number of steps");
  }
};

template <typename Call>
ffi::Error run(void (*kernel)(const Call&), const Call& call) {
  try {
    kernel(call);
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string("The native kernel failed: ") + error.what());
  }
  return ffi::Error::Success();
}

ffi::Error forward(Buffer offsets, Buffer inputs, Buffer kernel, Buffer recurrent_kernel, Buffer bias, Buffer h,
                   Buffer c, Buffer recurrent_dropout, Buffer input_dropout, Buffer mask, Result outputs, Result last_h,
                   Result last_c, Result saved, int64_t cell, bool reverse, int64_t units) {
  Checks checks;
  const Operands operands{offsets, inputs, kernel, recurrent_kernel, bias,
                          h,       c,      recurrent_dropout, input_dropout, mask};
  Recurrence asked(checks, operands, cell, units, reverse);
  sostenuto::Forward& call = asked.call;
  call.outputs = checks.wanted_or_null("outputs", outputs, asked.each_step(units));
  call.last_h = checks.wanted_or_null("last h", last_h, asked.state_h());
  call.last_c = checks.wanted_or_null("last c", last_c, asked.state_c());
  call.saved = checks.wanted_or_null("saved", saved, asked.saved());
  if (call.saved && !call.outputs) checks.refuse("saved without outputs");
  return checks.passed() ? run(sostenuto::forward, call) : checks.error();
}

ffi::Error backward(Buffer offsets, Buffer inputs, Buffer kernel, Buffer recurrent_kernel, Buffer bias, Buffer h,
                    Buffer c, Buffer recurrent_dropout, Buffer input_dropout, Buffer mask, Buffer outputs, Buffer saved,
                    Buffer d_outputs, Buffer d_last_h, Buffer d_last_c, Result d_inputs, Result d_kernel,
                    Result d_recurrent_kernel, Result d_bias, Result d_h, Result d_c, int64_t cell, bool reverse,
                    int64_t units) {
  Checks checks;
  const Operands operands{offsets, inputs, kernel, recurrent_kernel, bias,
                          h,       c,      recurrent_dropout, input_dropout, mask};
  Recurrence asked(checks, operands, cell, units, reverse);
  // What the forward run has written is only read now.
  asked.call.outputs = const_cast<float*>(checks.given("outputs", outputs, asked.each_step(units)));
  asked.call.saved = const_cast<float*>(checks.given("saved", saved, asked.saved()));

  sostenuto::Backward call;
  call.d_outputs = checks.given_or_null("gradient of outputs", d_outputs, asked.each_step(units));
  call.d_last_h = checks.given_or_null("gradient of last h", d_last_h, asked.state_h());
  call.d_last_c = checks.given_or_null("gradient of last c", d_last_c, asked.state_c());
  const int64_t features = asked.call.features;
  call.d_inputs = checks.wanted_or_null("gradient of inputs", d_inputs, asked.each_step(features));
  call.d_kernel = checks.wanted_or_null("gradient of kernel", d_kernel, {features, asked.width()});
  call.d_recurrent_kernel =
      checks.wanted_or_null("gradient of recurrent_kernel", d_recurrent_kernel, {units, asked.width()});
  call.d_bias = checks.wanted_or_null("gradient of bias", d_bias, asked.bias());
  call.d_initial_h = checks.wanted_or_null("gradient of state h", d_h, asked.state_h());
  call.d_initial_c = checks.wanted_or_null("gradient of state c", d_c, asked.state_c());
  call.forward = asked.call;
  return checks.passed() ? run(sostenuto::backward, call) : checks.error();
}

template <int arguments, int results, typename Binding>
auto bound(Binding binding) {
  if constexpr (arguments > 0) {
    return bound<arguments - 1, results>(std::move(binding).template Arg<Buffer>());
  } else if constexpr (results > 0) {
    return bound<0, results - 1>(std::move(binding).template Ret<Buffer>());
  } else {
    auto named = std::move(binding).template Attr<int64_t>("cell").template Attr<bool>("reverse");
    return std::move(named).template Attr<int64_t>("units");
  }
}

XLA_FFI_DEFINE_HANDLER(forward_handler, forward, (bound<10, 4>(ffi::Ffi::Bind())));
XLA_FFI_DEFINE_HANDLER(backward_handler, backward, (bound<15, 6>(ffi::Ffi::Bind())));

}  // namespace

// The handlers by the name under which JAX registers them.
void bind_jax(nb::module_& module) {
  module.def("jax_targets", [] {
    nb::dict targets;
    targets["sostenuto_forward"] = nb::capsule(reinterpret_cast<void*>(forward_handler));
    targets["sostenuto_backward"] = nb::capsule(reinterpret_cast<void*>(backward_handler));
    add_jax_losses(targets);
    return targets;
  });
}
