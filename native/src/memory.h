// Scratch memory of a call: kept for the next one, because fresh pages cost more than the sums.

#pragma once

#include <cstddef>

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

}  // namespace sostenuto
