"""What only JAX itself can do."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import tree

from sostenuto.errors import ModelError, ShapeError
from sostenuto.kernels import native_module
from sostenuto.kernels.recurrence import Recurrence


def compiled_call(layer: Any) -> Callable[[Any], Any]:
    """A layer's inference as a function from NumPy arrays to NumPy arrays, compiled once per shape.

    Args:
        layer: a built layer; its weights are read at every call.
    """
    import jax

    variables = layer.variables

    @jax.jit
    def run(values: Any, inputs: Any) -> Any:
        # Not stateless_call, which asks for all variables that the layer has by then: a frozen layer, or a table of
        # states that came later, must not matter.
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return layer(inputs, training=False)

    def call(inputs: Any) -> Any:
        outputs = run([variable.value for variable in variables], inputs)
        return tree.map_structure(np.asarray, outputs)

    return call


# --- the native kernel ------------------------------------------------------------------------------------------------


def native_reason() -> str | None:
    """Why the native kernel cannot be entered in this process, or None."""
    import jax

    device = jax.default_backend()
    if device != "cpu":
        return f"JAX computes on {device!r}, not on the CPU"
    if not hasattr(native_module.load(), "jax_targets"):
        return native_module.why_not() or "the native module was built without the headers of jaxlib"
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and not tensorflow.executing_eagerly():
        return "jax2tf is making a graph of TensorFlow of this call, as Model.export() does"
    try:
        _register()
    except (RuntimeError, TypeError, ValueError) as error:
        return f"jaxlib {jax.lib.__version__} refuses the native module, which was built for another one: {error}"
    return None


def recurrence(
    what: Recurrence,
    inputs: Any,
    weights: Any,
    states: Any,
    *,
    mask: Any = None,
    offsets: Any = None,
    recurrent_dropout: Any = None,
    input_dropout: Any = None,
) -> tuple[Any, list[Any]]:
    """Runs a recurrence natively: eagerly, or as a call in whatever program of XLA it is traced for.

    Differentiable once and in reverse. ``jax.vmap`` makes one batch of many where neither weights nor offsets are
    mapped and nothing is differentiated; else it runs them one after another.

    Args:
        what: the kind of recurrence.
        inputs: (B, T, F), or (N, F) with offsets; float32, as all numbers.
        weights: kernel (F, G * U), recurrent kernel (U, G * U), and bias (``what.bias_shape``) or None.
        states: the first h, and c for an LSTM, (B, U) each.
        mask: (B, T) boolean, True for a real step; None where all are.
        offsets: (B + 1,) int64 or int32: row b is steps offsets[b] to offsets[b + 1] - 1 of the inputs.
        recurrent_dropout: (B, U), what h is multiplied with where it meets the recurrent kernel, or (B, G * U) that
            of each gate; it gets no gradient.
        input_dropout: (B, G * F), what the inputs are multiplied with for each gate; it gets no gradient.

    Returns:
        The outputs, (B, T, U) or (N, U), or None with ``all_outputs=False``; and the last states, (B, U) each.

    Raises:
        ShapeError: SO107, shapes that do not fit each other, or other numbers than float32.
        ModelError: SO609, a derivative in forward mode, or a gradient is differentiated again.
        ValueError or jax.errors.JaxRuntimeError, as JAX likes: offsets that do not rise from 0 to N; perhaps as late as
            the result is read.

    Example:
        >>> import jax.numpy as jnp
        >>> what = Recurrence("simple_rnn", units=2)
        >>> weights = jnp.ones((1, 2)), jnp.zeros((2, 2)), None
        >>> outputs, (h,) = recurrence(what, jnp.zeros((3, 5, 1)), weights, [jnp.zeros((3, 2))])
        >>> outputs.shape, h.shape
        ((3, 5, 2), (3, 2))
    """
    kernel, recurrent_kernel, bias = weights
    h, c = states if len(states) == 2 else (*states, None)
    operands = Operands(offsets, inputs, kernel, recurrent_kernel, bias, h, c, recurrent_dropout, input_dropout, mask)
    outputs, last = _compiled()(what, operands)
    return outputs, list(last)


class Operands(NamedTuple):
    """What the kernel reads, None where absent, in the order of native/python/jax_ffi.cpp."""

    offsets: Any
    inputs: Any
    kernel: Any
    recurrent_kernel: Any
    bias: Any
    h: Any
    c: Any
    recurrent_dropout: Any
    input_dropout: Any
    mask: Any


# What gets a gradient, in the order in which jax_ffi.cpp gives it.
_DIFFERENTIABLE = ("inputs", "kernel", "recurrent_kernel", "bias", "h", "c")


@cache
def _register() -> None:
    import jax

    for name, handler in native_module.load().jax_targets().items():
        jax.ffi.register_ffi_target(name, handler, platform="cpu")


@cache
def _compiled() -> Any:
    import jax

    _register()
    run = jax.custom_vjp(_run, nondiff_argnums=(0,))
    # Symbolic zeros tell which operands anybody differentiates by, and which gradients come in at all.
    run.defvjp(_run_and_save, _run_back, symbolic_zeros=True)
    reverse_only = _reverse_only()

    def checked(what: Recurrence, operands: Operands) -> Any:
        _check(what, operands)
        given = {name: getattr(operands, name) for name in _DIFFERENTIABLE}
        marked = {name: reverse_only(what, value) for name, value in given.items() if value is not None}
        return run(what, operands._replace(**marked))

    # Compiled for eager callers; inlined, it is nothing to those that are compiled themselves.
    return jax.jit(checked, static_argnums=0, inline=True)


def _check(what: Recurrence, operands: Operands) -> None:
    shapes: list[Any] = [None if value is None else value.shape for value in operands]
    offsets, inputs, kernel, recurrent_kernel, bias, h, c, recurrent_dropout, input_dropout, mask = shapes
    states, weights = [h] if c is None else [h, c], [kernel, recurrent_kernel, bias]
    what.check_shapes(inputs, weights, states, mask, offsets, recurrent_dropout, input_dropout)
    for name, value in zip(Operands._fields, operands, strict=True):
        wanted = {"mask": ("bool",), "offsets": ("int64", "int32")}.get(name, ("float32",))
        if value is not None and value.dtype.name not in wanted:
            raise ShapeError(
                f"The native {what.cell} cannot read this array.",
                code="SO107",
                where=name,
                got=f"{value.dtype.name} {value.shape}",
                wanted=" or ".join(wanted),
                fix=f"convert it with .astype({wanted[0]!r})",
            )


def _run(what: Recurrence, operands: Operands) -> Any:
    import jax

    run = jax.custom_batching.custom_vmap(partial(_forward, what, save=False))
    run.def_vmap(partial(_run_mapped, what))
    outputs, last, _ = run(operands)
    return outputs, last


def _run_mapped(what: Recurrence, size: int, are_mapped: list[Operands], operands: Operands) -> Any:
    """The rule of jax.vmap: ``size`` batches become the rows of one."""
    import jax

    (mapped,) = are_mapped
    if operands.offsets is None and not (mapped.kernel or mapped.recurrent_kernel or mapped.bias):
        folded = {}
        for name in ("inputs", "h", "c", "recurrent_dropout", "input_dropout", "mask"):
            value = getattr(operands, name)
            if value is not None:
                value = value if getattr(mapped, name) else jax.numpy.broadcast_to(value, (size, *value.shape))
                folded[name] = value.reshape(size * value.shape[1], *value.shape[2:])
        outputs, last = _run(what, operands._replace(**folded))
        rows = operands.h.shape[-2]
        results = jax.tree.map(lambda value: value.reshape(size, rows, *value.shape[1:]), (outputs, last, None))
    else:
        axes = Operands(*(0 if each else None for each in mapped))
        results = jax.vmap(partial(_forward, what, save=False), in_axes=(axes,), axis_size=size)(operands)
    return results, jax.tree.map(lambda _: True, results)


def _run_and_save(what: Recurrence, operands: Operands) -> Any:
    given = {name: each for name, each in operands._asdict().items() if each is not None}
    values = operands._replace(**{name: each.value for name, each in given.items()})
    wanted = sum(1 << k for k, name in enumerate(_DIFFERENTIABLE) if name in given and given[name].perturbed)
    outputs, last, saved = _forward(what, values, save=True)
    # An empty array tells by its shape what is wanted. A pytree of another structure would do, but JAX (0.10) mixes up
    # the structures where one traced function is differentiated by several of its arguments: gradients become zero.
    return (outputs if what.all_outputs else None, last), (values, outputs, saved, np.zeros((wanted, 0), np.float32))


def _run_back(what: Recurrence, kept: Any, d_results: Any) -> tuple[Operands]:
    from jax.custom_derivatives import SymbolicZero

    operands, outputs, saved, marker = kept
    d_outputs, d_last = d_results
    d_given = [None if isinstance(each, SymbolicZero) else each for each in (d_outputs, *d_last, None)[:3]]
    wanted = marker.shape[0]
    shapes = tuple(
        getattr(operands, name).shape if wanted & (1 << k) else None for k, name in enumerate(_DIFFERENTIABLE)
    )
    gradients = _native_call()("sostenuto_backward", what, shapes, (*operands, outputs, saved, *d_given))
    by_name = dict(zip(_DIFFERENTIABLE, gradients, strict=True))
    return (Operands(*map(by_name.get, Operands._fields)),)


def _forward(what: Recurrence, operands: Operands, *, save: bool) -> Any:
    """Outputs, last states, and what the backward run needs; None for what there is not."""
    of_outputs = (*operands.inputs.shape[:-1], what.units)
    of_state = operands.h.shape
    shapes = (
        of_outputs if save or what.all_outputs else None,
        of_state,
        of_state if what.states == 2 else None,
        # Never of size 0, which would mean that nothing is to be saved.
        (max(1, what.saved_size(math.prod(of_outputs[:-1]))),) if save else None,
    )
    outputs, h, c, saved = _native_call()("sostenuto_forward", what, shapes, tuple(operands))
    return outputs, (h, c)[: what.states], saved


@cache
def _native_call() -> Any:
    """The calls into C++: operands in, results of the given shapes out, None on either side for what is absent."""
    import jax

    @partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
    def call(target: str, what: Recurrence, shapes: Any, operands: Any) -> Any:
        absent = np.zeros((0,), np.float32)
        arguments = [absent if value is None else value for value in operands]
        results = [jax.ShapeDtypeStruct((0,) if shape is None else shape, np.float32) for shape in shapes]
        run = jax.ffi.ffi_call(target, results, vmap_method="sequential")
        found = run(*arguments, cell=what.number, reverse=what.reverse, units=what.units)
        return [None if shape is None else result for shape, result in zip(shapes, found, strict=True)]

    @call.defjvp
    def refuse(target: str, what: Recurrence, shapes: Any, *_: Any) -> Any:
        raise _refusal(what, "a second derivative", "first derivatives")

    return call


@cache
def _reverse_only() -> Any:
    """The identity, of which the derivative can be transposed, as reverse mode does, but not computed."""
    import jax
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    tangent = Primitive("sostenuto_tangent")

    def refuse(*_: Any, what: Recurrence) -> Any:
        raise _refusal(
            what, "forward mode, as in jax.jvp and jax.linearize", "reverse mode, as in jax.grad and jax.vjp"
        )

    tangent.def_impl(refuse)
    tangent.def_abstract_eval(lambda value, **_: value)
    mlir.register_lowering(tangent, refuse)
    batching.defvectorized(tangent)
    ad.deflinear2(tangent, lambda gradient, *_, **__: [gradient])

    @partial(jax.custom_jvp, nondiff_argnums=(0,))
    def identity(what: Recurrence, value: Any) -> Any:
        return value

    @identity.defjvp
    def derivative(what: Recurrence, values: Any, tangents: Any) -> Any:
        return values[0], tangent.bind(tangents[0], what=what)

    return identity


def _refusal(what: Recurrence, got: str, wanted: str) -> ModelError:
    return ModelError(
        f"The native {what.cell} cannot be differentiated like this.",
        code="SO609",
        where="a derivative taken by JAX",
        got=got,
        wanted=wanted,
        fix="set SOSTENUTO_NATIVE=0: the portable kernel can be differentiated in any way, any number of times",
    )
