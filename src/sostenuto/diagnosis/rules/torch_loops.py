"""Training loops of torch: gradients that add up, optimizers of other parameters, dropout that is on or never on."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import LayerMade, TorchCall, TorchFunction
from sostenuto.diagnosis.rules.torch_facts import once
from sostenuto.diagnosis.rules.torch_loop_pages import SO029, SO030, SO052, SO059
from sostenuto.diagnosis.rules.torch_modules import is_cell, is_rnn, name_of, written
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword, without_keyword
from sostenuto.diagnosis.views import kinds
from sostenuto.diagnosis.wording import count

# Steps of an optimizer that are looked at.
_STEPS = 10

# Numbers of a gradient that are added up to recognise it.
_SMALL = 4096


# --- dropout ---------------------------------------------------------------------------------------------------------


@SO029.on(LayerMade)
def dropout_between_no_layers(event: LayerMade, seen: Seen) -> Evidence | None:
    """Looks for dropout= of a recurrent module with one layer."""
    module = event.layer
    if not is_rnn(module) or "torch" not in {kind.__module__.partition(".")[0] for kind in type(module).__mro__}:
        return None
    dropout = getattr(module, "dropout", 0)
    if not isinstance(dropout, int | float) or not dropout or getattr(module, "num_layers", 1) != 1:
        return None
    source = written(module, seen)
    return Evidence(
        got=f"dropout={dropout}, num_layers=1",
        wanted="num_layers=2 or more, or nn.Dropout behind the module",
        cause="dropout= of a recurrent module of torch stands between its layers: on the output of every layer but the "
        "last.\nWith one layer there is no such place, and nothing is ever dropped.",
        fix=f"{without_keyword(source, 'dropout')}\nnn.Dropout({dropout})        # on its output\n"
        f"{with_keyword(source, 'num_layers', '2')}        # or two layers",
    )


@SO030.on(TorchCall)
def dropped_at_evaluation(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for dropout that is at work while gradients are switched off, after training."""
    module, notes = event.module, seen.notes["torch dropped"]
    if event.gradients or not getattr(module, "training", False):
        return None
    of = kinds(module)
    if not seen.notes["torch backward"].get("count"):
        return None
    rate = 0.0
    if is_rnn(module) and getattr(module, "num_layers", 1) > 1:
        rate = float(getattr(module, "dropout", 0) or 0)
    elif "Dropout" in of:
        rate = float(getattr(module, "p", 0) or 0)
    if not rate:
        return None
    notes["count"] = notes.get("count", 0) + 1
    if notes["count"] < 2 or not once(seen, "torch said", ("SO030", "any")):
        return None
    name = name_of(event)
    return Evidence(
        got=f"{name}: dropout={rate} in training mode, in calls without gradients, after training had begun",
        wanted="model.eval() before evaluation, model.train() after it",
        cause="torch.no_grad() switches gradients off, not dropout. Modules stay in training mode until eval() is "
        f"called, so\n{rate:.0%} of the units are dropped at random, and the results differ from call to call.",
        fix="model.eval()\nwith torch.no_grad():\n    ...\nmodel.train()",
        unsure="whether dropout is meant here, as for Monte Carlo dropout",
    )


def _own(module: Any) -> list[Any]:
    return [one for one in (getattr(module, "_parameters", None) or {}).values() if one is not None]


# --- gradients and optimizers ----------------------------------------------------------------------------------------


def _parameters(optimizer: Any) -> Iterator[Any]:
    for group in getattr(optimizer, "param_groups", ()):
        yield from group.get("params", ())


def _checksum(gradient: Any) -> float:
    # The position counts too, so that another gradient has another sum.
    try:
        flat = gradient.detach().double().flatten()
        return float(flat.abs().sum()) + float(flat[::2].sum()) * 1e-3
    except (RuntimeError, AttributeError):
        return math.nan


@SO059.on(TorchFunction)
def gradients_add_up(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for gradients that no backward() between two steps of an optimizer found cleared."""
    notes = seen.notes["torch zero grad"]
    if event.name == "before backward":
        for known in notes.values():
            _look_at_gradient(known, event.place.text if event.place else "")
        return None
    if event.name != "step":
        return None
    optimizer = event.inputs[0]
    known = notes.setdefault(id(optimizer), {"steps": 0, "kept": 0, "cleared": False, "looks": 0})
    known["steps"] += 1
    if known["steps"] > _STEPS or known["cleared"]:
        known["last"] = None
        return None
    known["kept"] += known["looks"] > 0
    known["looks"] = 0
    known["last"] = None
    for one in _parameters(optimizer):
        gradient = getattr(one, "grad", None)
        if gradient is not None and gradient.numel() <= _SMALL:
            known["last"] = weakref.ref(one), _checksum(gradient)
            break
    if known["kept"] < 3 or not once(seen, "torch said", ("SO059", id(optimizer))):
        return None
    return Evidence(
        got=f"gradients that step() has used are still there at the next backward(), {known['kept']} times in a row",
        wanted="optimizer.zero_grad() once in every step",
        cause="backward() adds to the gradients that are there. Nobody sets them to zero, so they add up over all "
        "steps:\neach step goes in the direction of everything seen so far.",
        fix="\n".join(("optimizer.zero_grad()", known.get("backward") or "loss.backward()", "optimizer.step()")),
    )


def _look_at_gradient(known: dict[str, Any], line: str) -> None:
    # Another optimizer's backward() may add to them as well; only the first one finds them as the step left them.
    last = known.get("last")
    if last is None or known["cleared"]:
        return
    gradient = getattr(last[0](), "grad", None)
    found = 0.0 if gradient is None else _checksum(gradient)
    if not found or not math.isfinite(found) or (not known["looks"] and found != last[1]):
        known["cleared"] = True
        return
    known["looks"] += 1
    known["backward"] = line


@SO052.on(TorchFunction)
def steps_without_gradients(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for an optimizer none of whose parameters has a gradient when it steps."""
    notes = seen.notes["torch steps"]
    if event.name in ("backward", "zero_grad"):
        notes["order"] = (*notes.get("order", ()), event.name)[-6:]
        if event.name == "zero_grad":
            notes["zeroed"] = event.place.line if event.place is not None else None
        return None
    if event.name == "Optimizer":
        notes.setdefault("all", []).append(weakref.ref(event.inputs[0]))
        return None
    if event.name == "load_state_dict":
        notes["loaded"] = True
        return None
    if event.name != "step":
        return None
    order, notes["order"] = notes.get("order", ()), ()
    optimizer = event.inputs[0]
    steps = notes.setdefault("steps", {})
    known = steps.setdefault(id(optimizer), [0, 0])
    known[0] += 1
    if known[0] > _STEPS:
        return None
    parameters = list(_parameters(optimizer))
    if any(getattr(one, "grad", None) is not None for one in parameters):
        known[1] = 0
        return _left_out(event, notes, seen) if known[0] == 5 else None
    known[1] += 1
    if known[1] < 2 or not once(seen, "torch said", ("SO052", id(optimizer))):
        return None
    if "backward" in order and order[-1] == "zero_grad":
        at = f" in line {notes['zeroed']}" if notes.get("zeroed") else ""
        return Evidence(
            title="zero_grad() between backward() and step() takes the gradients away.",
            got=f"no gradient at step(): backward(), then zero_grad(){at}, then step()",
            wanted="zero_grad(), backward(), step(), in this order",
            cause="zero_grad() takes away what backward() has just computed, so step() changes nothing.",
            fix="optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
        )
    if not seen.notes["torch backward"].get("count"):
        return Evidence(
            title="optimizer.step() without backward() changes nothing.",
            got=f"none of {count(len(parameters), 'parameter')} has a gradient, and backward() never ran",
            wanted="loss.backward() before optimizer.step()",
            cause="step() changes parameters by their gradients, and backward() computes these.",
            fix="optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
        )
    trained = _trained(seen, {id(one) for one in parameters})
    name = (
        f"{trained[0]} have gradients, and are not the optimizer's" if trained else "the loss does not depend on them"
    )
    return Evidence(
        got=f"none of {count(len(parameters), 'parameter')} of the optimizer has a gradient at step(); {name}",
        wanted="an optimizer over the parameters of the model that the loss comes from",
        cause="The optimizer was made for the parameters of another model, or of an earlier one that was made anew "
        "since; or\nthe graph is cut between them and the loss, by detach(), .data, .item() or torch.no_grad(). step() "
        "changes nothing.",
        fix="optimizer = torch.optim.Adam(model.parameters())        # after the model is made that is trained",
    )


def _trained(seen: Seen, parameters: set[int]) -> list[str]:
    # Recurrent and linear modules that were called, and have gradients that are not the optimizer's.
    found = []
    for history in list(seen.histories.values()):
        module = history.layer
        if module is None or not (is_rnn(module) or is_cell(module) or kinds(module) & {"Linear", "Embedding"}):
            continue
        own = _own(module)
        with_gradient = [one for one in own if getattr(one, "grad", None) is not None and one.requires_grad]
        if with_gradient and not any(id(one) in parameters for one in own):
            found.append(f"{written(module, seen)}" + (f" of line {history.made.line}" if history.made else ""))
    return found


def _left_out(event: TorchFunction, notes: dict[str, Any], seen: Seen) -> Evidence | None:
    optimizers = [one for one in (reference() for reference in notes.get("all", [])) if one is not None]
    optimizers.append(event.inputs[0])
    owned = {id(one) for optimizer in optimizers for one in _parameters(optimizer)}
    left = _trained(seen, owned)
    # Weights that were loaded are often meant to stay as they are.
    if not left or notes.get("loaded") or not once(seen, "torch said", ("SO052", "left out")):
        return None
    return Evidence(
        title="A part of the model is trained by no optimizer.",
        got=f"{', '.join(left[:3])}: gradients, and no optimizer that has the parameters",
        wanted="an optimizer over the parameters of all parts that are to be trained",
        cause="backward() computes gradients for every part of the model, and step() changes the parameters that the "
        "optimizer\nwas made with. The others stay at the random numbers they began with.",
        fix="optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()])        # all parts",
        unsure="whether these parts are to stay as they are; requires_grad_(False) would say so",
    )
