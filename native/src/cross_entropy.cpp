// Rows of logits, shared out among threads.

#include "sostenuto/cross_entropy.h"

#include <algorithm>

#include "targets.h"
#include "threads.h"

namespace sostenuto {

namespace {

// What a logit costs, memory above all, in operations of products.
double work_of(const CrossEntropy& call) { return 75.0 * double(call.rows) * double(call.classes); }

bool is_class(const CrossEntropy& call, int64_t row) { return call.wanted[row] >= 0 && call.wanted[row] < call.classes; }

// f(kernels, row) for every row, some rows at a time: so many that it pays to ask for them.
template <class Function>
void by_rows(const CrossEntropy& call, Function f) {
  const int64_t at_once = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, call.classes));
  struct Context {
    const CrossEntropy& call;
    const Kernels& kernels;
    Function f;
    int64_t at_once;
  } context{call, kernels_in_use(), f, at_once};
  Crew crew = Crew::for_training(work_of(call));
  crew.run((call.rows + at_once - 1) / at_once, [](void* held, int64_t part) {
    const auto& it = *static_cast<const Context*>(held);
    const int64_t end = std::min(it.call.rows, (part + 1) * it.at_once);
    for (int64_t row = part * it.at_once; row < end; ++row) it.f(it.kernels, row);
  }, &context);
}

}  // namespace

void cross_entropy(const CrossEntropy& call, float* losses, float* kept) {
  by_rows(call, [&](const Kernels& kernels, int64_t row) {
    if (!is_class(call, row)) {
      losses[row] = kept[2 * row] = kept[2 * row + 1] = 0;
      return;
    }
    kernels.cross_entropy(call.logits + row * call.classes, call.classes, call.wanted[row], losses + row, kept + 2 * row);
  });
}

void cross_entropy_gradient(const CrossEntropy& call, const float* kept, const float* d_losses, float* d_logits) {
  by_rows(call, [&](const Kernels& kernels, int64_t row) {
    float* to = d_logits + row * call.classes;
    if (d_losses[row] == 0 || !is_class(call, row)) {
      std::fill(to, to + call.classes, 0.0f);
      return;
    }
    kernels.cross_entropy_gradient(call.logits + row * call.classes, call.classes, call.wanted[row], kept + 2 * row,
                                   d_losses[row], to);
  });
}

}  // namespace sostenuto
