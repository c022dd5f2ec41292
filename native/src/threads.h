// Threads that run the parts of one call.

#pragma once

#include <cstdint>

namespace sostenuto {

using Part = void (*)(void* context, int64_t part);

// The threads for one call: taken when it is made, given back when it ends. One call has them at a time; another that
// comes meanwhile runs on its own thread alone.
class Crew {
 public:
  // For so many floating point operations of training, where the next call is sure to come.
  static Crew for_training(double work) { return Crew(work, Use::training); }

  // For so many of inference: for few of them sleeping threads are woken only when calls follow each other so fast that
  // it pays.
  static Crew for_inference(double work) { return Crew(work, Use::inference); }

  // For one of many short calls, such as the steps of a session: a smaller share is worth a thread, but not one of
  // OpenMP's, which cost more to start.
  static Crew for_short_call(double work) { return Crew(work, Use::short_call); }

  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  int64_t size() const { return size_; }

  // Runs f for the parts 0 .. parts - 1. Whoever is free takes the next one, so a thread that wakes up late costs
  // nothing.
  void run(int64_t parts, Part f, void* context);

  // Runs f for all parts at the same time, so that they may wait for each other; no more parts than size().
  void run_together(int64_t parts, Part f, void* context);

 private:
  enum class Use { training, inference, short_call };
  Crew(double work, Use use);

  int64_t size_ = 1;
  bool holds_pool_ = false;
};

}  // namespace sostenuto
