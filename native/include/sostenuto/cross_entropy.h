// The cross-entropy of one class of many, for rows of logits: what a language model spends its time on beside products.
//
// Legend as in recurrence.h; V classes. Loss of a row: log(sum(exp(logits))) - logits[class].

#pragma once

#include <cstdint>

namespace sostenuto {

struct CrossEntropy {
  int64_t rows = 0;                  // B
  int64_t classes = 0;               // V
  const float* logits = nullptr;     // (B, V)
  const int64_t* wanted = nullptr;   // (B,), the class of each row; one that there is not costs nothing
};

// losses (B,); kept (B, 2) is what the gradient needs. NaN for a row with NaN or plus infinity; minus infinity is a class
// that cannot be.
void cross_entropy(const CrossEntropy& call, float* losses, float* kept);

// d_logits (B, V) = (softmax(logits) - one at the class) * d_losses, which are (B,). A row whose d_loss is 0, padding
// above all, is not read and gets zeros.
void cross_entropy_gradient(const CrossEntropy& call, const float* kept, const float* d_losses, float* d_logits);

}  // namespace sostenuto
