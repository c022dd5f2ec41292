"""What the native kernel refuses on torch, and where it steps aside for the portable one."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

from sostenuto.errors import ShapeError
from sostenuto.kernels import native_module
from sostenuto.kernels.recurrence import Recurrence

if keras.backend.backend() != "torch":
    pytest.skip("tests the adapter of torch", allow_module_level=True)
if native_module.why_not() is not None:
    pytest.skip(f"no native module: {native_module.why_not()}", allow_module_level=True)

import torch

import sostenuto as so
from sostenuto.kernels.adapters import torch as adapter

FEATURES, UNITS = 3, 4


def good(units=UNITS):
    return {
        "inputs": torch.zeros(2, 3, FEATURES),
        "weights": [torch.zeros(FEATURES, 4 * units), torch.zeros(units, 4 * units), torch.zeros(4 * units)],
        "states": [torch.zeros(2, units), torch.zeros(2, units)],
    }


def test_shapes_that_do_not_fit():
    arguments = good()
    arguments["states"][1] = torch.zeros(1, UNITS)
    with pytest.raises(ShapeError) as caught:
        adapter.recurrence(Recurrence("lstm", UNITS), **arguments)
    assert str(caught.value) == (
        "The native lstm of 4 units cannot run arrays of these shapes.\n"
        "  where   a call of the native kernel\n"
        "  got     inputs (2, 3, 3), kernel (3, 16), recurrent_kernel (4, 16), bias (16,), h (2, 4), c (1, 4)\n"
        "  wanted  inputs (B, T, F), mask (B, T), kernel (F, 16), recurrent_kernel (4, 16), bias (16,), "
        "h and c (B, 4), dropout (B, 4) or (B, 16), input dropout (B, 4 * F)\n"
        "  fix     pass arrays that agree on rows, steps, features and units\n"
        "  more    sostenuto explain SO107"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": torch.zeros(2, FEATURES)},
        {"inputs": torch.zeros(2, 3, FEATURES + 1)},
        {"inputs": torch.zeros(3, 3, FEATURES)},
        {"weights": good(UNITS + 1)["weights"]},
        {"weights": [*good()["weights"][:2], torch.zeros(2, 4 * UNITS)]},
        {"weights": [None, *good()["weights"][1:]]},
        {"states": good()["states"][:1]},
        {"states": [*good()["states"], torch.zeros(2, UNITS)]},
        {"mask": torch.ones(2, 4, dtype=torch.bool)},
        {"mask": torch.ones(2, 3)},
        {"recurrent_dropout": torch.ones(2, UNITS + 1)},
        {"recurrent_dropout": torch.ones(2, UNITS), "input_dropout": torch.ones(2, 4 * 3)},
        {"offsets": torch.tensor([0, 3, 6])},
        {"inputs": torch.zeros(6, FEATURES), "offsets": torch.tensor([0, 6])},
        {"inputs": torch.zeros(6, FEATURES), "offsets": torch.tensor([0, 3, 7])},
        {"inputs": torch.zeros(6, FEATURES), "offsets": torch.tensor([0, 8, 6])},
        {"inputs": torch.zeros(6, FEATURES), "offsets": torch.tensor([-1, 3, 6])},
        {"inputs": torch.zeros(6, FEATURES), "offsets": torch.tensor([0.0, 3.0, 6.0])},
        {"inputs": torch.zeros(2, 3, FEATURES, dtype=torch.float64)},
        {"inputs": torch.zeros(2, 3, FEATURES, device="meta")},
        {"weights": [torch.zeros(FEATURES, 4 * UNITS, device="meta"), *good()["weights"][1:]]},
    ],
)
def test_calls_that_do_not_fit_are_refused(change):
    with pytest.raises(ShapeError, match="The native lstm"):
        adapter.recurrence(Recurrence("lstm", UNITS), **{**good(), **change})


def test_a_tensor_of_another_kind_is_named():
    change = {"inputs": torch.zeros(2, 3, FEATURES, dtype=torch.float64)}
    with pytest.raises(ShapeError) as caught:
        adapter.recurrence(Recurrence("lstm", UNITS), **{**good(), **change})
    assert str(caught.value) == (
        "The native lstm cannot read this tensor.\n"
        "  where   a call of the native kernel\n"
        "  got     float64 (2, 3, 3) on 'cpu'\n"
        "  wanted  float32 on 'cpu'\n"
        "  fix     convert it with tensor.to(...)\n"
        "  more    sostenuto explain SO107"
    )


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
def test_tensors_without_memory_are_refused():
    """A fake tensor says that it lies on the CPU and has no address."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        arguments = {name: mode.from_tensor(value) if name == "inputs" else value for name, value in good().items()}
    with pytest.raises((ShapeError, RuntimeError)):
        adapter.recurrence(Recurrence("lstm", UNITS), **arguments)


# --- the layers, where torch does something else than running ---------------------------------------------------------


def tensor(array):
    return torch.tensor(array, dtype=torch.float32)


def assert_close(got, wanted, relative=2e-6):
    np.testing.assert_allclose(got.detach(), wanted, rtol=0, atol=relative * max(1, np.abs(wanted).max()))


def layer_and_batch(rng):
    layer = so.LSTM(UNITS, return_sequences=True)
    layer.build((None, None, FEATURES))
    return layer, tensor(rng.normal(size=(2, 3, FEATURES)))


def reason(layer):
    declined = dict(layer.explain().declined)
    assert layer.explain().kernel.name == "portable"
    return declined["native"]


def test_torch_compile_takes_the_portable_kernel(rng):
    layer, x = layer_and_batch(rng)
    wanted = layer(x)
    assert layer.explain().kernel.name == "native"
    got = torch.compile(lambda x: layer(x), backend="eager")(x)
    assert reason(layer) == "torch.compile is tracing this call"
    assert_close(got, wanted.detach().numpy())


def test_torch_func_takes_the_portable_kernel(rng):
    layer, x = layer_and_batch(rng)
    d_outputs = tensor(rng.normal(size=(2, 3, UNITS)))
    leaf = x.clone().requires_grad_()
    (layer(leaf) * d_outputs).sum().backward()
    got = torch.func.grad(lambda x: (layer(x) * d_outputs).sum())(x)
    assert reason(layer) == "torch.func is transforming this call"
    assert_close(got, leaf.grad.numpy(), 1e-5)


def test_forward_mode_takes_the_portable_kernel(rng):
    layer, x = layer_and_batch(rng)
    direction, step = tensor(rng.normal(size=x.shape)), 1e-2
    with torch.no_grad():
        slope = (layer(x + step * direction) - layer(x - step * direction)) / (2 * step)
    with torch.autograd.forward_ad.dual_level():
        outputs = layer(torch.autograd.forward_ad.make_dual(x, direction))
        tangent = torch.autograd.forward_ad.unpack_dual(outputs).tangent
        assert reason(layer) == "forward-mode differentiation is on"
    np.testing.assert_allclose(tangent.detach(), slope, atol=1e-4)


def test_a_trace_takes_the_portable_kernel(rng):
    layer, x = layer_and_batch(rng)
    layer.trainable = False  # torch refuses to trace constants that learn

    class Module(torch.nn.Module):
        def forward(self, x):
            return layer(x)

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Module(), x, check_trace=False)
        assert reason(layer) == "torch.jit.trace (or an ONNX export) is recording this call"
        other = tensor(rng.normal(size=x.shape))
        assert_close(traced(other), layer(other).numpy())


def test_a_dispatch_mode_takes_the_portable_kernel(rng):
    from torch.utils.flop_counter import FlopCounterMode

    layer, x = layer_and_batch(rng)
    with FlopCounterMode(display=False) as counter:
        layer(x)
    assert reason(layer) == "a TorchDispatchMode is watching this call"
    assert counter.get_total_flops() > 0


def test_another_device_takes_the_portable_kernel(rng, monkeypatch):
    layer, x = layer_and_batch(rng)
    monkeypatch.setattr(adapter, "get_device", lambda: "cuda:0")
    layer(x)
    assert reason(layer) == "Keras keeps its tensors on 'cuda', not on the CPU"


def test_symbolic_calls_run_nothing(monkeypatch):
    monkeypatch.setattr(adapter, "native", lambda: pytest.fail("the native kernel was called"))
    inputs = keras.Input((None, FEATURES))
    layer = so.GRU(UNITS, return_sequences=True)
    outputs = layer(inputs)
    assert outputs.shape == (None, None, UNITS)
    assert layer.explain().kernel.name == "native"
