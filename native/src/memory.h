// Scratch memory of a call: kept for the next one, because fresh pages cost more than the sums.

#pragma once

#include <cstddef>
#include <cstdint>

namespace sostenuto {

class Memory {
 public:
  explicit Memory(size_t bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  char* data() const { return block_; }

 private:
  char* block_;
  size_t size_;
};

// For a large result, which may be fresh memory, where every page costs an interruption when it is first written: asks for
// pages of 2 MB instead of 4 KB where the system has them. What is in the memory stays; null is left alone.
void ask_for_large_pages(float* numbers, int64_t size);

}  // namespace sostenuto
