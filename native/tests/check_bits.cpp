// The bits of a row: the same alone, in any batch, in any layout, in any chunks, with any number of threads.

#include <algorithm>
#include <cstring>
#include <limits>

#include "check.h"
#include "problem.h"
#include "tests.h"

namespace sostenuto::tests {
namespace {

// A stretch of the real steps of a row: the first `from`, up to `to`, in the order of memory.
struct Stretch {
  int64_t row, from, to;
};

// A problem run whole once, then again in pieces that must come out bit by bit as they did then.
class Pieces {
 public:
  Pieces(const Shape& shape, const std::string& where)
      : problem_(shape), whole_(problem_.results(false)), which_(shape.text() + "; " + where), random_(shape.seed + 3) {
    forward(problem_.call(whole_));
    const Layout layout = problem_.layout();
    for (int64_t b = 0; b < shape.rows; ++b) {
      int64_t begin = layout.offsets ? layout.offsets[b] : b * layout.steps;
      int64_t end = layout.offsets ? layout.offsets[b + 1] : begin + layout.steps;
      real_.emplace_back();
      for (int64_t step = begin; step < end; ++step) {
        if (!layout.mask || layout.mask[step]) real_.back().push_back(step);
      }
    }
  }

  void check_alone() {
    begin();
    for (int64_t b = 0; b < problem_.shape.rows; ++b) run({{b, 0, length(b)}}, random_.coin());
    check_last("alone");
  }

  void check_in_other_order() {
    begin();
    std::vector<Stretch> all;
    for (int64_t b = 0; b < problem_.shape.rows; ++b) all.push_back({b, 0, length(b)});
    shuffle(all);
    run(all, random_.coin());
    check_last("in another order");
  }

  // Any rows with any number of steps in every call, until all are through.
  void check_in_chunks() {
    begin();
    std::vector<int64_t> left;
    for (int64_t b = 0; b < problem_.shape.rows; ++b) left.push_back(length(b));
    for (bool last = false; !last;) {
      last = random_.below(6) == 0;
      std::vector<Stretch> some;
      for (int64_t b = 0; b < problem_.shape.rows; ++b) {
        int64_t steps = last ? left[b] : random_.below(left[b] + 1);
        if (!last && random_.coin()) continue;
        int64_t from = problem_.shape.reverse ? left[b] - steps : length(b) - left[b];
        some.push_back({b, from, from + steps});
        left[b] -= steps;
      }
      shuffle(some);
      if (!some.empty()) run(some, random_.coin());
    }
    check_last("in chunks");
  }

  void check_threads() {
    const int before = threads();
    for (int number : {1, 2, 3, 8}) {
      set_threads(number);
      Results again = problem_.results(false);
      forward(problem_.call(again));
      const std::string which = which_ + ", then " + std::to_string(number);
      CHECK(same(again.outputs, whole_.outputs), which);
      CHECK(same(again.last_h, whole_.last_h) && same(again.last_c, whole_.last_c), which);
    }
    set_threads(before);
  }

 private:
  int64_t length(int64_t row) const { return int64_t(real_[row].size()); }

  void shuffle(std::vector<Stretch>& some) {
    for (size_t k = some.size(); k > 1; --k) std::swap(some[k - 1], some[random_.below(int64_t(k))]);
  }

  // Every row back at its initial states: zeros where the problem gives none.
  void begin() {
    h_ = problem_.initial_h ? problem_.initial_h : random_.floats(whole_.last_h.size(), 0, 0);
    c_ = problem_.initial_c ? problem_.initial_c : random_.floats(whole_.last_c.size(), 0, 0);
  }

  // Runs stretches of rows as a batch of their own, flat or among masked steps full of NaN, and hands their states on.
  void run(const std::vector<Stretch>& some, bool flat) {
    const int64_t rows = int64_t(some.size()), features = problem_.shape.features, units = problem_.shape.units;
    std::vector<int64_t> places;  // where each real step stands in the memory of the piece
    Guarded<int64_t> offsets(rows + 1);
    offsets[0] = 0;
    for (int64_t k = 0; k < rows; ++k) offsets[k + 1] = offsets[k] + some[k].to - some[k].from;
    int64_t longest = 0;
    for (int64_t k = 0; k < rows; ++k) longest = std::max(longest, some[k].to - some[k].from);
    const int64_t steps = longest + random_.below(4);
    Guarded<uint8_t> mask(flat ? 0 : rows * steps);
    std::fill_n(mask.data(), mask.size(), uint8_t(0));
    for (int64_t k = 0; k < rows; ++k) {
      const int64_t wanted = some[k].to - some[k].from;
      for (int64_t step = 0, placed = 0; placed < wanted; ++step) {
        if (!flat && steps - step > wanted - placed && random_.coin()) continue;
        places.push_back((flat ? offsets[k] : k * steps) + step);
        if (!flat) mask[places.back()] = 1;
        ++placed;
      }
    }

    const int64_t in_memory = flat ? offsets[rows] : rows * steps;
    Floats inputs(in_memory * features), h(rows * units), c(problem_.is_lstm() ? rows * units : 0);
    const Floats dropout = rows_of(problem_.dropout, some), input_dropout = rows_of(problem_.input_dropout, some);
    auto row_of = [units](Floats& all, int64_t row) { return all.data() + row * units; };
    for (int64_t k = 0; k < rows; ++k) {
      std::copy_n(row_of(h_, some[k].row), units, row_of(h, k));
      if (problem_.is_lstm()) std::copy_n(row_of(c_, some[k].row), units, row_of(c, k));
      for (int64_t n = some[k].from; n < some[k].to; ++n) {
        const float* x = problem_.inputs.data() + real_[some[k].row][n] * features;
        std::copy_n(x, features, inputs.data() + places[offsets[k] + n - some[k].from] * features);
      }
    }

    Results got{Floats(in_memory * units), Floats(h.size()), Floats(c.size()), Floats()};
    Forward call = problem_.call(got);
    call.layout = {rows, steps, flat ? offsets.data() : nullptr, flat ? nullptr : mask.data(), problem_.shape.reverse};
    call.inputs = inputs.data();
    call.initial_h = h.data();
    call.initial_c = problem_.is_lstm() ? c.data() : nullptr;
    call.last_c = problem_.is_lstm() ? got.last_c.data() : nullptr;
    call.recurrent_dropout = dropout.data();
    call.input_dropout = input_dropout.data();
    forward(call);

    CHECK_NO_TROUBLE(damage(got), which_);
    for (int64_t k = 0; k < rows; ++k) {
      bool all_same = true;
      for (int64_t n = some[k].from; n < some[k].to; ++n) {
        const float* now = got.outputs.data() + places[offsets[k] + n - some[k].from] * units;
        const float* then = whole_.outputs.data() + real_[some[k].row][n] * units;
        all_same = all_same && std::memcmp(now, then, sizeof(float) * units) == 0;
      }
      CHECK(all_same, which_ + text(some[k]) + (flat ? ", flat" : ", masked") + ", among " + std::to_string(rows));
      std::copy_n(row_of(got.last_h, k), units, row_of(h_, some[k].row));
      if (problem_.is_lstm()) std::copy_n(row_of(got.last_c, k), units, row_of(c_, some[k].row));
    }
  }

  // An array of one entry per row, or none, for the rows of some stretches.
  Floats rows_of(const Floats& all, const std::vector<Stretch>& some) const {
    if (!all) return Floats();
    const int64_t size = all.size() / problem_.shape.rows;
    Floats chosen(int64_t(some.size()) * size);
    for (size_t k = 0; k < some.size(); ++k) {
      std::copy_n(all.data() + some[k].row * size, size, chosen.data() + int64_t(k) * size);
    }
    return chosen;
  }

  static std::string text(const Stretch& stretch) {
    return "; row " + std::to_string(stretch.row) + ", real steps " + std::to_string(stretch.from) + " to " +
           std::to_string(stretch.to);
  }

  void check_last(const char* how) {
    CHECK(same(h_, whole_.last_h), which_ + ", " + how);
    CHECK(!problem_.is_lstm() || same(c_, whole_.last_c), which_ + ", " + how);
  }

  Problem problem_;
  Results whole_;
  std::string which_;
  Random random_;
  std::vector<std::vector<int64_t>> real_;  // of each row, its real steps in memory
  Floats h_, c_;                            // (B, U), the states of all rows between two pieces
};

// All outputs of a padded batch cut in time, those of masked steps included.
void check_cut(const Shape& shape, int64_t cut, const std::string& where) {
  const Problem problem(shape);
  const std::string which = shape.text() + ", cut at " + std::to_string(cut) + "; " + where;
  Results whole = problem.results(false);
  forward(problem.call(whole));
  Floats outputs(whole.outputs.size());
  Results before = problem.results(false);
  bool first = true;
  for (bool early : {!shape.reverse, shape.reverse}) {
    const int64_t from = early ? 0 : cut, steps = early ? cut : shape.steps - cut;
    Floats inputs(shape.rows * steps * shape.features);
    Guarded<uint8_t> mask(shape.rows * steps);
    for (int64_t b = 0; b < shape.rows; ++b) {
      const int64_t begin = b * shape.steps + from;
      std::copy_n(problem.inputs.data() + begin * shape.features, steps * shape.features,
                  inputs.data() + b * steps * shape.features);
      for (int64_t t = 0; t < steps; ++t) mask[b * steps + t] = problem.mask ? problem.mask[begin + t] : 1;
    }
    Results now = problem.results(false);
    now.outputs = Floats(shape.rows * steps * shape.units);
    Forward call = problem.call(now);
    call.layout.steps = steps;
    call.layout.mask = problem.mask ? mask.data() : nullptr;
    call.inputs = inputs.data();
    if (!first) call.initial_h = before.last_h.data();
    if (!first && problem.is_lstm()) call.initial_c = before.last_c.data();
    forward(call);
    for (int64_t b = 0; b < shape.rows; ++b) {
      std::copy_n(now.outputs.data() + b * steps * shape.units, steps * shape.units,
                  outputs.data() + (b * shape.steps + from) * shape.units);
    }
    before = now;
    first = false;
  }
  CHECK(same(outputs, whole.outputs), which);
  CHECK(same(before.last_h, whole.last_h) && same(before.last_c, whole.last_c), which);
}

}  // namespace

void check_bits() {
  Random random(4711);
  const int64_t sizes[][3] = {{1, 9, 5},  {2, 9, 16},  {7, 12, 17}, {19, 12, 40}, {19, 7, 64},
                              {40, 6, 24}, {3, 5, 100}, {1, 5, 256}, {18, 4, 256}, {70, 9, 8}};
  for (Cell cell : {Cell::lstm, Cell::gru_reset_after, Cell::gru_reset_before, Cell::simple_rnn}) {
    for (const auto& size : sizes) {
      const Rows one = random.coin() ? Rows::dense : Rows::prefix, other = random.coin() ? Rows::gaps : Rows::flat;
      for (Rows kind : {one, other}) {
        Shape shape;
        shape.cell = cell;
        shape.kind = kind;
        shape.rows = size[0];
        shape.steps = size[1];
        shape.units = size[2];
        shape.features = random.one_of<int64_t>({0, 1, 7, 33});
        shape.reverse = random.coin();
        shape.initial_h = random.coin();
        shape.initial_c = random.coin();
        shape.bias = random.coin();
        shape.dropout = random.coin();
        shape.by_gate = random.coin();
        shape.seed = uint32_t(random.below(1000000));
        const int64_t cut = random.below(shape.steps + 1);
        on_every_target(3, [&](const std::string& where) {
          Pieces pieces(shape, where);
          pieces.check_alone();
          pieces.check_in_other_order();
          pieces.check_in_chunks();
          pieces.check_threads();
          if (kind != Rows::flat) check_cut(shape, cut, where);
        });
      }
    }
  }
}

}  // namespace sostenuto::tests
