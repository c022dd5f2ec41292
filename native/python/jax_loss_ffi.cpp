// The cross-entropy as two calls of XLA's foreign function interface, for JAX on CPU; sizes are checked in jax_losses.py.

#include <nanobind/nanobind.h>

#include <exception>
#include <string>
#include <vector>

#include "sostenuto/cross_entropy.h"
#include "xla/ffi/api/ffi.h"

namespace nb = nanobind;
namespace ffi = xla::ffi;

namespace {

using Classes = ffi::BufferR1<ffi::S32>;
using Vector = ffi::BufferR1<ffi::F32>;
using Matrix = ffi::BufferR2<ffi::F32>;

// Reads the classes, which JAX has as int32, and runs f on the call.
template <typename Function>
ffi::Error run(const Matrix& logits, const Classes& classes, Function f) {
  const int64_t rows = logits.dimensions()[0];
  if (int64_t(classes.element_count()) != rows) return ffi::Error::InvalidArgument("classes of another size");
  try {
    const std::vector<int64_t> wanted(classes.typed_data(), classes.typed_data() + rows);
    f(sostenuto::CrossEntropy{rows, logits.dimensions()[1], logits.typed_data(), wanted.data()});
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string("The native cross-entropy failed: ") + error.what());
  }
  return ffi::Error::Success();
}

ffi::Error losses(Matrix logits, Classes classes, ffi::Result<Vector> losses, ffi::Result<Matrix> kept) {
  return run(logits, classes, [&](const sostenuto::CrossEntropy& call) {
    sostenuto::cross_entropy(call, losses->typed_data(), kept->typed_data());
  });
}

ffi::Error gradient(Matrix logits, Classes classes, Matrix kept, Vector d_losses, ffi::Result<Matrix> d_logits) {
  return run(logits, classes, [&](const sostenuto::CrossEntropy& call) {
    sostenuto::cross_entropy_gradient(call, kept.typed_data(), d_losses.typed_data(), d_logits->typed_data());
  });
}

XLA_FFI_DEFINE_HANDLER(losses_handler, losses,
                       ffi::Ffi::Bind().Arg<Matrix>().Arg<Classes>().Ret<Vector>().Ret<Matrix>());
XLA_FFI_DEFINE_HANDLER(gradient_handler, gradient,
                       ffi::Ffi::Bind().Arg<Matrix>().Arg<Classes>().Arg<Matrix>().Arg<Vector>().Ret<Matrix>());

}  // namespace

void add_jax_losses(nb::dict& targets) {
  targets["sostenuto_cross_entropy"] = nb::capsule(reinterpret_cast<void*>(losses_handler));
  targets["sostenuto_cross_entropy_gradient"] = nb::capsule(reinterpret_cast<void*>(gradient_handler));
}
