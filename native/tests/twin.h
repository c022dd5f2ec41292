// The twin: the same contract as recurrence.h, written to be read. The oracle of the C++ tests.
//
// One number at a time, no threads, sums and activations in double; only what the contract makes visible between two
// steps, h and c, is rounded to float. The equations are those of src/sostenuto/cells/*.py.

#pragma once

#include "sostenuto/recurrence.h"

namespace sostenuto::twin {

// As sostenuto::forward; leaves `saved` alone.
void forward(const Forward& call);

// As sostenuto::backward; runs forward again and reads neither `saved` nor `outputs`.
void backward(const Backward& call);

}  // namespace sostenuto::twin
