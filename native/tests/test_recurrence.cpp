// The kernels against the twin: a plain program, exit status 1 if anything fails.
//
// With arguments it runs only the parts that they name: twin, values, odd_numbers, bits, callers, program, cross_entropy.

#include <chrono>
#include <cstdio>
#include <cstring>

#include "check.h"
#include "sostenuto/recurrence.h"
#include "tests.h"

namespace sostenuto::tests {

void on_every_target(int most_threads, const std::function<void(const std::string&)>& check) {
  const std::string at_first = target();
  for (const char* name : {"avx512", "avx2", "generic"}) {
    if (!set_target(name)) continue;
    for (int number = 1; number <= most_threads; ++number) {
      set_threads(number);
      check(std::string(name) + ", threads " + std::to_string(number));
    }
  }
  set_threads(0);
  set_target(at_first.c_str());
}

}  // namespace sostenuto::tests

int main(int count, char** arguments) {
  using namespace sostenuto;
  std::printf("target at first: %s, threads %d\n", target(), threads());
  struct Part {
    const char* name;
    void (*run)();
  };
  for (const Part& part : {Part{"twin", tests::check_twin}, Part{"values", tests::check_values},
                           Part{"odd_numbers", tests::check_odd_numbers}, Part{"bits", tests::check_bits},
                           Part{"callers", tests::check_callers}, Part{"program", tests::check_program},
                           Part{"cross_entropy", tests::check_cross_entropy}}) {
    bool chosen = count == 1;
    for (int k = 1; k < count; ++k) chosen = chosen || std::strcmp(arguments[k], part.name) == 0;
    if (!chosen) continue;
    int done_before = check::done, failed_before = check::failed;
    auto begin = std::chrono::steady_clock::now();
    part.run();
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("%-13s %6d checks, %4d failed, %.1f s\n", part.name, check::done - done_before,
                check::failed - failed_before, seconds.count());
    std::fflush(stdout);
  }
  return check::failed != 0 || check::done == 0;
}
