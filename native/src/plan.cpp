#include "plan.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace sostenuto {

namespace {

constexpr int64_t MOST_SLOTS = 256;  // of a group: what its steps read should stay in the cache

// The number of real steps, if they all come first; -1 where there are gaps.
int64_t prefix_length(const uint8_t* mask, int64_t steps) {
  int64_t length = 0;
  while (length < steps && mask[length]) ++length;
  for (int64_t step = length; step < steps; ++step)
    if (mask[step]) return -1;
  return length;
}

// Rows in the order of their length, the longest first, equal ones as they come.
void sort_by_length(const Plan& plan, std::vector<int32_t>& order) {
  std::vector<int64_t> begin(size_t(plan.longest - plan.shortest) + 2, 0);
  for (const Row& row : plan.rows)
    if (row.length > 0) ++begin[size_t(plan.longest - row.length) + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  for (size_t number = 0; number < plan.rows.size(); ++number)
    if (plan.rows[number].length > 0) order[size_t(begin[size_t(plan.longest - plan.rows[number].length)]++)] = int32_t(number);
}

int64_t rounded(int64_t number, int64_t multiple) { return (number + multiple - 1) / multiple * multiple; }

// Slots of each group. Ragged: as few as the longest row allows, so that all are busy to the end; but enough for two
// full register blocks.
int64_t slots_of_group(const Plan& plan, int64_t number, int64_t groups, int64_t block_rows) {
  const int64_t each = (number + groups - 1) / groups;
  int64_t slots = each;
  if (plan.longest != plan.shortest) {
    const int64_t full = plan.real_steps / plan.longest / groups / block_rows * block_rows;
    slots = std::min(each, std::max(full, 2 * block_rows));
  }
  const int64_t turns = (slots + MOST_SLOTS - 1) / MOST_SLOTS;
  return turns == 1 ? slots : std::min(MOST_SLOTS, rounded((slots + turns - 1) / turns, block_rows));
}

}  // namespace

void find_rows(const Layout& layout, Plan& plan) {
  const int64_t B = layout.rows, T = layout.steps;
  plan.rows.assign(size_t(B), Row{});
  plan.positions.clear();
  plan.empty.clear();
  plan.real_steps = plan.longest = plan.shortest = 0;
  std::vector<std::pair<int64_t, int64_t>> gaps;  // row, place in positions
  for (int64_t number = 0; number < B; ++number) {
    Row& row = plan.rows[size_t(number)];
    row.begin = layout.offsets ? layout.offsets[number] : number * T;
    row.length = layout.offsets ? layout.offsets[number + 1] - layout.offsets[number] : T;
    if (layout.mask && !layout.offsets) {
      const uint8_t* mask = layout.mask + number * T;
      row.length = prefix_length(mask, T);
      if (row.length < 0) {
        gaps.emplace_back(number, int64_t(plan.positions.size()));
        for (int64_t step = 0; step < T; ++step)
          if (mask[step]) plan.positions.push_back(int32_t(step));
        row.length = int64_t(plan.positions.size()) - gaps.back().second;
        if (layout.reverse) std::reverse(plan.positions.end() - row.length, plan.positions.end());
      }
    }
    const bool has_gaps = !gaps.empty() && gaps.back().first == number;
    if (layout.reverse && !has_gaps) {
      row.begin += row.length - 1;
      row.stride = -1;
    }
    if (row.length == 0) {
      plan.empty.push_back(int32_t(number));
      continue;
    }
    plan.real_steps += row.length;
    plan.longest = std::max(plan.longest, row.length);
    plan.shortest = plan.shortest ? std::min(plan.shortest, row.length) : row.length;
  }
  for (const auto& [number, at] : gaps) plan.rows[size_t(number)].positions = plan.positions.data() + at;
}

void pack_rows(int64_t groups, int64_t block_rows, Plan& plan) {
  const int64_t number = int64_t(plan.rows.size() - plan.empty.size());
  plan.groups.clear();
  plan.most_slots = 0;
  if (number == 0) return;
  std::vector<int32_t> sorted(static_cast<size_t>(number));
  sort_by_length(plan, sorted);
  const int64_t slots = slots_of_group(plan, number, groups, block_rows), all = slots * groups;

  // Each slot's rows. Equal rows keep their order, so that neighbours in memory run together; others go where least is.
  std::vector<int32_t> slot_of(sorted.size());
  std::vector<int64_t> steps(size_t(all), 0);
  if (plan.longest == plan.shortest) {
    for (int64_t i = 0; i < number; ++i) {
      const int64_t group = i * groups / number, first = (group * number + groups - 1) / groups;
      slot_of[size_t(i)] = int32_t(group * slots + (i - first) % slots);
    }
  } else {
    using Load = std::pair<int64_t, int32_t>;  // steps, slot
    std::vector<Load> heap;
    for (int64_t i = 0; i < all; ++i) heap.emplace_back(0, int32_t(i % groups * slots + i / groups));
    const auto more = [](const Load& a, const Load& b) { return a > b; };
    for (size_t i = 0; i < sorted.size(); ++i) {
      std::pop_heap(heap.begin(), heap.end(), more);
      slot_of[i] = heap.back().second;
      heap.back().first += plan.rows[size_t(sorted[i])].length;
      std::push_heap(heap.begin(), heap.end(), more);
    }
  }
  for (size_t i = 0; i < sorted.size(); ++i) steps[size_t(slot_of[i])] += plan.rows[size_t(sorted[i])].length;

  std::vector<int64_t> count(size_t(all), 0);
  for (const int32_t slot : slot_of) ++count[size_t(slot)];
  std::vector<std::vector<int32_t>> busy(static_cast<size_t>(groups));  // slots with rows, the longest first
  for (int64_t group = 0; group < groups; ++group) {
    auto& own = busy[size_t(group)];
    for (int64_t slot = group * slots; slot < (group + 1) * slots; ++slot)
      if (count[size_t(slot)]) own.push_back(int32_t(slot));
    std::stable_sort(own.begin(), own.end(), [&](int32_t a, int32_t b) { return steps[size_t(a)] > steps[size_t(b)]; });
  }

  plan.order.assign(sorted.size(), 0);
  plan.rows_begin.assign(size_t(all + groups), 0);
  plan.steps_of_slot.assign(size_t(all), 0);
  std::vector<int64_t> place(size_t(all), 0);
  int64_t rows_begin = 0, row = 0, slot_number = 0, saved = 0;
  for (int64_t group = 0; group < groups; ++group) {
    const auto& own = busy[size_t(group)];
    if (own.empty()) continue;
    Group made;
    made.slots = int64_t(own.size());
    made.rows = plan.order.data();
    made.rows_begin = plan.rows_begin.data() + rows_begin;
    made.steps_of_slot = plan.steps_of_slot.data() + slot_number;
    made.saved_begin = saved;
    for (const int32_t slot : own) {
      plan.rows_begin[size_t(rows_begin++)] = row;
      plan.steps_of_slot[size_t(slot_number++)] = steps[size_t(slot)];
      place[size_t(slot)] = row;
      row += count[size_t(slot)];
      saved += steps[size_t(slot)];
    }
    plan.rows_begin[size_t(rows_begin++)] = row;
    plan.most_slots = std::max(plan.most_slots, made.slots);
    plan.groups.push_back(made);
  }
  for (size_t i = 0; i < sorted.size(); ++i) plan.order[size_t(place[size_t(slot_of[i])]++)] = sorted[i];
}

}  // namespace sostenuto
