"""What a diagnosis found: one finding, and the report that holds all of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["error", "silent"]

# A finding in words has the form of our errors, with the cause between what was wanted and what to do.
_LINES = ("where", "got", "wanted", "cause", "fix", "unsure")


@dataclass(frozen=True)
class Finding:
    """One mistake, with the evidence for it.

    Attributes:
        code: of the rule that found it, for instance "SO103".
        kind: "error" where it raised, "silent" where nothing did.
        title: what went wrong, one sentence.
        where: file, line and expression in the code of the user.
        got: what was found there, with numbers.
        wanted: what belongs there, with numbers and their origin.
        cause: why, in plain words.
        fix: code to paste, or what to do.
        sure: False where the evidence allows another reading.
        unsure: what would have to be known to be sure; empty where ``sure``.
        boundary: names of the two sides that do not fit, for pictures: ("x", "LSTM 'lstm'"). May be empty.

    Example:
        >>> print(Finding("SO103", "error", "LSTM 'lstm' cannot read this batch.", got="5 features", wanted="8"))
        LSTM 'lstm' cannot read this batch.
          got     5 features
          wanted  8
          more    sostenuto explain SO103
    """

    code: str
    kind: Kind
    title: str
    where: str = ""
    got: str = ""
    wanted: str = ""
    cause: str = ""
    fix: str = ""
    sure: bool = True
    unsure: str = ""
    boundary: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [self.title]
        for name in _LINES:
            text = getattr(self, name)
            if text:
                first, *rest = text.splitlines()
                lines.append(f"  {name:<8}{first}")
                lines.extend(f"          {line}" for line in rest)
        lines.append(f"  more    sostenuto explain {self.code}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        fields = asdict(self)
        del fields["boundary"], fields["unsure"]
        if self.unsure:
            fields["cause"] = f"{self.cause} Not sure: {self.unsure}".strip()
        return fields


class Report(Sequence[Finding]):
    """All findings of a run, errors first; prints as people read it.

    Args:
        findings: in the order found.
        exit: the status a script ended with; None where no script ran.
        failures: rules that failed themselves: (code, error). A diagnosis goes on without them.
        flow: what a picture of the run shows; None where nothing was watched.
        looked_at: what was compared, by name; empty where a program ran.

    Example:
        >>> report = Report([])
        >>> bool(report), print(report)
        Nothing was found that looks wrong.
        (False, None)
    """

    def __init__(
        self,
        findings: Sequence[Finding] = (),
        exit: int | None = None,
        failures: Sequence[tuple[str, BaseException]] = (),
        flow: Any = None,
        looked_at: Mapping[str, str] | None = None,
    ) -> None:
        self.findings = sorted(findings, key=lambda one: (one.kind != "error", not one.sure))
        self.exit = exit
        self.failures = tuple(failures)
        self.flow = flow
        self.looked_at = dict(looked_at or {})

    @property
    def codes(self) -> list[str]:
        """The codes of all findings, in their order."""
        return [one.code for one in self.findings]

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        if self.findings:
            return "\n\n".join(map(str, self.findings))
        lines = [f"  {name:<8}{text}" for name, text in self.looked_at.items()]
        return "\n".join(["Nothing was found that looks wrong.", *lines])

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """What ``--json`` writes: {"exit", "findings"}."""
        return {"exit": self.exit, "findings": [one.to_dict() for one in self.findings]}
