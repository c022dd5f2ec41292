#include "memory.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace sostenuto {

namespace {

struct Block {
  char* memory;
  size_t size;
};

constexpr size_t MOST_BLOCKS = 8;

std::mutex mutex;

std::vector<Block>& kept() {
  static auto* blocks = new std::vector<Block>;  // never deleted: a thread may still run while the process ends
  return *blocks;
}

}  // namespace

Memory::Memory(size_t bytes) : block_(nullptr), size_(0) {
  if (bytes == 0) return;
  {
    std::lock_guard<std::mutex> lock(mutex);
    auto& blocks = kept();
    // The smallest that is large enough; else the largest makes room for a larger one.
    size_t best = blocks.size();
    for (size_t i = 0; i < blocks.size(); ++i)
      if (blocks[i].size >= bytes && (best == blocks.size() || blocks[i].size < blocks[best].size)) best = i;
    if (best < blocks.size()) {
      block_ = blocks[best].memory;
      size_ = blocks[best].size;
      blocks[best] = blocks.back();
      blocks.pop_back();
      return;
    }
    if (!blocks.empty()) {
      std::free(blocks.back().memory);
      blocks.pop_back();
    }
  }
  size_ = (bytes + bytes / 8 + 4095) / 4096 * 4096;
  block_ = static_cast<char*>(std::aligned_alloc(4096, size_));
  if (!block_) throw std::bad_alloc();
}

Memory::~Memory() {
  if (!block_) return;
  std::lock_guard<std::mutex> lock(mutex);
  auto& blocks = kept();
  if (blocks.size() < MOST_BLOCKS)
    blocks.push_back({block_, size_});
  else
    std::free(block_);
}

void ask_for_large_pages(float* numbers, int64_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t PAGE = uintptr_t(2) << 20;
  const uintptr_t address = reinterpret_cast<uintptr_t>(numbers);
  const uintptr_t begin = (address + PAGE - 1) / PAGE * PAGE, end = (address + size_t(size) * sizeof(float)) / PAGE * PAGE;
  if (numbers && begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)numbers, (void)size;
#endif
}

}  // namespace sostenuto
