#include "threads.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "job.h"
#include "sostenuto/recurrence.h"

namespace sostenuto {

namespace {

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Some fifty microseconds of waiting for another thread; longer than that, somebody else may need the processor for it.
constexpr int64_t MOST_PAUSES = 1000;

// --- how many -----------------------------------------------------------------------------------------------------

// Processors that the quota of a cgroup file allows ("50000 100000" or two files), or 0.
int64_t quota_of(double quota, double period) {
  if (quota <= 0 || period <= 0) return 0;
  const double processors = quota / period;
  return processors < 1 ? 1 : int64_t(processors + 0.999);
}

int64_t cgroup_limit() {
  int64_t least = 0;
  const auto take = [&](int64_t found) {
    if (found > 0 && (least == 0 || found < least)) least = found;
  };
  const auto look = [&](std::string folder) {
    std::ifstream file(folder + "/cpu.max");
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max") take(quota_of(std::atof(quota.c_str()), period));
  };
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    const auto colon = line.rfind(':');
    if (colon == std::string::npos || line.compare(0, 3, "0::") != 0) continue;
    // Every level above may limit as well.
    std::string folder = line.substr(colon + 1);
    while (!folder.empty()) {
      look("/sys/fs/cgroup" + folder);
      folder.resize(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/'));
    }
  }
  look("/sys/fs/cgroup");
  std::ifstream quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double quota_time = 0, period_time = 0;
  if (quota >> quota_time && period >> period_time) take(quota_of(quota_time, period_time));
  return least;
}

int available_threads() {
  int64_t number = std::thread::hardware_concurrency();
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) number = CPU_COUNT(&set);
  const int64_t limit = cgroup_limit();
  if (limit > 0 && limit < number) number = limit;
#endif
  return int(number < 1 ? 1 : number > 256 ? 256 : number);
}

std::atomic<int> chosen_threads{0};

// --- a pool of our own --------------------------------------------------------------------------------------------

// Workers claim parts by counting up `claim_`: the upper half tells the job, the lower one the next part. A claim can
// only succeed while its job is running, because the job waits for every part.
class Pool {
 public:
  std::mutex in_use;

  void start(int64_t workers) {
    for (; workers_ < workers; ++workers_) std::thread([this] { work(); }).detach();
  }

  void run(int64_t parts, Part f, void* context, bool together) {
    f_ = f;
    context_ = context;
    parts_.store(parts, std::memory_order_relaxed);
    left_.store(parts, std::memory_order_relaxed);
    const uint64_t job = ++job_;
    claim_.store(job << 32, std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) > 0) {
      { std::lock_guard<std::mutex> lock(mutex_); }
      wake_.notify_all();
    }
    // Parts that wait for each other need a thread each.
    for (int64_t part; (part = claim(job)) >= 0;) {
      f(context, part);
      left_.fetch_sub(1, std::memory_order_acq_rel);
      if (together) break;
    }
    for (int64_t turn = 0; left_.load(std::memory_order_acquire) > 0; ++turn)
      turn < MOST_PAUSES ? pause() : void(sched_yield());
  }


  // Whether a short call should share its work: workers are awake, or soon will be of use.
  bool ready_for_short_call() {
    using Clock = std::chrono::steady_clock;
    const Clock::rep now = Clock::now().time_since_epoch().count(), before = last_short_call_;
    last_short_call_ = now;
    if (sleeping_.load(std::memory_order_relaxed) == 0) return true;
    return Clock::duration(now - before) < std::chrono::microseconds(150);
  }

 private:
  int64_t claim(uint64_t job) {
    uint64_t seen = claim_.load(std::memory_order_acquire);
    while (seen >> 32 == (job & 0xFFFFFFFF) && int64_t(seen & 0xFFFFFFFF) < parts_.load(std::memory_order_relaxed))
      if (claim_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) return int64_t(seen & 0xFFFFFFFF);
    return -1;
  }

  void work() {
    uint64_t known = 0;
    for (;;) {
      const uint64_t job = wait_for_another(known);
      for (int64_t part; (part = claim(job)) >= 0;) {
        f_(context_, part);
        left_.fetch_sub(1, std::memory_order_acq_rel);
      }
      known = job;
    }
  }

  // The next call often comes at once: a short while of spinning, then sleep.
  uint64_t wait_for_another(uint64_t known) {
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t turn = 1;; ++turn) {
      const uint64_t job = claim_.load(std::memory_order_acquire) >> 32;
      if (job != known) return job;
      pause();
      if (turn % 64 == 0 && std::chrono::steady_clock::now() - begin > std::chrono::microseconds(100)) break;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.fetch_add(1, std::memory_order_seq_cst);
    wake_.wait(lock, [&] { return claim_.load(std::memory_order_seq_cst) >> 32 != known; });
    sleeping_.fetch_sub(1, std::memory_order_seq_cst);
    return claim_.load(std::memory_order_acquire) >> 32;
  }

  alignas(64) std::atomic<uint64_t> claim_{0};
  alignas(64) std::atomic<int64_t> left_{0};
  alignas(64) std::atomic<int> sleeping_{0};
  std::atomic<int64_t> parts_{0};
  Part f_ = nullptr;
  void* context_ = nullptr;
  uint32_t job_ = 0;
  int64_t workers_ = 0;
  std::chrono::steady_clock::rep last_short_call_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
};

std::atomic<Pool*> current_pool{nullptr};
std::atomic<bool> forked{false};

// A child process has none of its parent's threads, and maybe a locked mutex: it begins with another pool.
void after_fork() {
  current_pool.store(nullptr);
  forked.store(true);
}

Pool& pool() {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, after_fork); });
  Pool* known = current_pool.load();
  if (known) return *known;
  Pool* fresh = new Pool;  // never deleted: its threads outlive the statics
  if (current_pool.compare_exchange_strong(known, fresh)) return *fresh;
  delete fresh;
  return *known;
}

// --- the OpenMP threads of the process ----------------------------------------------------------------------------

struct OpenMP {
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
  int (*thread_number)() = nullptr;
  int (*in_parallel)() = nullptr;
  int (*thread_limit)() = nullptr;

  bool find() {
    parallel = reinterpret_cast<decltype(parallel)>(symbol("GOMP_parallel"));
    thread_number = reinterpret_cast<decltype(thread_number)>(symbol("omp_get_thread_num"));
    in_parallel = reinterpret_cast<decltype(in_parallel)>(symbol("omp_in_parallel"));
    thread_limit = reinterpret_cast<decltype(thread_limit)>(symbol("omp_get_thread_limit"));
    return parallel && thread_number && in_parallel && thread_limit;
  }

  static void* symbol(const char* name) {
    // A library that Python has loaded is not in the global scope; the loader knows it by its name all the same.
    if (void* found = dlsym(RTLD_DEFAULT, name)) return found;
    for (const char* library : {"libgomp.so.1", "libgomp.dylib"})
      if (void* handle = dlopen(library, RTLD_NOLOAD | RTLD_LAZY))
        if (void* found = dlsym(handle, name)) return found;
    return nullptr;
  }
};

OpenMP openmp;
std::atomic<bool> openmp_wanted{false};

bool runs_on_openmp() { return openmp_wanted.load(std::memory_order_relaxed) && !forked.load(std::memory_order_relaxed); }

struct Parts {
  int64_t number;
  Part f;
  void* context;
  bool together;
  std::atomic<int64_t> next{0};
};

void run_openmp(int64_t parts, Part f, void* context, int64_t threads, bool together) {
  Parts all{parts, f, context, together};
  openmp.parallel(
      [](void* pointer) {
        Parts& all = *static_cast<Parts*>(pointer);
        for (int64_t part; (part = all.next.fetch_add(1)) < all.number;) {
          all.f(all.context, part);
          if (all.together) break;
        }
      },
      &all, unsigned(threads), 0);
}

}  // namespace

int threads() {
  static const int available = available_threads();
  const int chosen = chosen_threads.load(std::memory_order_relaxed);
  return chosen > 0 ? chosen : available;
}

void set_threads(int number) { chosen_threads.store(number < 1 ? 0 : number > 256 ? 256 : number); }

bool use_openmp(bool wanted) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  pool();  // which knows when the process forks
  const bool found = wanted && (openmp_wanted.load() || openmp.find());
  openmp_wanted.store(found);
  return found;
}

Crew::Crew(double work, Use use) {
  // A thread more for about every ten microseconds of work: below that, it costs more than it does.
  const double worth = 1 + work / (use == Use::short_call ? 5e5 : 1.5e6);
  const int64_t most = threads();
  size_ = worth < double(most) ? int64_t(worth) : most;
  if (size_ <= 1) return;
  if (runs_on_openmp() && use != Use::short_call) {
    const int limit = openmp.thread_limit();
    if (openmp.in_parallel()) size_ = 1;
    if (limit < size_) size_ = limit < 1 ? 1 : limit;
    return;
  }
  Pool& own = pool();
  if (!own.in_use.try_lock()) {
    size_ = 1;
    return;
  }
  // Waking a thread takes as long as some ten million operations.
  if (use != Use::training && work < 1.6e7 && !own.ready_for_short_call()) {
    own.in_use.unlock();
    size_ = 1;
    return;
  }
  holds_pool_ = true;
  own.start(size_ - 1);
}

Crew::~Crew() {
  if (holds_pool_) pool().in_use.unlock();
}

void Crew::run(int64_t parts, Part f, void* context) {
  if (size_ == 1 || parts == 1) {
    for (int64_t part = 0; part < parts; ++part) f(context, part);
  } else if (holds_pool_) {
    pool().run(parts, f, context, false);
  } else {
    run_openmp(parts, f, context, size_ < parts ? size_ : parts, false);
  }
}

void Crew::run_together(int64_t parts, Part f, void* context) {
  if (parts == 1) {
    f(context, 0);
  } else if (holds_pool_) {
    pool().run(parts, f, context, true);
  } else {
    run_openmp(parts, f, context, parts, true);
  }
}

void meet(Meeting& meeting, int64_t members) {
  const uint32_t round = __atomic_load_n(&meeting.round, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&meeting.arrived, 1, __ATOMIC_ACQ_REL) == members) {
    __atomic_store_n(&meeting.arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&meeting.round, round + 1, __ATOMIC_RELEASE);
    return;
  }
  for (int64_t turn = 0; __atomic_load_n(&meeting.round, __ATOMIC_ACQUIRE) == round; ++turn)
    turn < MOST_PAUSES ? pause() : void(sched_yield());
}

}  // namespace sostenuto
