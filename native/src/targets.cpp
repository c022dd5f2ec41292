#include "targets.h"

#include <atomic>
#include <cstring>

namespace sostenuto {

namespace {

const Kernels* find(const char* name) {
  const auto is = [&](const char* other) { return !name || std::strcmp(name, other) == 0; };
#ifdef SOSTENUTO_HAS_AVX512
  if (is("avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return &avx512::kernels;
#endif
#ifdef SOSTENUTO_HAS_AVX2
  if (is("avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &avx2::kernels;
#endif
  return is("generic") ? &generic::kernels : nullptr;
}

std::atomic<const Kernels*> chosen{nullptr};

}  // namespace

const Kernels& kernels_in_use() {
  const Kernels* known = chosen.load(std::memory_order_acquire);
  if (known) return *known;
  known = find(nullptr);  // the best
  chosen.store(known, std::memory_order_release);
  return *known;
}

const char* target() { return kernels_in_use().name; }

bool set_target(const char* name) {
  const Kernels* found = find(name);
  if (found) chosen.store(found, std::memory_order_release);
  return found != nullptr;
}

}  // namespace sostenuto
