// The Python module sostenuto._native: names, checks of arguments and the GIL; whatever computes is in recurrence.h.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "sostenuto/recurrence.h"

namespace nb = nanobind;
using namespace nb::literals;

void bind_call(nb::module_& module);        // call.cpp
void bind_jax(nb::module_& module);         // jax_ffi.cpp
void bind_program(nb::module_& module);     // program.cpp
void bind_tensorflow(nb::module_& module);  // tensorflow_op.cpp

NB_MODULE(_native, m) {
  m.doc() = "The kernels of Sostenuto in C++; native/include/sostenuto/recurrence.h says what each name means.";
  m.attr("interface") = SOSTENUTO_INTERFACE;

  m.def("target", &sostenuto::target, "The instruction set in use: 'avx512', 'avx2' or 'generic'.");
  m.def(
      "set_target", [](const std::string& name) { return sostenuto::set_target(name.c_str()); }, "name"_a,
      "Takes another instruction set; False where this processor or build has not got it.");
  m.def("threads", &sostenuto::threads, "The number of threads that a call may use.");
  // Others may be inside a call that holds a lock of the threads and waits for the GIL.
  m.def("set_threads", &sostenuto::set_threads, "number"_a, nb::call_guard<nb::gil_scoped_release>(),
        "Sets the number of threads; below 1: as many as the process may run on.");
  m.def("use_openmp", &sostenuto::use_openmp, "wanted"_a, nb::call_guard<nb::gil_scoped_release>(),
        "Runs on the OpenMP threads of the process instead of own ones; False where there are none.");

#ifdef SOSTENUTO_HAS_CALL
  bind_call(m);
#endif
#ifdef SOSTENUTO_HAS_PROGRAM
  bind_program(m);
#endif
#ifdef SOSTENUTO_HAS_JAX
  bind_jax(m);
#endif
#ifdef SOSTENUTO_HAS_TENSORFLOW
  bind_tensorflow(m);
#endif
}
