// Walks through the rows of a group, slot by slot, forward and backward.

#pragma once

#include "job.h"
#include "simd.h"

namespace sostenuto::SOSTENUTO_TARGET {

SOSTENUTO_INLINE int64_t place(const Row& row, int64_t step) {
  return row.begin + (row.positions ? row.positions[step] : row.stride * step);
}

// The row that a slot holds now, and its step.
struct Slot {
  int64_t at;   // which of the group's rows
  int64_t row;  // its number in the batch
  int64_t step;
  int64_t length;
  const Row* shape;
};

SOSTENUTO_INLINE void hold(Slot& slot, const Job& job, const Group& group, int64_t at) {
  slot.at = at;
  slot.row = group.rows[at];
  slot.shape = &job.rows[slot.row];
  slot.length = slot.shape->length;
}

// The vectors of units that a member works on. They come four at a time, so that panels of up to four vectors are the
// same for any number of members.
struct Share {
  int64_t begin;  // in vectors
  int64_t end;
  int64_t first_unit;
  int64_t last_unit;  // one past
};

SOSTENUTO_INLINE Share share_of(int64_t units, int64_t member, int64_t members) {
  const int64_t all = vectors(units), fours = (all + 3) / 4;
  Share share;
  share.begin = fours * member / members * 4;
  share.end = fours * (member + 1) / members * 4;
  if (share.end > all) share.end = all;
  share.first_unit = share.begin * W;
  share.last_unit = share.end * W < units ? share.end * W : units;
  return share;
}

SOSTENUTO_INLINE void copy(float* to, const float* from, const Share& share) {
  if (share.last_unit > share.first_unit)
    std::memcpy(to + share.first_unit, from + share.first_unit, size_t(share.last_unit - share.first_unit) * sizeof(float));
}

SOSTENUTO_INLINE void add(float* to, const float* from, const Share& share) {
  for (int64_t unit = share.first_unit; unit < share.last_unit; unit += W) {
    const Lanes real = lanes(share.last_unit - unit);
    store(to + unit, load(to + unit, real) + load(from + unit, real), real);
  }
}

// values * factors for each gate, row by row; rows as long as whole vectors.
SOSTENUTO_INLINE void multiply_gates(const float* values, const float* factors, int64_t gates, int64_t size, float* to) {
  for (int64_t gate = 0; gate < gates; ++gate, factors += size, to += vectors(size) * W)
    for (int64_t k = 0; k < size; k += W) {
      const Lanes real = lanes(size - k);
      store(to + k, load(values + k, real) * load(factors + k, real), real);
    }
}

SOSTENUTO_INLINE void set_zero(float* to, const Share& share) {
  if (share.last_unit > share.first_unit)
    std::memset(to + share.first_unit, 0, size_t(share.last_unit - share.first_unit) * sizeof(float));
}

}  // namespace sostenuto::SOSTENUTO_TARGET
