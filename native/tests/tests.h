// The parts of the test program, each a file of its own.

#pragma once

#include <functional>
#include <string>
#include <vector>

namespace sostenuto::tests {

// check_gradients.cpp: the twin against finite differences of itself.
void check_twin();

// check_values.cpp: the kernels against the twin, forward and backward, and the settings.
void check_values();

// check_odd_numbers.cpp: NaN and infinity in inputs and weights reach what they reach in the twin, and nothing else.
void check_odd_numbers();

// check_bits.cpp: the bits of a row alone, in any batch, in any chunks, with any number of threads.
void check_bits();

// check_callers.cpp: several callers at once, and callers after a fork.
void check_callers();

// check_program.cpp: programs against sums written out, and the bits of their rows.
void check_program();

// check_cross_entropy.cpp: losses and gradients of rows of logits against sums in double.
void check_cross_entropy();

// Runs `check` once for every target that this processor has and every number of threads, 1 to `most_threads`, and says
// to it which they are. Leaves the target and the number of threads as they were at first.
void on_every_target(int most_threads, const std::function<void(const std::string& where)>& check);

}  // namespace sostenuto::tests
