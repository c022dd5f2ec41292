// Checks that count and print what fails.

#pragma once

#include <cstdio>
#include <string>

namespace check {

inline int failed = 0;
inline int done = 0;
constexpr int most_printed = 200;

// `trouble` is empty where all is well, else what went wrong; `which` says which case it was.
inline void expect(const std::string& trouble, const std::string& which, const char* file, int line) {
  ++done;
  if (trouble.empty()) return;
  ++failed;
  if (failed <= most_printed) std::printf("%s:%d: %s\n    in %s\n", file, line, trouble.c_str(), which.c_str());
  if (failed == most_printed) std::printf("further failures are counted only\n");
}

}  // namespace check

#define CHECK(condition, which) check::expect((condition) ? "" : "not so: " #condition, which, __FILE__, __LINE__)
#define CHECK_NO_TROUBLE(trouble, which) check::expect(trouble, which, __FILE__, __LINE__)
