// Memory for what forward() saves, kept for another call when its tensor is gone.
//
// A training step that got fresh pages for it every time would spend 5 to 8 % of its time on them.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace nb = nanobind;

namespace {

constexpr size_t PAGE = 4096;
constexpr size_t MOST_BYTES = size_t(512) << 20;

struct Block {
  void* memory;
  size_t size;
};

class Kept {
 public:
  Block take(size_t bytes) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      size_t best = blocks_.size();
      // One that is much too large is left for those who need it.
      for (size_t i = 0; i < blocks_.size(); ++i)
        if (blocks_[i].size >= bytes && blocks_[i].size <= 2 * bytes + PAGE &&
            (best == blocks_.size() || blocks_[i].size < blocks_[best].size))
          best = i;
      if (best < blocks_.size()) {
        Block found = blocks_[best];
        blocks_.erase(blocks_.begin() + best);
        bytes_ -= found.size;
        return found;
      }
    }
    // A little more, because batches of sequences differ in their number of steps.
    size_t size = (bytes + bytes / 8 + PAGE) / PAGE * PAGE;
    void* memory = std::aligned_alloc(PAGE, size);
    if (!memory) throw std::bad_alloc();
    return {memory, size};
  }

  void give_back(Block block) noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    blocks_.push_back(block);
    bytes_ += block.size;
    while (bytes_ > MOST_BYTES) {  // the one that nobody has wanted for the longest time
      bytes_ -= blocks_.front().size;
      std::free(blocks_.front().memory);
      blocks_.erase(blocks_.begin());
    }
  }

 private:
  std::mutex mutex_;
  std::vector<Block> blocks_;  // in the order in which they came back
  size_t bytes_ = 0;
};

Kept& kept() {
  static auto* one = new Kept;  // never deleted: tensors may outlive the statics
  return *one;
}

using Tensor = nb::ndarray<nb::pytorch, float, nb::ndim<1>, nb::device::cpu>;

Tensor tensor(size_t numbers) {
  auto* block = new Block(kept().take(numbers * sizeof(float)));
  nb::capsule owner(block, [](void* held) noexcept {
    auto* block = static_cast<Block*>(held);
    kept().give_back(*block);
    delete block;
  });
  return Tensor(block->memory, {numbers}, owner);
}

}  // namespace

void bind_kept(nb::module_& module) { module.def("kept_tensor", &tensor); }
