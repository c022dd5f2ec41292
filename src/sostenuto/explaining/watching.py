"""The watcher: wraps the public entry points of Keras and torch while a program runs, and collects what is found."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import wrapt

from sostenuto.diagnosis.events import End, Event, Failure, LayerCall, ModelCall, TorchCall
from sostenuto.diagnosis.finding import Finding, Report
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, places_of
from sostenuto.errors import SostenutoError
from sostenuto.explaining import keras_entries, rebuilt, torch_entries
from sostenuto.explaining.flow import Flow
from sostenuto.explaining.patches import Patches
from sostenuto.explaining.tracebacks import shortened

_ENTRIES = {"keras": keras_entries.wrap, "torch": torch_entries.wrap}


class Watch:
    """Watches while its ``with`` block runs: calls of Keras and torch are looked at, and mistakes are kept.

    Nothing of the program changes: results, random numbers and exceptions are what they would be without. An exception
    that leaves the block goes on after it was diagnosed.

    Attributes:
        seen: what happened so far.
        flow: what a picture of it shows.
        active: whether it watches now.
        told: how many findings a notebook has shown.
        shortens: whether exceptions lose the frames that Keras would have taken out by itself.
        forget: takes back what a notebook was asked to call.

    Example:
        >>> import numpy as np, keras, sostenuto as so
        >>> with so.watch() as watch:
        ...     x = keras.utils.pad_sequences([[0.2, 0.7], [0.4]])
        >>> watch.report.codes
        ['SO222']
    """

    def __init__(self) -> None:
        self.seen = Seen()
        self.flow = Flow()
        self.active = False
        self.told = 0
        self.shortens = False
        self.forget: Callable[[], None] = lambda: None
        self._patches = Patches()
        self._lock = threading.RLock()
        self._local = threading.local()

    @property
    def report(self) -> Report:
        """All findings so far."""
        return self.seen.report(flow=self.flow)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if isinstance(error, Exception):
            self.failed(error)
            if self.shortens:
                shortened(error)
        self.ended({})

    def start(self) -> None:
        """Wraps what is imported already; the rest when the program imports it."""
        self.active = True
        for name, wrap in _ENTRIES.items():
            if name in sys.modules and hasattr(sys.modules[name], "__version__"):
                wrap(self, self._patches)
            else:
                wrapt.when_imported(name)(self._later(wrap))

    def _later(self, wrap: Callable[[Watch, Patches], None]) -> Callable[[Any], None]:
        def imported(module: Any) -> None:
            if self.active:
                wrap(self, self._patches)

        return imported

    def stop(self) -> None:
        """Takes all wrappers away."""
        self.active = False
        self._patches.undo()

    # --- what the wrappers call --------------------------------------------------------------------------------------

    def saw(self, event: Event) -> None:
        """Takes an event in. Nothing that a rule does is itself seen."""
        if self.active and not self.busy:
            with self._lock:
                self.busy = True
                try:
                    self.seen.consider(event)
                    self.flow.saw(event)
                # A picture that cannot be drawn is left out.
                except Exception as error:
                    self.seen.failures.append(("picture", error))
                finally:
                    self.busy = False

    @property
    def busy(self) -> bool:
        """Whether a rule is at work in this thread."""
        return getattr(self._local, "busy", False)

    @busy.setter
    def busy(self, value: bool) -> None:
        self._local.busy = value

    @property
    def calls(self) -> list[Any]:
        """The calls of layers under way in this thread, outermost first."""
        return self._stack("calls")

    @property
    def verbs(self) -> list[ModelCall]:
        """The calls of fit, evaluate and predict under way in this thread, outermost first."""
        return self._stack("verbs")

    @property
    def failing(self) -> list[LayerCall | TorchCall]:
        """The calls that the exception under way has gone through, innermost first."""
        return self._stack("failing")

    @property
    def failing_verbs(self) -> list[ModelCall]:
        """The calls of fit, evaluate and predict that it has gone through, innermost first."""
        return self._stack("failing_verbs")

    def _stack(self, name: str) -> list[Any]:
        if not hasattr(self._local, name):
            setattr(self._local, name, [])
        return getattr(self._local, name)

    # --- the end -----------------------------------------------------------------------------------------------------

    def failed(self, error: BaseException, caller: Place | None = None) -> list[Finding]:
        """Diagnoses an exception; what was found about it.

        Args:
            error: the exception, with its traceback.
            caller: the place that asked, where the traceback does not reach up to it.
        """
        before = len(self.seen.findings)
        places = [*([caller] if caller is not None else []), *places_of(error.__traceback__)]
        if isinstance(error, SostenutoError):
            self.seen.findings.append(own_error(error, places[-1].words if places else ""))
            return self.seen.findings[before:]
        frames, step = [], error.__traceback__
        while step is not None:
            frame = step.tb_frame
            frames.append((frame.f_code.co_filename, frame.f_code.co_name, frame.f_locals))
            step = step.tb_next
        place = places[-1] if places else None
        # An exception that the program caught may have left its calls here.
        lines = {(one.file, one.line) for one in places}
        lines |= {(one.file, one.line) for cause in _chain(error) for one in places_of(cause.__traceback__)}
        calls = [one for one in self.failing if _at(one.place, lines)]
        verb = next((one for one in self.failing_verbs if _at(one.place, lines)), None)
        if not calls and not self.seen.histories:
            verb = rebuilt.verb_of(places)
            calls = rebuilt.calls_of(error.__traceback__, place, verb, str(error))
        if calls:
            self.flow.failed(calls[0])
        self.seen.consider(Failure(place, error, places, tuple(calls), verb, frames))
        return self.seen.findings[before:]

    def ended(self, names: Mapping[str, Any]) -> None:
        """Lets the rules look back at the whole run.

        Args:
            names: variables of the program.
        """
        self.seen.consider(End(None, names))


def _at(place: Place | None, lines: set[tuple[str, int]]) -> bool:
    return place is None or (place.file, place.line) in lines


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


def own_error(error: SostenutoError, place: str = "") -> Finding:
    """An error of ours, which explains itself, as a finding.

    Args:
        error: the error.
        place: in the code of the user, in words.
    """
    where = "\n".join(one for one in (place, error.where) if one)
    return Finding(error.code, "error", error.what, where, error.got, error.wanted, "", error.fix)


def watch() -> Watch:
    """Watches the code of a ``with`` block: ``with so.watch() as watch: ...``; then ``print(watch.report)``.

    Returns:
        A context manager; see ``Watch``.
    """
    return Watch()
