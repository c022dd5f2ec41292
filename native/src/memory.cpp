#include "memory.h"

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

}  // namespace sostenuto
