// Several callers at once, and callers after a fork.

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "check.h"
#include "problem.h"
#include "tests.h"

namespace sostenuto::tests {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool thread_sanitizer = true;
#else
constexpr bool thread_sanitizer = false;
#endif

// A problem and what came out of it when nobody else was calling.
class Caller {
 public:
  explicit Caller(const Shape& shape)
      : problem_(shape), alone_(problem_.results(false)), gradients_(problem_.gradients()) {
    forward(problem_.call(alone_));
    Results results = problem_.results(true);
    forward(problem_.call(results));
    backward(problem_.call_back(results, gradients_));
  }

  // What is different now; empty if nothing.
  std::string again() const {
    Results results = problem_.results(false);
    forward(problem_.call(results));
    if (!same(results.outputs, alone_.outputs) || !same(results.last_h, alone_.last_h)) return "other bits";
    Results trained = problem_.results(true);
    forward(problem_.call(trained));
    Gradients gradients = problem_.gradients();
    backward(problem_.call_back(trained, gradients));
    std::string trouble = difference("outputs with saved", trained.outputs, alone_.outputs, 1e-6);
    trouble += difference(gradients, gradients_) + damage(results) + damage(trained) + damage(gradients);
    return trouble + problem_.damage();
  }

  std::string text() const { return problem_.shape.text(); }

 private:
  Problem problem_;
  Results alone_;
  Gradients gradients_;
};

// One of a size to be shared by rows, one by units, and small ones.
std::vector<Caller> four_callers() {
  std::vector<Caller> callers;
  const int64_t sizes[][4] = {{48, 20, 16, 48}, {1, 20, 16, 256}, {5, 12, 3, 17}, {24, 9, 33, 64}};
  for (int k = 0; k < 4; ++k) {
    Shape shape;
    shape.cell = Cell(k);
    shape.kind = Rows(k);
    shape.rows = sizes[k][0];
    shape.steps = sizes[k][1];
    shape.features = sizes[k][2];
    shape.units = sizes[k][3];
    shape.seed = uint32_t(k + 50);
    callers.emplace_back(shape);
  }
  return callers;
}

void check_at_once(const std::vector<Caller>& callers, const std::string& where) {
  std::vector<std::string> troubles(callers.size());
  std::vector<std::thread> crowd;
  for (size_t k = 0; k < callers.size(); ++k) {
    crowd.emplace_back([&, k] {
      for (int round = 0; round < 10 && troubles[k].empty(); ++round) troubles[k] = callers[k].again();
    });
  }
  for (std::thread& each : crowd) each.join();
  for (size_t k = 0; k < callers.size(); ++k) {
    CHECK_NO_TROUBLE(troubles[k], callers[k].text() + ", one of four callers; " + where);
  }
}

const std::string hanging = "the child hangs";

// Waits for a child; kills it after the timeout.
std::string outcome_of(pid_t child, double timeout) {
  auto begin = std::chrono::steady_clock::now();
  for (;;) {
    int status = 0;
    pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended < 0) return "the child cannot be waited for";
    if (ended == child && WIFSIGNALED(status)) return "the child died of signal " + std::to_string(WTERMSIG(status));
    if (ended == child) return WEXITSTATUS(status) == 0 ? "" : "the child got other results";
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > timeout) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return hanging;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// False if the child hangs: the next ones would, too.
bool check_after_fork(const Caller& caller, const std::string& where) {
  CHECK_NO_TROUBLE(caller.again(), caller.text() + ", before a fork; " + where);
  std::fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    bool right = caller.again().empty() && caller.again().empty();
    _exit(right ? 0 : 1);
  }
  const std::string outcome = child < 0 ? "cannot fork" : outcome_of(child, 20);
  CHECK_NO_TROUBLE(outcome, caller.text() + ", after a fork; " + where);
  CHECK_NO_TROUBLE(caller.again(), caller.text() + ", in the parent of a fork; " + where);
  return outcome != hanging;
}

void check_all(const std::string& where) {
  const std::vector<Caller> callers = four_callers();
  check_at_once(callers, where);
  if (thread_sanitizer) return;  // it cannot follow a fork
  for (const Caller& caller : callers) {
    if (!check_after_fork(caller, where)) break;
  }
}

}  // namespace

void check_callers() {
  on_every_target(3, check_all);
  if (thread_sanitizer) return;  // nor the locks of an OpenMP that was built without it

  // OpenMP is used where it is in the process already, as under torch; here we bring it in.
  const bool brought = dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  const bool used = brought && use_openmp(true);
  std::printf("OpenMP %s\n", used ? "used" : brought ? "there, and not used" : "not there");
  if (!used) return;
  on_every_target(3, [](const std::string& where) { check_all(where + ", OpenMP"); });
  use_openmp(false);
}

}  // namespace sostenuto::tests
