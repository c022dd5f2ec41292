// What ops of ours in TensorFlow have in common: owned handles, the inputs and outputs of a run, failures, shapes.

#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "tensorflow_api.h"

namespace sostenuto::tensorflow {

extern Api api;  // loaded when the ops are registered

struct Deleter {
  void operator()(Tensor* tensor) const { api.delete_tensor(tensor); }
  void operator()(Status* status) const { api.delete_status(status); }
  void operator()(Shape* shape) const { api.delete_shape(shape); }
};
template <typename Kind>
using Owned = std::unique_ptr<Kind, Deleter>;

struct Failure : std::runtime_error {
  Failure(int code, const std::string& message) : std::runtime_error(message), code(code) {}
  int code;
};

inline void throw_if_failed(const Status* status) {
  if (api.code_of(status) != ok) throw Failure(api.code_of(status), api.message_of(status));
}

using Sizes = std::initializer_list<int64_t>;

inline std::string text_of(const int64_t* sizes, size_t rank) {
  std::string text;
  for (size_t axis = 0; axis < rank; ++axis) text += (axis ? ", " : "") + std::to_string(sizes[axis]);
  return "(" + text + ")";
}

// The inputs and outputs of one run of a kernel.
class Run {
 public:
  Run(Context* context, const char* const* names, int number_of_inputs)
      : context_(context), names_(names), status_(api.new_status()) {
    given_.reserve(size_t(number_of_inputs));
    for (int number = 0; number < number_of_inputs; ++number) {
      Tensor* tensor = nullptr;
      api.get_input(context_, number, &tensor, status_.get());
      throw_if_failed(status_.get());
      given_.emplace_back(tensor);
    }
  }

  int rank(int input) const { return api.rank_of(given_[input].get()); }
  int64_t size(int input, int axis) const { return api.size_along(given_[input].get(), axis); }
  bool has(int input) const { return rank(input) != 1 || size(input, 0) != 0; }

  // Null for an input that is not given; else its elements, after a look at its shape.
  template <typename Number>
  const Number* read(int input, Sizes wanted) const {
    return has(input) ? require<Number>(input, wanted) : nullptr;
  }

  // The same for an input that cannot be left out.
  template <typename Number>
  const Number* require(int input, Sizes wanted) const {
    std::array<int64_t, 8> found{};
    size_t known = std::min<size_t>(rank(input), found.size());
    for (size_t axis = 0; axis < known; ++axis) found[axis] = size(input, int(axis));
    if (known != wanted.size() || !std::equal(wanted.begin(), wanted.end(), found.begin()))
      throw Failure(invalid_argument, std::string("The native kernel got ") + names_[input] + " of shape " +
                                          text_of(found.data(), known) + ", wanted " +
                                          text_of(wanted.begin(), wanted.size()) + ".");
    return static_cast<const Number*>(api.data_of(given_[input].get()));
  }

  float* write(int number, Sizes sizes) {
    size_t count = 1;
    for (int64_t size : sizes) count *= size_t(size);
    Owned<Tensor> tensor(api.allocate_output(context_, number, type_float, sizes.begin(), int(sizes.size()),
                                             count * sizeof(float), status_.get()));
    throw_if_failed(status_.get());
    return static_cast<float*>(api.data_of(tensor.get()));  // TensorFlow holds on to it until the run is over
  }

 private:
  Context* context_;
  const char* const* names_;
  Owned<Status> status_;
  std::vector<Owned<Tensor>> given_;
};

// Runs work; what it throws goes to report as a status of TensorFlow's.
template <typename Work, typename Report>
void guarded(const Work& work, const Report& report) {
  Owned<Status> status(api.new_status());
  try {
    work(status.get());
    return;
  } catch (const Failure& failure) {
    api.set_status(status.get(), failure.code, failure.what());
  } catch (const std::bad_alloc&) {
    api.set_status(status.get(), resource_exhausted, "The native kernel got no memory.");
  } catch (const std::exception& error) {
    api.set_status(status.get(), internal, error.what());
  }
  report(status.get());
}

class Shapes {
 public:
  Shapes(ShapeContext* context, Status* status) : context_(context), status_(status) {
    api.set_unknown_shapes(context_, status_);
  }

  void output_is_input(int number, int input) {
    Owned<Shape> shape = of(input);
    api.set_output_shape(context_, number, shape.get(), status_);
  }

  // The leading axes of one input, and the first of another.
  void output_is_steps(int number, int steps, int width) {
    Owned<Shape> leading = of(steps), units = of(width), whole(api.new_shape());
    if (!api.rank_known(context_, leading.get()) || !api.rank_known(context_, units.get())) return;
    api.part_of_shape(context_, leading.get(), 0, -1, leading.get(), status_);
    api.part_of_shape(context_, units.get(), 0, 1, units.get(), status_);
    api.join_shapes(context_, leading.get(), units.get(), whole.get(), status_);
    if (api.code_of(status_) == ok) api.set_output_shape(context_, number, whole.get(), status_);
  }

 private:
  Owned<Shape> of(int input) {
    Owned<Shape> shape(api.new_shape());
    api.shape_of_input(context_, input, shape.get(), status_);
    return shape;
  }

  ShapeContext* context_;
  Status* status_;
};

struct Op {
  const char* name;
  std::vector<std::string> inputs, outputs, attributes;
  InferShapes shapes;
  CreateKernel create;
  RunKernel run;
};

std::vector<Op> loss_ops();  // tensorflow_loss_op.cpp

}  // namespace sostenuto::tensorflow
