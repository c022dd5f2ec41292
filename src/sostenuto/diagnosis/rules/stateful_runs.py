"""Who ran a stateful layer, on what, and what became of its state: a log for the rules about silent faults."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.events import LayerCall, ModelCall, ModelCalled, StateReset
from sostenuto.diagnosis.rules.stateful_plans import Plan, first_of, plan_of
from sostenuto.diagnosis.rules.stateful_rows import Order, Piece, checksum, order_of, piece_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import backend, is_ours, kinds, layers_of, stateful_layers

# Runs that are kept of one layer; a loop over single steps makes thousands.
MOST = 300

TRAINS = ("fit", "train_on_batch")


@dataclass(frozen=True)
class Nested:
    """An evaluation or prediction within fit.

    Attributes:
        name: in words.
        place: where.
        own: whether fit itself called it, for its validation data.
        ended: the state it left.
    """

    name: str
    place: Place | None
    own: bool
    ended: int | None


@dataclass
class Run:
    """One call that read a stateful layer's state and left another.

    Attributes:
        verb: "fit", "predict", ..., or "call" where the model or layer was called itself.
        name: in words: "model.predict".
        place: where.
        plan: how its data was cut.
        epochs: how often it went through the data.
        piece: its data, or the first batch of it; None where it is not known.
        began: whether its state began at zero, as a checksum; None where it is not known.
        ended: the checksum of the state it left.
        zero: whether the state was zero at the beginning, and at the end.
        resets: how often the user's code reset the state while it ran.
        answer: some numbers of what it returned.
        pending: runs within it that moved the state, since the last reset.
        disturbed: those that training then went on from.
        after_reset: whether the state was reset since the run before.
    """

    verb: str
    name: str
    place: Place | None
    plan: Plan
    epochs: int = 1
    piece: Piece | None = None
    began: int | None = None
    ended: int | None = None
    zero: tuple[bool | None, bool | None] = (None, None)
    resets: int = 0
    answer: np.ndarray | None = None
    pending: list[Nested] = field(default_factory=list)
    disturbed: list[Nested] = field(default_factory=list)
    after_reset: bool = False

    @property
    def carried(self) -> bool:
        """Whether state went on from one batch to another within it."""
        batches = self.plan.batches
        return (batches is None or batches * self.epochs > 1) and self.resets < (batches or 2) * self.epochs


@dataclass
class Log:
    """All that happened to a stateful layer.

    Attributes:
        reference: a weak one to the layer.
        runs: in their order, the first some hundred.
        resets: by the user's code, outside of runs.
        all_resets: within runs too.
        since: whether the state was reset, or set, since the last run.
        reset_place: of the last reset.
        full: whether more happened than is kept.
        others: weak references to the other stateful layers of its model.
    """

    reference: Any
    runs: list[Run] = field(default_factory=list)
    resets: int = 0
    all_resets: int = 0
    since: bool = False
    reset_place: Place | None = None
    full: bool = False
    others: list[Any] = field(default_factory=list)

    def siblings(self) -> list[Any]:
        """The other stateful layers of its model that are still there."""
        return [layer for other in self.others if (layer := other()) is not None]

    @property
    def layer(self) -> Any:
        """The layer; None where it is gone."""
        return self.reference()


def stock_stateful(model: Any) -> list[Any]:
    """Stateful layers of Keras itself in a model; ours keep state by another rule."""
    return [layer for layer in stateful_layers(model) if not is_ours(layer)]


def variables_of(layer: Any) -> list[Any]:
    """The variables that hold a stateful layer's state; empty before it is built."""
    parts = [layer] if getattr(layer, "states", None) is not None else [
        getattr(layer, "forward_layer", None), getattr(layer, "backward_layer", None),
    ]  # fmt: skip
    found: list[Any] = []
    for part in parts:
        for state in getattr(part, "states", None) or ():
            found += state if isinstance(state, list | tuple) else [state]
    return found


def rows_of_state(layer: Any) -> int | None:
    """How many rows a stateful layer keeps a state for; None before it is built."""
    for variable in variables_of(layer):
        shape = getattr(variable, "shape", None)
        if shape is not None and len(shape) and isinstance(shape[0], int):
            return shape[0]
    return None


def _state(layer: Any) -> tuple[int | None, bool | None]:
    total, zero = 0, True
    found = variables_of(layer)
    for variable in found:
        try:
            value = as_array(variable.value)
        # Within a function of JAX there is no value.
        except Exception:
            return None, None
        if value is None:
            return None, None
        total = (total * 31 + checksum(value)) % (1 << 62)
        zero = zero and not value.any()
    return (total, zero) if found else (None, None)


def is_zero(layer: Any) -> bool | None:
    """Whether the state of a layer is all zeros now; None where it is not known."""
    return _state(layer)[1]


def log_of(layer: Any, seen: Seen) -> Log:
    """The log of a stateful layer."""
    logs = seen.notes["stateful logs"]
    known = logs.get(id(layer))
    if known is None or known.layer is not layer:
        known = logs[id(layer)] = Log(seen.history(layer).reference)
    return known


def _log_with(layers: list[Any], seen: Seen) -> Log:
    # Of the first stateful layer of a model; the others share its fate.
    log = log_of(layers[0], seen)
    if not log.others and len(layers) > 1:
        log.others = [seen.history(layer).reference for layer in layers[1:]]
    return log


def logs(seen: Seen) -> list[Log]:
    """All logs of layers that are still there."""
    return [one for one in seen.notes["stateful logs"].values() if one.layer is not None]


def followed(event: ModelCall | LayerCall | StateReset, seen: Seen) -> Log | None:
    """Enters an event into the log it belongs to, once, however many rules ask.

    Returns:
        The log; None where no stateful layer of Keras is concerned.
    """
    memory = seen.notes["stateful events"]
    last = memory.get("last")
    if last is not None and last[0]() is event:
        known: Log | None = last[1]
        return known
    log = _entered(event, seen, memory)
    memory["last"] = weakref.ref(event), log
    return log


def _entered(event: Any, seen: Seen, memory: dict[str, Any]) -> Log | None:
    running: list[tuple[Any, Run]] = memory.setdefault("running", [])
    if isinstance(event, StateReset):
        return _reset(event, seen, running)
    if isinstance(event, ModelCall):
        layers = stock_stateful(event.model)
        if not layers:
            return None
        log = _log_with(layers, seen)
        if isinstance(event, ModelCalled):
            return _over(event, log, running)
        return _begun(event, log, running)
    return _called(event, seen, running)


def _begun(event: ModelCall, log: Log, running: list[tuple[Any, Run]]) -> Log | None:
    if event.within is None:
        running.clear()
    around = next((one for other, one in reversed(running) if other is log), None)
    if len(log.runs) >= MOST:
        log.full = True
        return None
    epochs = event.options.get("epochs", 1)
    first = event.options.get("initial_epoch", 0)
    epochs = epochs - first if isinstance(epochs, int) and isinstance(first, int) else 1
    run = Run(event.verb, event.name, event.place.bare() if event.place else None, plan_of(event), epochs)
    run.began, zero = _state(log.layer)
    run.zero = zero, None
    if around is not None and around.pending and around.pending[-1].ended != run.began:
        around.disturbed += around.pending
        around.pending.clear()
    data = first_of(event.x)
    array = as_array(data)
    if array is not None:
        run.piece = piece_of(array[: run.plan.batch] if run.plan.batches != 1 and array.ndim else array, data)
    running.append((log, run))
    return log


def _over(event: ModelCalled, log: Log, running: list[tuple[Any, Run]]) -> Log | None:
    while running and not (running[-1][0] is log and running[-1][1].verb == event.verb):
        running.pop()
    if not running:
        return None
    run = running.pop()[1]
    run.ended, zero = _state(log.layer)
    run.zero = run.zero[0], zero
    run.answer = _numbers(event.result)
    around = next((one for other, one in reversed(running) if other is log), None)
    if around is not None:
        # Within fit, which goes on with the state it left, unless that is reset or put back.
        if run.ended != run.began and not run.resets:
            within = event.within
            own = event.verb == "evaluate" and within is not None and _same_line(event.place, within.place)
            around.pending.append(Nested(run.name, run.place, own, run.ended))
        return log
    if run.pending and run.pending[-1].ended != run.ended:
        # Somebody gave fit its own state back after the last evaluation, and so after the others.
        run.disturbed.clear()
    before = log.runs[-1] if log.runs else None
    set_anew = before is not None and run.began is not None and before.ended is not None and run.began != before.ended
    run.after_reset = log.since or set_anew
    log.since = False
    log.runs.append(run)
    return log


def _numbers(result: Any) -> np.ndarray | None:
    # Of predict, the first few; of evaluate, loss and metrics.
    if isinstance(result, float):
        return np.array([result])
    if isinstance(result, list) and result and all(isinstance(one, float) for one in result):
        return np.array(result)
    answer = as_array(result)
    return answer.reshape(-1)[:64].astype(np.float64) if answer is not None and answer.size else None


def _same_line(one: Place | None, other: Place | None) -> bool:
    return one is not None and other is not None and (one.file, one.line) == (other.file, other.line)


def _reset(event: StateReset, seen: Seen, running: list[tuple[Any, Run]]) -> Log | None:
    log = log_of(event.layer, seen)
    log.all_resets += 1
    log.reset_place = event.place.bare() if event.place else None
    inside = next((run for other, run in reversed(running) if other is log), None)
    if inside is not None:
        inside.resets += 1
        inside.pending.clear()
        return log
    log.resets += 1
    log.since = True
    return log


def _called(event: LayerCall, seen: Seen, running: list[tuple[Any, Run]]) -> Log | None:
    # A direct call of a model or layer, outside of fit and its siblings.
    if event.outer is not None or event.symbolic or running:
        return None
    layer = event.layer
    layers = stock_stateful(layer) if "Model" in kinds(layer) else []
    if not layers and getattr(layer, "stateful", False) is True and "RNN" in kinds(layer) and not is_ours(layer):
        layers = [layer]
    array = as_array(first_of(event.inputs)) if layers else None
    if array is None or not array.ndim:
        return None
    log = _log_with(layers, seen)
    if len(log.runs) >= MOST:
        log.full = True
        return None
    names = event.place.names_of(layer) if event.place else []
    rows = array.shape[0]
    run = Run(
        "call",
        f"{names[0] if names else type(layer).__name__.lower()}(...)",
        event.place.bare() if event.place else None,
        Plan(rows, rows, True),
    )
    run.piece = piece_of(array, first_of(event.inputs))
    run.ended, zero = _state(log.layer)
    before = log.runs[-1] if log.runs else None
    run.began = before.ended if before is not None and not log.since else None
    run.zero = (True if before is None or log.since else before.zero[1]), zero
    run.after_reset = log.since or before is None
    log.since = False
    log.runs.append(run)
    return log


def layer_words(layer: Any, names: Mapping[str, Any] | None = None) -> str:
    """How the user can write a layer of a model."""
    for name, value in (names or {}).items():
        if value is layer and not name.startswith("_"):
            return name
    for name, value in (names or {}).items():
        if "Model" in kinds(value) and layer in list(layers_of(value)):
            own = list(getattr(value, "layers", ()))
            return f"{name}.layers[{own.index(layer)}]" if layer in own else f"{name}.get_layer('{layer.name}')"
    return "layer"


def last_run(event: ModelCalled, seen: Seen) -> tuple[Log, Run] | None:
    """The log, and the run that has just come to its end; None for one within another, and for other models."""
    log = followed(event, seen)
    if log is None or not log.runs or event.within is not None:
        return None
    return log, log.runs[-1]


def since_reset(log: Log) -> list[Run]:
    """The runs since the state was last zero, or set."""
    start = max((number for number, run in enumerate(log.runs) if run.after_reset), default=0)
    return log.runs[start:]


def layer_name(log: Log, place: Place | None) -> str:
    """How the user can write the layer of a log."""
    return layer_words(log.layer, place.names if place is not None else None)


def line_of(thing: Run | Place | None) -> str:
    """The line of a run or place, in words."""
    place = thing.place if isinstance(thing, Run) else thing
    return f"line {place.line}" if place is not None else "before"


def carries() -> bool:
    """Whether fit, evaluate and predict of Keras carry state at all on this backend."""
    return backend() != "jax"


def order_in(event: ModelCalled) -> Order | None:
    """How the rows of the data of fit, evaluate or predict belong together; None where they are not known."""
    array, plan = as_array(first_of(event.x)), plan_of(event)
    if array is None or not plan.batch or not plan.rows:
        return None
    targets = as_array(event.y)
    return order_of(array[: plan.rows], targets[: plan.rows] if targets is not None else None, plan.batch)
