// Calls with random numbers for the tests, all their arrays between canaries.

#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "sostenuto/recurrence.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace sostenuto::tests {

// An array with canaries before and after it, or none at all (a null pointer). An odd number of canaries, so that
// nothing may count on more alignment than that of a single number. As floats, and as unwritten results, they are NaN.
template <class Number>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(int64_t size) : size_(size), all_(size + 2 * canaries) {
    std::memset(static_cast<void*>(all_.data()), canary, all_.size() * sizeof(Number));
    poison();
  }
  Guarded(const Guarded& other) : size_(other.size_) {
    other.unpoison();
    all_ = other.all_;
    other.poison();
    poison();
  }
  Guarded(Guarded&& other) noexcept : size_(other.size_), all_(std::move(other.all_)) { other.size_ = 0; }
  Guarded& operator=(Guarded other) {
    unpoison();
    std::swap(size_, other.size_);
    std::swap(all_, other.all_);
    return *this;
  }
  ~Guarded() { unpoison(); }

  explicit operator bool() const { return !all_.empty(); }
  int64_t size() const { return size_; }
  Number* data() { return *this ? all_.data() + canaries : nullptr; }
  const Number* data() const { return *this ? all_.data() + canaries : nullptr; }
  Number& operator[](int64_t k) { return data()[k]; }
  Number operator[](int64_t k) const { return data()[k]; }

  bool canaries_live() const {
    unpoison();
    bool live = true;
    const auto* bytes = reinterpret_cast<const unsigned char*>(all_.data());
    size_t begin = canaries * sizeof(Number), end = begin + size_ * sizeof(Number);
    for (size_t k = 0; k < all_.size() * sizeof(Number); ++k) {
      if (k < begin || k >= end) live = live && bytes[k] == canary;
    }
    poison();
    return live;
  }

 private:
  static constexpr int64_t canaries = 17;
  static constexpr unsigned char canary = 0xFF;

  void poison() const {
    if (!*this) return;
    ASAN_POISON_MEMORY_REGION(all_.data(), canaries * sizeof(Number));
    ASAN_POISON_MEMORY_REGION(data() + size_, canaries * sizeof(Number));
  }
  void unpoison() const { ASAN_UNPOISON_MEMORY_REGION(all_.data(), all_.size() * sizeof(Number)); }

  int64_t size_ = 0;
  std::vector<Number> all_;
};

using Floats = Guarded<float>;

// The same bits.
inline bool same(const Floats& a, const Floats& b) {
  return a.size() == b.size() && (a.size() == 0 || std::memcmp(a.data(), b.data(), sizeof(float) * a.size()) == 0);
}

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t below(int64_t limit) { return int64_t(engine_() % uint64_t(limit)); }
  bool coin() { return below(2) == 0; }
  float between(double low, double high) { return float(low + (high - low) * double(engine_()) / 4294967296.0); }
  template <class Choice>
  Choice one_of(const std::vector<Choice>& choices) {
    return choices[below(int64_t(choices.size()))];
  }
  Floats floats(int64_t size, double low, double high);

 private:
  std::mt19937 engine_;
};

enum class Rows { dense, prefix, gaps, flat };  // how the steps of the rows lie in memory

// What to make a problem of.
struct Shape {
  Cell cell = Cell::lstm;
  Rows kind = Rows::dense;
  int64_t rows = 3, steps = 5, features = 4, units = 5;
  bool reverse = false, initial_h = true, initial_c = true, bias = true, dropout = false;
  bool by_gate = false;  // dropout of the states, and of the inputs, for each gate
  bool all_gradients = true;  // else some of the gradients, given and wanted, are null
  uint32_t seed = 1;

  std::string text() const;
};

// The results of a call; none (null) where not wanted.
struct Results {
  Floats outputs, last_h, last_c, saved;
};

struct Gradients {
  Floats inputs, kernel, recurrent_kernel, bias, initial_h, initial_c;
};

// Whatever goes into a call, forward and backward.
struct Problem {
  explicit Problem(const Shape& wanted);

  Layout layout() const;
  int64_t steps_in_memory() const { return layout().steps_in_memory(); }
  bool is_lstm() const { return shape.cell == Cell::lstm; }

  // Fresh arrays for all results; `saved` with training only.
  Results results(bool training) const;
  Gradients gradients() const;  // those that are wanted

  Forward call(Results& results) const;
  Backward call_back(Results& results, Gradients& gradients) const;

  // What has changed since it was made, canaries included; empty if nothing.
  std::string damage() const;

  Shape shape;
  Guarded<int64_t> offsets;
  Guarded<uint8_t> mask;
  Floats kernel, recurrent_kernel, bias, inputs, initial_h, initial_c, dropout, input_dropout;
  Floats d_outputs, d_last_h, d_last_c;
  bool wants[6] = {true, true, true, true, true, true};  // in the order of Gradients

 private:
  uint64_t fingerprint() const;
  uint64_t fingerprint_ = 0;
};

// The first result whose canaries are dead; empty if none.
std::string damage(const Results& results);
std::string damage(const Gradients& gradients);

// Where got is further from wanted than tolerance, or one is NaN or infinite and the other is not so; else empty.
std::string difference(const char* name, const Floats& got, const Floats& wanted, double tolerance);

// The comparison of all gradients: 2e-5 of the largest of an array, and 1e-6.
std::string difference(const Gradients& got, const Gradients& wanted);

}  // namespace sostenuto::tests
