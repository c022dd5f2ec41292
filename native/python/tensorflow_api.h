// The part of TensorFlow's C API for ops and kernels that we use, found at run time in the library that Python has
// loaded already: nothing of TensorFlow is needed to build this module or to import it.
//
// TensorFlow documents these functions in tensorflow/c/{ops,kernels,tf_tensor,tf_status}.h. Types are opaque there, and
// so are they here; enumerations are passed as the int that they are in C.

#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace sostenuto::tensorflow {

struct Status;
struct Tensor;
struct OpBuilder;
struct KernelBuilder;
struct Construction;  // of a kernel
struct Context;       // of one run of a kernel
struct Shape;
struct Dimension;
struct ShapeContext;

enum DataType : int { type_float = 1, type_int64 = 9, type_bool = 10 };
enum Code : int { ok = 0, invalid_argument = 3, resource_exhausted = 8, unimplemented = 12, internal = 13 };

using CreateKernel = void* (*)(Construction*);
using RunKernel = void (*)(void*, Context*);
using DeleteKernel = void (*)(void*);
using InferShapes = void (*)(ShapeContext*, Status*);

// name of the member, name in TensorFlow, result, arguments
#define SOSTENUTO_TENSORFLOW_FUNCTIONS(X)                                                                              \
  X(new_status, TF_NewStatus, Status*, ())                                                                             \
  X(delete_status, TF_DeleteStatus, void, (Status*))                                                                   \
  X(set_status, TF_SetStatus, void, (Status*, int code, const char* message))                                          \
  X(code_of, TF_GetCode, int, (const Status*))                                                                         \
  X(message_of, TF_Message, const char*, (const Status*))                                                              \
  X(delete_tensor, TF_DeleteTensor, void, (Tensor*))                                                                   \
  X(rank_of, TF_NumDims, int, (const Tensor*))                                                                         \
  X(size_along, TF_Dim, int64_t, (const Tensor*, int axis))                                                            \
  X(data_of, TF_TensorData, void*, (const Tensor*))                                                                    \
  X(new_op, TF_NewOpDefinitionBuilder, OpBuilder*, (const char* name))                                                 \
  X(add_input, TF_OpDefinitionBuilderAddInput, void, (OpBuilder*, const char* text))                                   \
  X(add_output, TF_OpDefinitionBuilderAddOutput, void, (OpBuilder*, const char* text))                                 \
  X(add_attribute, TF_OpDefinitionBuilderAddAttr, void, (OpBuilder*, const char* text))                                \
  X(set_shapes, TF_OpDefinitionBuilderSetShapeInferenceFunction, void, (OpBuilder*, InferShapes))                      \
  X(register_op, TF_RegisterOpDefinition, void, (OpBuilder*, Status*))                                                 \
  X(new_kernel, TF_NewKernelBuilder, KernelBuilder*,                                                                   \
    (const char* op, const char* device, CreateKernel, RunKernel, DeleteKernel))                                       \
  X(register_kernel, TF_RegisterKernelBuilder, void, (const char* name, KernelBuilder*, Status*))                      \
  X(int_attribute, TF_OpKernelConstruction_GetAttrInt64, void, (Construction*, const char* name, int64_t*, Status*))   \
  X(bool_attribute, TF_OpKernelConstruction_GetAttrBool, void,                                                         \
    (Construction*, const char* name, unsigned char*, Status*))                                                        \
  X(construction_failed, TF_OpKernelConstruction_Failure, void, (Construction*, Status*))                              \
  X(run_failed, TF_OpKernelContext_Failure, void, (Context*, Status*))                                                 \
  X(get_input, TF_GetInput, void, (Context*, int number, Tensor**, Status*))                                           \
  X(allocate_output, TF_AllocateOutput, Tensor*,                                                                       \
    (Context*, int number, int type, const int64_t* sizes, int rank, size_t bytes, Status*))                           \
  X(new_shape, TF_NewShapeHandle, Shape*, ())                                                                          \
  X(delete_shape, TF_DeleteShapeHandle, void, (Shape*))                                                                \
  X(rank_known, TF_ShapeInferenceContextRankKnown, int, (ShapeContext*, Shape*))                                       \
  X(shape_of_input, TF_ShapeInferenceContextGetInput, void, (ShapeContext*, int number, Shape*, Status*))              \
  X(part_of_shape, TF_ShapeInferenceContextSubshape, void,                                                             \
    (ShapeContext*, Shape*, int64_t begin, int64_t end, Shape* result, Status*))                                       \
  X(join_shapes, TF_ShapeInferenceContextConcatenateShapes, void,                                                      \
    (ShapeContext*, Shape* first, Shape* second, Shape* result, Status*))                                              \
  X(set_output_shape, TF_ShapeInferenceContextSetOutput, void, (ShapeContext*, int number, Shape*, Status*))           \
  X(set_unknown_shapes, TF_ShapeInferenceContextSetUnknownShape, void, (ShapeContext*, Status*))

struct Api {
#define SOSTENUTO_MEMBER(member, name, result, arguments) result(*member) arguments = nullptr;
  SOSTENUTO_TENSORFLOW_FUNCTIONS(SOSTENUTO_MEMBER)
#undef SOSTENUTO_MEMBER
};

// Takes the functions from the library at `path`, which is in the process already, or throws.
inline Api load_api(const char* path) {
#if defined(_WIN32)
  throw std::runtime_error("ops of our own are not offered to TensorFlow on Windows");
#else
  void* library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (!library) throw std::runtime_error(std::string("TensorFlow's library is not loaded from ") + path);
  Api api;
#define SOSTENUTO_FIND(member, name, result, arguments)                                     \
  api.member = reinterpret_cast<result(*) arguments>(dlsym(library, #name));                \
  if (!api.member) throw std::runtime_error("this TensorFlow lacks the C function " #name);
  SOSTENUTO_TENSORFLOW_FUNCTIONS(SOSTENUTO_FIND)
#undef SOSTENUTO_FIND
  return api;
#endif
}

}  // namespace sostenuto::tensorflow
