"""What has been seen so far, and who considers it: events come in, rules look at them, findings stay."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sostenuto.diagnosis.events import Event, Failure, LayerCall, LayerMade, ModelCall, StateReset, TorchCall
from sostenuto.diagnosis.finding import Finding, Report
from sostenuto.diagnosis.source import Place

# Enough to see a pattern; a training loop on torch makes millions.
_KEPT = 200

# Layers that are kept alive for a look back at the end. A search that makes thousands of models must be able to let go.
_ALIVE = 200


@dataclass
class History:
    """What is known of one layer or module.

    Attributes:
        reference: a weak one to the layer.
        made: where it was made, or None.
        source: the source of the call that made it, or "".
        arguments: what it was made with.
        shapes: the shapes of its inputs, of the first calls; None where an input has none.
        masked: whether a mask came along, of the same calls.
        places: of the same calls.
        count: of all calls.
        resets: how often its state was reset.
    """

    reference: Callable[[], Any]
    made: Place | None = None
    source: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    shapes: list[tuple[int | None, ...] | None] = field(default_factory=list)
    masked: list[bool] = field(default_factory=list)
    places: list[Place | None] = field(default_factory=list)
    count: int = 0
    resets: int = 0

    @property
    def layer(self) -> Any:
        """The layer or module; None where it is gone."""
        return self.reference()


class Seen:
    """Memory of what happened, and what was found in it.

    Attributes:
        histories: of layers and modules, by id().
        verbs: all calls of fit, evaluate, predict and their siblings, the first some hundred.
        notes: what rules remember, by a name of their own.
        findings: so far.
        failures: rules that failed themselves: (code, error).
    """

    def __init__(self) -> None:
        self.histories: dict[int, History] = {}
        self.verbs: list[ModelCall] = []
        self.notes: dict[str, Any] = defaultdict(dict)
        self.findings: list[Finding] = []
        self.failures: list[tuple[str, BaseException]] = []
        self._marks: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._known: set[tuple[str, Any]] = set()
        self._alive: list[Any] = []

    def consider(self, event: Event) -> None:
        """Shows an event to all rules that look at its kind, and keeps what they find."""
        from sostenuto.diagnosis.catalogue import rules_for

        self._remember(event)
        found: list[Finding] = []
        kind: Any = type(event)
        for rule in rules_for(kind):
            try:
                found += rule.findings(event, self)
            # A rule is code of ours that meets anything at all; the user's program must not notice.
            except Exception as error:
                self.failures.append((rule.code, error))
        if isinstance(event, Failure):
            # One exception has one cause: guesses go where somebody is sure.
            found = [one for one in found if one.sure] or found or self._unknown(event)
        for finding in found:
            self._keep(finding)

    def history(self, layer: Any) -> History:
        """What is known of a layer or module; empty where it was made before anybody looked."""
        found = self.histories.get(id(layer))
        if found is None or found.layer is not layer:
            found = self.histories[id(layer)] = History(_reference(layer))
            if len(self._alive) < _ALIVE:
                self._alive.append(layer)
        return found

    def mark(self, thing: Any, **facts: Any) -> None:
        """Remembers facts of an array, tensor or dataset for as long as it lives.

        Args:
            thing: the object; nothing happens where Python cannot follow its life.
            facts: added to those there are.
        """
        number = id(thing)
        known = self._marks.get(number)
        if known is not None and known[0]() is thing:
            known[1].update(facts)
            return
        try:
            reference = weakref.ref(thing, lambda _: self._marks.pop(number, None))
        except TypeError:
            return
        self._marks[number] = reference, dict(facts)

    def marks(self, thing: Any) -> dict[str, Any]:
        """The facts that are remembered of an object."""
        known = self._marks.get(id(thing))
        return known[1] if known is not None and known[0]() is thing else {}

    def report(self, exit: int | None = None, flow: Any = None) -> Report:
        """All findings so far.

        Args:
            exit: the status of a script.
            flow: what a picture shows.
        """
        return Report(self.findings, exit, self.failures, flow)

    def _keep(self, finding: Finding) -> None:
        # A loop meets the same mistake at the same place in every turn.
        known = finding.code, finding.where
        if known not in self._known:
            self._known.add(known)
            self.findings.append(finding)

    def _unknown(self, event: Failure) -> list[Finding]:
        from sostenuto.diagnosis.rules.unknown import SO001, what_is_known

        try:
            return [SO001.finding(found, event)] if (found := what_is_known(event, self)) else []
        except Exception as error:
            self.failures.append((SO001.code, error))
            return []

    def _remember(self, event: Event) -> None:
        if isinstance(event, LayerMade):
            history = self.history(event.layer)
            history.made, history.arguments = event.place, dict(event.arguments)
            history.source = _source(event)
        elif isinstance(event, LayerCall | TorchCall):
            layer = event.layer if isinstance(event, LayerCall) else event.module
            history = self.history(layer)
            event.number = history.count
            history.count += 1
            if len(history.shapes) < _KEPT:
                inputs = event.inputs if isinstance(event, LayerCall) else next(iter(event.inputs), None)
                shape = getattr(inputs, "shape", None)
                history.shapes.append(None if shape is None else tuple(shape))
                history.masked.append(isinstance(event, LayerCall) and event.masked)
                history.places.append(event.place.bare() if event.place else None)
        elif isinstance(event, StateReset):
            self.history(event.layer).resets += 1
        elif isinstance(event, ModelCall) and len(self.verbs) < _KEPT:
            self.verbs.append(event)


def _reference(thing: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing


def _source(event: LayerMade) -> str:
    # The call that made it, where that call bears its name: not a function of the user's that makes layers.
    place = event.place
    node = place.call(type(event.layer).__name__) if place is not None else None
    return place.source(node) if place is not None and node is not None else ""
