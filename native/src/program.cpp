// Making a program; program_run.cpp runs it.

#include "program.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace sostenuto {

namespace {

bool may_work_in_place(Kind kind) {
  return kind == Kind::normalization || kind == Kind::affine || kind == Kind::activation;
}

void need(bool fits, const char* trouble) {
  if (!fits) throw std::invalid_argument(std::string("a program cannot be made: ") + trouble);
}

// Whether the new state may be the result, which nothing may then overwrite.
bool results_in_state(const Operation& operation) { return operation.kind == Kind::recurrent; }

}  // namespace

Program::Program() : inside_(std::make_unique<Inside>()) {}
Program::~Program() = default;

// --- making -------------------------------------------------------------------------------------------------------

Program::Node Program::input(int64_t features) { return inside_->add({Kind::input, features, true, {}}); }

Program::Node Program::tokens() { return inside_->add({Kind::tokens, 1, true, {}}); }

Program::Node Program::embedding(Node tokens, int64_t size, int64_t width, const float* table) {
  need(inside_->at(tokens).kind == Kind::tokens, "an embedding takes tokens");
  Operation made{Kind::embedding, width, true, {tokens}};
  made.size = size;
  made.numbers.assign(table, table + size * width);
  return inside_->add(std::move(made));
}

Program::Node Program::recurrent(Node from, const Recurrent& what) {
  const Operation& before = inside_->at(from);
  need(before.per_step, "a recurrent node takes an input per step");
  need(!what.masks_zero || inside_->operations[0].kind == Kind::tokens, "only tokens are masked");
  Operation made{Kind::recurrent, what.units, !what.last_only, {from}};
  made.cell = what.cell;
  made.last_only = what.last_only;
  made.masks_zero = what.masks_zero;
  made.zeros_masked = what.zeros_masked;
  made.state = inside_->state_units.size();
  made.prepared_cell.emplace(what.cell, before.width, what.units, what.weights);
  const Node node = inside_->add(std::move(made));
  for (int state = 0; state < (what.cell == Cell::lstm ? 2 : 1); ++state) inside_->state_units.push_back(what.units);
  return node;
}

Program::Node Program::dense(Node from, int64_t units, const float* kernel, const float* bias) {
  const Operation& before = inside_->at(from);
  Operation made{Kind::dense, units, before.per_step, {from}};
  made.prepared_dense.emplace(before.width, units, kernel, bias);
  return inside_->add(std::move(made));
}

Program::Node Program::layer_normalization(Node from, float epsilon, const float* gamma, const float* beta) {
  const Operation& before = inside_->at(from);
  Operation made{Kind::normalization, before.width, before.per_step, {from}};
  made.number = epsilon;
  made.has_gamma = gamma != nullptr;
  made.has_beta = beta != nullptr;
  if (gamma) made.numbers.insert(made.numbers.end(), gamma, gamma + before.width);
  if (beta) made.numbers.insert(made.numbers.end(), beta, beta + before.width);
  return inside_->add(std::move(made));
}

Program::Node Program::affine(Node from, const float* center, const float* scale, const float* shift) {
  const Operation& before = inside_->at(from);
  Operation made{Kind::affine, before.width, before.per_step, {from}};
  for (const float* part : {center, scale, shift}) made.numbers.insert(made.numbers.end(), part, part + before.width);
  return inside_->add(std::move(made));
}

Program::Node Program::activation(Node from, Activation what, float number) {
  const Operation& before = inside_->at(from);
  Operation made{Kind::activation, before.width, before.per_step, {from}};
  made.activation = what;
  made.number = number;
  return inside_->add(std::move(made));
}

Program::Node Program::combine(Combination what, const std::vector<Node>& from) {
  need(!from.empty() && (what != Combination::subtract || from.size() == 2), "another number of nodes is combined");
  const Operation& first = inside_->at(from[0]);
  Operation made{Kind::combination, first.width, first.per_step, from};
  made.combination = what;
  if (what == Combination::concatenate) made.width = 0;
  for (const Node node : from) {
    const Operation& each = inside_->at(node);
    need(each.per_step == first.per_step, "nodes per step and per sequence cannot be combined");
    need(what == Combination::concatenate || each.width == first.width, "only nodes of one width can be combined");
    if (what == Combination::concatenate) made.width += each.width;
  }
  return inside_->add(std::move(made));
}

void Program::finish(Node output) {
  need(inside_->output < 0, "it is finished");
  need(inside_->at(output).kind != Kind::tokens, "tokens are no output");
  inside_->output = output;
  inside_->take_slots();
}

int64_t Program::width_of(Node node) const { return inside_->at(node).width; }

bool Program::takes_tokens() const { return inside_->at(0).kind == Kind::tokens; }

int64_t Program::features() const { return inside_->at(0).width; }

int64_t Program::width() const { return inside_->at(inside_->output).width; }

bool Program::per_step() const { return inside_->at(inside_->output).per_step; }

const std::vector<int64_t>& Program::state_units() const { return inside_->state_units; }

// --- inside -------------------------------------------------------------------------------------------------------

Program::Node Program::Inside::add(Operation operation) {
  need(output < 0, "it is finished");
  need(operation.width > 0, "a size is not positive");
  for (const int from : operation.from) {
    need(from >= 0 && from < int(operations.size()), "there is no such node");
    need(operations[from].kind != Kind::tokens || operation.kind == Kind::embedding, "tokens are looked up first");
  }
  need(operations.empty() == operation.from.empty(), "it has one input, which comes first");
  operations.push_back(std::move(operation));
  return int(operations.size()) - 1;
}

const Operation& Program::Inside::at(Node node) const {
  need(node >= 0 && node < int(operations.size()), "there is no such node");
  return operations[node];
}

void Program::Inside::take_slots() {
  std::vector<int> last_use(operations.size(), -1);
  for (size_t k = 0; k < operations.size(); ++k)
    for (const int from : operations[k].from) last_use[from] = int(k);
  std::vector<int> free;
  for (size_t k = 0; k < operations.size(); ++k) {
    Operation& operation = operations[k];
    const bool slotted = operation.kind != Kind::input && operation.kind != Kind::tokens && int(k) != output;
    if (slotted && may_work_in_place(operation.kind) && last_use[operation.from[0]] == int(k) &&
        operations[operation.from[0]].slot >= 0 && !results_in_state(operations[operation.from[0]])) {
      operation.slot = operations[operation.from[0]].slot;
      continue;
    }
    if (slotted) {
      if (free.empty()) {
        free.push_back(int(slots.size()));
        slots.push_back(0);
      }
      operation.slot = free.back();
      free.pop_back();
      slots[operation.slot] = std::max(slots[operation.slot], operation.width);
    }
    std::vector<int> done = operation.from;
    std::sort(done.begin(), done.end());
    done.erase(std::unique(done.begin(), done.end()), done.end());
    for (const int from : done)
      if (last_use[from] == int(k) && operations[from].slot >= 0) free.push_back(operations[from].slot);
    if (last_use[k] < 0 && operation.slot >= 0) free.push_back(operation.slot);
  }
}

}  // namespace sostenuto
