// Which rows run where: rows cut into groups, one for each thread, and each group's rows packed into slots.

#pragma once

#include <cstdint>
#include <vector>

#include "job.h"

namespace sostenuto {

struct Plan {
  std::vector<Row> rows;              // of the batch
  std::vector<int32_t> positions;     // of rows with gaps
  std::vector<int32_t> empty;         // rows without a real step
  int64_t real_steps = 0;
  int64_t longest = 0;
  int64_t shortest = 0;               // of those with a real step

  std::vector<Group> groups;
  std::vector<int32_t> order;         // what the groups point to
  std::vector<int64_t> rows_begin;
  std::vector<int64_t> steps_of_slot;
  int64_t most_slots = 0;
};

// Finds the real steps of every row.
void find_rows(const Layout& layout, Plan& plan);

// Packs them into groups of slots. The same rows and numbers always give the same plan: backward relies on it.
void pack_rows(int64_t groups, int64_t block_rows, Plan& plan);

}  // namespace sostenuto
