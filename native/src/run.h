// A forward call with weights that are packed already.

#pragma once

#include "job.h"

namespace sostenuto {

// `packed` holds the panels of these kernels, or is null: they are packed for this call.
void run_forward(const Forward& call, const Kernels& kernels, float* packed);

}  // namespace sostenuto
