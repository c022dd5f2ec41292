"""The native kernel through torch: outputs and every gradient against the reference, and the ways of autograd."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from sostenuto.errors import ModelError
from sostenuto.kernels import native_module, reference
from sostenuto.kernels.recurrence import CELLS, Recurrence

if keras.backend.backend() != "torch":
    pytest.skip("tests the adapter of torch", allow_module_level=True)
if native_module.why_not() is not None:
    pytest.skip(f"no native module: {native_module.why_not()}", allow_module_level=True)

import torch
from torch.utils.checkpoint import checkpoint

from sostenuto.kernels.adapters import torch as adapter

ROWS, STEPS, FEATURES, UNITS = 6, 5, 3, 4
KINDS = {
    "lstm": reference.LSTM(),
    "gru_reset_after": reference.GRU(),
    "gru_reset_before": reference.GRU(reset_after=False),
    "simple_rnn": reference.SimpleRNN(),
}
LENGTHS = np.array([5, 3, 0, 1, 4, 2])
MASKS = {
    "dense": None,
    "prefix": np.arange(STEPS) < LENGTHS[:, None],
    "gaps": np.array(
        [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 0, 1, 0]], bool
    ),
    "flat": np.arange(STEPS) < LENGTHS[:, None],
}
each_cell = pytest.mark.parametrize("cell", CELLS)


@dataclass
class Problem:
    """Arrays in float64; ``mask`` says which steps are real, also of flat ones, which hold these and no others."""

    what: Recurrence
    inputs: np.ndarray
    weights: list[np.ndarray]
    states: list[np.ndarray]
    mask: np.ndarray
    dropout: np.ndarray | None
    d_outputs: np.ndarray
    d_last: list[np.ndarray]


def problem(cell, rng, mask=None, *, reverse=False, bias=True, dropout=False, all_outputs=True):
    what = Recurrence(cell, UNITS, reverse, all_outputs)
    shapes = [(FEATURES, what.gates * UNITS), (UNITS, what.gates * UNITS), what.bias_shape][: 2 + bias]
    return Problem(
        what,
        rng.normal(size=(ROWS, STEPS, FEATURES)),
        [rng.normal(0, 0.5, shape) for shape in shapes],
        [rng.normal(size=(ROWS, UNITS)) for _ in range(what.states)],
        np.ones((ROWS, STEPS), bool) if mask is None else mask,
        rng.choice([0, 1, 1.5], (ROWS, UNITS)) if dropout else None,
        rng.normal(size=(ROWS, STEPS, UNITS)),
        [rng.normal(size=(ROWS, UNITS)) for _ in range(what.states)],
    )


def right(case):
    """Outputs, last states, and the gradients of inputs, weights and states, row by row from the reference."""
    kind, reverse = KINDS[case.what.cell], case.what.reverse
    outputs, d_inputs = np.zeros((ROWS, STEPS, UNITS)), np.zeros_like(case.inputs)
    last, d_states = np.zeros((2, case.what.states, ROWS, UNITS))
    d_weights = [np.zeros_like(weight) for weight in case.weights]
    for row in range(ROWS):
        real = case.mask[row]
        # A mask on the state is the same as the rows of the recurrent kernel multiplied by it.
        scale = np.ones((UNITS, 1)) if case.dropout is None else case.dropout[row, :, None]
        weights = [case.weights[0], scale * case.weights[1], *case.weights[2:]]
        first = [state[row] for state in case.states]
        got, final, tape = reference.forward(kind, case.inputs[row, real], weights, first, reverse=reverse)
        # A masked step shows the output before it, so its gradient belongs to that one, or to the first state.
        d_got, d_first = np.zeros_like(got), np.zeros(UNITS)
        now, number = first[0], -1
        for step in range(STEPS)[:: -1 if reverse else 1]:
            if real[step]:
                number += 1
                now = got[number]
            outputs[row, step] = now
            (d_first if number < 0 else d_got[number])[:] += case.d_outputs[row, step]
        d_x, d_w, d_s = reference.backward(tape, d_got, [d[row] for d in case.d_last])
        d_inputs[row, real] = d_x
        for total, part in zip(d_weights, [d_w[0], scale * d_w[1], *d_w[2:]], strict=True):
            total += part
        last[:, row], d_states[:, row] = final, d_s
        d_states[0, row] += d_first
    return outputs, last, [d_inputs, *d_weights, *d_states]


def tensor(array, learns=False):
    return torch.tensor(array, dtype=torch.float32, requires_grad=learns)


def call(case, floats, **options):
    """Runs the adapter; floats are tensors of inputs, weights and states."""
    weights = [*floats[1 : 1 + len(case.weights)], None][:3]
    if case.dropout is not None:
        options["recurrent_dropout"] = tensor(case.dropout)
    return adapter.recurrence(case.what, floats[0], weights, floats[1 + len(case.weights) :], **options)


def floats_of(case, learn=True):
    return [tensor(array, learn) for array in (case.inputs, *case.weights, *case.states)]


def assert_close(got, wanted, relative=2e-6):
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=0, atol=relative * max(1, np.abs(wanted).max()))


@each_cell
@pytest.mark.parametrize("layout", MASKS)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("extras", ["bias", "dropout", "neither"])
def test_outputs_and_gradients(cell, layout, reverse, extras, rng):
    case = problem(cell, rng, MASKS[layout], reverse=reverse, bias=extras == "bias", dropout=extras == "dropout")
    if layout == "flat":
        case.d_outputs[~case.mask] = 0
    outputs, last, gradients = right(case)
    case.inputs[~case.mask] = np.nan
    options = {} if layout == "dense" else {"mask": torch.tensor(case.mask)}
    if layout == "flat":
        case.inputs, case.d_outputs = case.inputs[case.mask], case.d_outputs[case.mask]
        outputs, gradients[0] = outputs[case.mask], gradients[0][case.mask]
        options = {"offsets": torch.tensor([0, *np.cumsum(LENGTHS)])}
    with torch.no_grad():
        got, got_last = call(case, floats_of(case), **options)
    assert not got.requires_grad
    floats = floats_of(case)
    trained, trained_last = call(case, floats, **options)
    for result in (got, trained):
        assert_close(result, outputs)
    for state, also, wanted in zip(got_last, trained_last, last, strict=True):
        assert_close(state, wanted)
        assert_close(also, wanted)
    found = torch.autograd.grad([trained, *trained_last], floats, [tensor(case.d_outputs), *map(tensor, case.d_last)])
    for gradient, wanted in zip(found, gradients, strict=True):
        assert_close(gradient, wanted, 1e-5)


class Watched:
    """The native module, remembering the arguments of its calls."""

    def __init__(self):
        self.module, self.calls = adapter.native(), []

    def __getattr__(self, name):
        def noted(*arguments):
            self.calls.append((name, arguments))
            return getattr(self.module, name)(*arguments)

        return noted if name in ("forward", "backward") else getattr(self.module, name)


@pytest.fixture
def watched(monkeypatch):
    module = Watched()
    monkeypatch.setattr(adapter, "native", lambda: module)
    return module


@each_cell
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inference_allocates_what_is_asked_for(cell, mode, rng, watched):
    case = problem(cell, rng, all_outputs=False)
    with mode():
        outputs, last = call(case, floats_of(case))
    assert outputs is None
    ((name, arguments),) = watched.calls
    assert name == "forward"
    assert arguments[-4] == arguments[-1] == 0, "neither outputs nor anything for a backward run"
    for got, wanted in zip(last, right(case)[1], strict=True):
        assert_close(got, wanted)


@each_cell
def test_last_states_alone_have_gradients(cell, rng):
    case = problem(cell, rng, MASKS["gaps"], all_outputs=False)
    case.d_outputs[:] = 0
    floats = floats_of(case)
    outputs, last = call(case, floats, mask=torch.tensor(case.mask))
    assert outputs is None
    found = torch.autograd.grad(last, floats, [tensor(d) for d in case.d_last])
    for gradient, wanted in zip(found, right(case)[2], strict=True):
        assert_close(gradient, wanted, 1e-5)


@each_cell
@pytest.mark.parametrize("learner", range(5))
def test_only_wanted_gradients_are_computed(cell, learner, rng, watched):
    case = problem(cell, rng)
    floats = floats_of(case, learn=False)
    floats[learner if learner < len(floats) else -1].requires_grad_()
    outputs, _ = call(case, floats)
    outputs.backward(tensor(case.d_outputs))
    name, arguments = watched.calls[-1]
    assert name == "backward"
    assert sum(address != 0 for address in arguments[-6:]) == 1
    assert arguments[-8:-6] == (0, 0), "the last states were not used"
    case.d_last = [0 * d for d in case.d_last]
    for tensor_, wanted in zip(floats, right(case)[2], strict=True):
        assert (tensor_.grad is not None) == tensor_.requires_grad
        if tensor_.requires_grad:
            assert_close(tensor_.grad, wanted, 1e-5)


def test_tensors_that_do_not_lie_together(rng):
    case = problem("lstm", rng, MASKS["gaps"])
    outputs, _, gradients = right(case)
    packed = [tensor(array, True) for array in (case.inputs, *case.weights, *case.states)]
    loose = [p.transpose(0, -1).contiguous().transpose(0, -1) for p in packed]
    assert not any(each.is_contiguous() for each in loose if each.ndim > 1)
    mask = torch.tensor(case.mask).T.contiguous().T
    got, last = call(case, loose, mask=mask)
    assert_close(got, outputs)
    d_outputs = tensor(case.d_outputs).transpose(0, 1).contiguous().transpose(0, 1)
    found = torch.autograd.grad([got, *last], packed, [d_outputs, *map(tensor, case.d_last)])
    for gradient, wanted in zip(found, gradients, strict=True):
        assert_close(gradient, wanted, 1e-5)


@each_cell
def test_twice_in_one_graph(cell, rng):
    """Cut in two, states handed on: the weights' gradients of both runs add up, and a second backward repeats them."""
    case = problem(cell, rng)
    outputs, _, gradients = right(case)
    floats = floats_of(case)
    states = floats[1 + len(case.weights) :]
    weights = floats[1 : 1 + len(case.weights)]
    first, between = adapter.recurrence(case.what, floats[0][:, :2], weights, states)
    second, last = adapter.recurrence(case.what, floats[0][:, 2:], weights, between)
    joined = torch.cat([first, second], dim=1)
    assert_close(joined, outputs)
    for _ in range(2):
        found = torch.autograd.grad(
            [joined, *last], floats, [tensor(case.d_outputs), *map(tensor, case.d_last)], retain_graph=True
        )
        for gradient, wanted in zip(found, gradients, strict=True):
            assert_close(gradient, wanted, 1e-5)


@pytest.mark.parametrize("changed", ["inputs", "outputs"])
def test_changes_in_place_are_noticed(changed, rng):
    case = problem("gru_reset_after", rng)
    floats = floats_of(case)
    data = floats[0].detach().clone()
    outputs, _ = call(case, [data, *floats[1:]])
    (data if changed == "inputs" else outputs.detach()).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_second_derivatives_are_refused(rng):
    case = problem("lstm", rng)
    floats = floats_of(case)
    outputs, last = call(case, floats)
    results, d_results = [outputs, *last], [tensor(case.d_outputs), *map(tensor, case.d_last)]
    found = torch.autograd.grad(results, floats, d_results, create_graph=True)
    for gradient, wanted in zip(found, right(case)[2], strict=True):
        assert_close(gradient, wanted, 1e-5)
    with pytest.raises(ModelError) as caught:
        found[0].pow(2).sum().backward()
    assert str(caught.value) == (
        "The native lstm cannot be differentiated like this.\n"
        "  where   a derivative taken by PyTorch\n"
        "  got     a second derivative: backward() or grad() through gradients that were made with create_graph=True\n"
        "  wanted  first derivatives\n"
        "  fix     set SOSTENUTO_NATIVE=0: the portable kernel can be differentiated in any way, any number of times\n"
        "  more    sostenuto explain SO609"
    )


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints(reentrant, rng):
    case = problem("lstm", rng)
    floats = floats_of(case)
    outputs, *last = checkpoint(
        lambda *floats: ((run := call(case, floats))[0], *run[1]), *floats, use_reentrant=reentrant
    )
    torch.autograd.backward([outputs, *last], [tensor(case.d_outputs), *map(tensor, case.d_last)])
    for each, wanted in zip(floats, right(case)[2], strict=True):
        assert_close(each.grad, wanted, 1e-5)


def test_many_threads_call_at_once(rng):
    cases = [problem(cell, rng) for cell in CELLS * 2]
    found: list = [None] * len(cases)

    def work(number):
        floats = floats_of(cases[number])
        for _ in range(20):
            outputs, _ = call(cases[number], floats)
            found[number] = torch.autograd.grad(outputs, floats[0], tensor(cases[number].d_outputs))[0], outputs

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(cases))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for case, (d_inputs, outputs) in zip(cases, found, strict=True):
        case.d_last = [0 * d for d in case.d_last]
        wanted = right(case)
        assert_close(outputs, wanted[0])
        assert_close(d_inputs, wanted[2][0], 1e-5)


def test_memory_is_used_again_only_when_nobody_holds_it():
    module, size = adapter.native(), 3_000_000
    first = module.kept_tensor(size)
    address, part = first.data_ptr(), first[10:]
    del first
    second = module.kept_tensor(size)
    assert second.data_ptr() != address
    del part
    third = module.kept_tensor(size - 1000)
    assert third.data_ptr() == address
    assert third.shape == (size - 1000,)


def test_graphs_that_live_together_keep_apart(rng):
    """Large ones, whose memory for the way back comes from the native module."""
    what = Recurrence("gru_reset_after", 64)
    weights = [tensor(rng.normal(0, 0.1, shape)) for shape in ((3, 192), (64, 192), (2, 192))]
    batches = [tensor(rng.normal(size=(40, 50, 3)), True) for _ in range(3)]
    assert what.saved_size(40 * 50) > adapter._LARGE

    def outputs(batch):
        return adapter.recurrence(what, batch, weights, [torch.zeros(40, 64)])[0]

    alone = [torch.autograd.grad(outputs(batch).sum(), batch)[0] for batch in batches]
    losses = [outputs(batch).sum() for batch in batches]
    together = [torch.autograd.grad(loss, batch)[0] for loss, batch in zip(losses, batches, strict=True)]
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


@each_cell
@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("flat", [False, True])
def test_nothing_to_run(cell, rows, flat):
    """No rows, or rows without steps: the states stay, and the weights have gradients of zero."""
    what = Recurrence(cell, UNITS)
    size = what.gates * UNITS
    shape = (0, FEATURES) if flat else (rows, 0 if rows else STEPS, FEATURES)
    weights = [torch.ones(FEATURES, size, requires_grad=True), torch.ones(UNITS, size), None]
    states = [torch.ones(rows, UNITS) for _ in range(what.states)]
    options = {"offsets": torch.zeros(rows + 1, dtype=torch.int64)} if flat else {}
    for learns in (False, True):
        with torch.set_grad_enabled(learns):
            outputs, last = adapter.recurrence(what, torch.zeros(shape), weights, states, **options)
        assert outputs.shape == (*shape[:-1], UNITS)
        for got, first in zip(last, states, strict=True):
            assert torch.equal(got, first)
    (outputs.sum() + last[0].sum()).backward()
    assert torch.equal(weights[0].grad, torch.zeros_like(weights[0]))


@each_cell
def test_no_features(cell):
    what = Recurrence(cell, UNITS)
    size = what.gates * UNITS
    weights = [torch.zeros(0, size), torch.ones(UNITS, size, requires_grad=True), None]
    states = [torch.ones(2, UNITS) for _ in range(what.states)]
    outputs, _ = adapter.recurrence(what, torch.zeros(2, 3, 0), weights, states)
    alike, _ = adapter.recurrence(what, torch.zeros(2, 3, 1), [torch.ones(1, size), *weights[1:]], states)
    assert torch.equal(outputs, alike)
    outputs.sum().backward()
    assert weights[1].grad.abs().min() > 0


def test_threads_are_those_of_torch(rng, monkeypatch):
    monkeypatch.delenv("SOSTENUTO_THREADS", raising=False)
    case, before = problem("lstm", rng), torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            call(case, floats_of(case))
            assert native_module.load().threads() == number
    finally:
        torch.set_num_threads(before)
