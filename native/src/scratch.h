// Memory of one member or group, cut into arrays. Run without memory, it measures how much is needed.

#pragma once

#include <cstddef>
#include <cstdint>

#include "simd.h"

namespace sostenuto::SOSTENUTO_TARGET {

class Cut {
 public:
  explicit Cut(char* memory) : memory_(memory) {}

  template <class Item>
  SOSTENUTO_INLINE Item* take(int64_t number) {
    Item* taken = reinterpret_cast<Item*>(memory_ + used_);
    used_ += (size_t(number) * sizeof(Item) + 63) / 64 * 64;
    return taken;
  }

  // Arrays of one length.
  template <class... Items>
  SOSTENUTO_INLINE void take_all(int64_t number, Items*&... arrays) {
    ((arrays = take<Items>(number)), ...);
  }

  size_t used() const { return used_; }

 private:
  char* memory_;
  size_t used_ = 0;
};

}  // namespace sostenuto::SOSTENUTO_TARGET
