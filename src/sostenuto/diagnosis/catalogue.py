"""The one catalogue: every code with its page, its example, and the rule that finds it in other people's programs.

A code is either *ours* (one of our own errors; the check that raises it stands at the boundary concerned) or has one or
more functions that look at events. Both have a page, and an example that the tests run.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sostenuto.diagnosis.events import Event, Failure
from sostenuto.diagnosis.finding import Finding
from sostenuto.diagnosis.pasting import pasteable
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.wording import nearest

if TYPE_CHECKING:
    from sostenuto.diagnosis.seen import Seen

Look = Callable[[Any, "Seen"], "Evidence | Iterable[Evidence] | None"]
SomeLook = TypeVar("SomeLook", bound=Look)


@dataclass(frozen=True)
class Evidence:
    """What a rule saw; the catalogue makes a finding of it. Fields are those of ``Finding``.

    Attributes:
        title: instead of the rule's own.
        place: where, instead of the event's.
    """

    got: str
    wanted: str
    cause: str
    fix: str
    unsure: str = ""
    title: str = ""
    place: Place | None = None
    boundary: tuple[str, ...] = ()


@dataclass
class Rule:
    """A code: its page, its example, and what looks for it.

    Attributes:
        code: for instance "SO103".
        title: what went wrong, one line without a full stop.
        meaning: of the page: why it happens and why it matters.
        fix: of the page: what to do.
        example: a small program with the mistake: it raises the code, or a look finds it. "" where ``needs`` says why.
        repaired: the program put right, for codes that a look finds.
        backend: that the example runs on; "" for any, "torch" also for programs without Keras.
        needs: what it would take to show the mistake, where a small program alone cannot.
        looks: kind of event and function.
    """

    code: str
    title: str
    meaning: str
    fix: str
    example: str = ""
    repaired: str = ""
    backend: str = ""
    needs: str = ""
    looks: list[tuple[type[Event], Look]] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{self.code}  {self.title}\n\n{self.meaning}\n\nWhat to do\n{self.fix}"
        if self.example:
            text += f"\n\nExample\n{_indented(self.example)}"
        if self.repaired:
            text += f"\n\nPut right\n{_indented(self.repaired)}"
        return text

    def on(self, *kinds: type[Event]) -> Callable[[SomeLook], SomeLook]:
        """Makes a function look at events.

        Args:
            kinds: of events. The function gets (event, seen), and returns evidence or None.
        """

        def add(look: SomeLook) -> SomeLook:
            self.looks.extend((kind, look) for kind in kinds)
            return look

        return add

    def findings(self, event: Event, seen: Seen) -> Iterator[Finding]:
        """What this rule finds in an event."""
        for kind, look in self.looks:
            if type(event) is not kind:
                continue
            found = look(event, seen)
            for one in [found] if isinstance(found, Evidence) else found or ():
                yield self.finding(one, event)

    def finding(self, evidence: Evidence, event: Event) -> Finding:
        """A finding from evidence."""
        place = evidence.place or event.place
        return Finding(
            code=self.code,
            kind="error" if isinstance(event, Failure) else "silent",
            title=evidence.title or f"{self.title}.",
            where=place.words if place else "",
            got=evidence.got,
            wanted=evidence.wanted,
            cause=evidence.cause,
            fix=pasteable(evidence.fix, place),
            sure=not evidence.unsure,
            unsure=evidence.unsure,
            boundary=evidence.boundary,
        )


_RULES: dict[str, Rule] = {}


def rule(
    code: str,
    title: str,
    meaning: str,
    fix: str,
    *,
    example: str = "",
    repaired: str = "",
    backend: str = "",
    needs: str = "",
) -> Rule:
    """Enters a code; ``@that_rule.on(Kind)`` then gives it a look. Arguments are the attributes of ``Rule``."""
    if code in _RULES:
        raise ValueError(f"{code} is in the catalogue already: {_RULES[code].title}")
    program, mended = example.strip("\n"), repaired.strip("\n")
    entered = Rule(code, title, _filled(meaning), _filled(fix), program, mended, backend, needs)
    _RULES[code] = entered
    return entered


@functools.cache
def rules() -> dict[str, Rule]:
    """All codes in their order."""
    # By its full name: in sostenuto.diagnosis, "rules" is this function.
    package = importlib.import_module("sostenuto.diagnosis.rules")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_RULES.items()))


@functools.cache
def rules_for(kind: Hashable) -> tuple[Rule, ...]:
    """The rules that look at a kind of event."""
    return tuple(one for one in rules().values() if any(kind is looked_at for looked_at, _ in one.looks))


def page(code: str) -> Rule:
    """The page of a code.

    Raises:
        KeyError: there is no such code; the message names near ones.

    Example:
        >>> page("so103").title
        'The number of features per step does not fit'
    """
    found = rules().get(code.upper())
    if found is None:
        near = nearest(code, rules())
        raise KeyError(f"there is no page {code!r}" + (f"; near ones: {', '.join(near)}" if near else ""))
    return found


def _filled(text: str) -> str:
    # Paragraphs are written in lines of the source; a page has lines of its own.
    import textwrap

    paragraphs = textwrap.dedent(text).strip().split("\n\n")
    return "\n\n".join(textwrap.fill(" ".join(one.split()), 100) for one in paragraphs)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
