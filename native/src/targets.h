// Which instruction sets were built, and which one is in use.

#pragma once

#include "job.h"

namespace sostenuto {

#ifdef SOSTENUTO_HAS_AVX512
namespace avx512 { extern const Kernels kernels; }
#endif
#ifdef SOSTENUTO_HAS_AVX2
namespace avx2 { extern const Kernels kernels; }
#endif
namespace generic { extern const Kernels kernels; }

const Kernels& kernels_in_use();

}  // namespace sostenuto
