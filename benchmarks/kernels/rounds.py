"""Interleaved rounds: every contender in turn, all others stopped, rounds with foreign load dropped."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from process import Load, Process

# A peer this slow (seconds per call), and this many times slower than the fastest peer, gets fewer rounds.
SLOW, FAR = 0.15, 2.5
FEWER = 3
PEERS = ("peer", "stock", "bound peer")

# Seconds after which a workload begins no new round: a machine that busy has nothing to tell.
LIMIT = 150.0


@dataclass
class Contender:
    """One contender of a workload, and what came of it.

    Args:
        name: its name.
        role: its part, as in ``offers.ROLES``.
        process: where it runs.

    Attributes:
        why: why it has no times, where it has none: "absent: ...", "error: ..." or "wrong: ...".
        steps: real steps of one call, where they are not the workload's.
        samples: seconds per call, one for each round kept.
        disturbed: samples of rounds with foreign load; used where too few others are left.
        fewer: whether it was measured in fewer rounds, because it is far behind.
        calls: calls in the last burst.
    """

    name: str
    role: str
    process: Process
    why: str | None = None
    steps: int | None = None
    samples: list[float] = field(default_factory=list)
    disturbed: list[float] = field(default_factory=list)
    fewer: bool = False
    calls: int = 0

    @property
    def seconds(self) -> float | None:
        """Median time of a call; None for one that failed, be it late."""
        return statistics.median(self.samples) if self.samples and self.why is None else None


@dataclass
class Rounds:
    """What became of the rounds of a workload.

    Attributes:
        run: all of them.
        dropped: those that somebody else's work fell into.
        bursts_dropped: single bursts dropped for the same reason, in rounds that were kept.
        stopped_seconds: processor time that stopped processes used meanwhile, which should be none.
        seconds: how long all took.
    """

    run: int = 0
    dropped: int = 0
    bursts_dropped: int = 0
    stopped_seconds: float = 0.0
    seconds: float = 0.0


def measure(
    contenders: Sequence[Contender],
    processes: list[Process],
    rounds: int,
    seconds: float,
    threads: int,
    told: Callable[[int], None] = lambda turn: None,
) -> Rounds:
    """Times contenders until each has its rounds; at most twice as many are run.

    Args:
        contenders: those that are ready; their samples are filled.
        processes: all workers, running; they run again afterwards.
        rounds: how many undisturbed samples each shall have.
        seconds: length of a burst.
        threads: processors in use.
        told: called with the number of each round.
    """
    result = Rounds()
    order = list(contenders)
    for process in processes:
        process.stop()
    begun = time.perf_counter()
    while result.run < 2 * rounds and time.perf_counter() - begun < LIMIT:
        due = [one for one in order if one.why is None and len(one.samples) < _wanted(one, order, rounds)]
        if not due:
            break
        told(result.run)
        _round(due, processes, seconds, threads, result)
        result.run += 1
        # Rotated and reversed, so that nobody always follows the same neighbour.
        order = [*order[1:], order[0]][::-1]
    for one in contenders:
        # Better a doubtful median, which the count of dropped rounds gives away, than none.
        if one.why is None and len(one.samples) < FEWER:
            one.samples += one.disturbed
    for process in processes:
        process.go_on()
    result.seconds = time.perf_counter() - begun
    return result


def _wanted(contender: Contender, all_of_them: Sequence[Contender], rounds: int) -> int:
    own = contender.seconds
    if own is not None and own > SLOW and contender.role in PEERS:
        contender.fewer = own > FAR * min(one.seconds for one in all_of_them if one.seconds and one.role in PEERS)
    return min(rounds, FEWER) if contender.fewer else rounds


def _round(due: Sequence[Contender], processes: list[Process], seconds: float, threads: int, result: Rounds) -> None:
    whole = Load(processes, threads)
    taken = [(one, *_burst(one, processes, seconds, threads, result)) for one in due]
    dropped = whole.too_much()
    result.dropped += dropped
    for one, sample, disturbed in taken:
        if sample is None:
            continue
        if dropped or disturbed:
            one.disturbed.append(sample)
            result.bursts_dropped += not dropped
        else:
            one.samples.append(sample)


def _burst(
    contender: Contender, processes: list[Process], seconds: float, threads: int, result: Rounds
) -> tuple[float | None, bool]:
    # The time of a call, and whether others worked meanwhile.
    others = [process for process in processes if process is not contender.process]
    before = sum(process.processor_seconds() for process in others)
    load = Load(processes, threads)
    contender.process.go_on()
    answer = contender.process.ask(f"run {seconds} {contender.name}")
    contender.process.stop()
    disturbed = load.too_much()
    result.stopped_seconds += sum(process.processor_seconds() for process in others) - before
    if "error" in answer:
        contender.why = f"error: {answer['error']}"
        return None, disturbed
    contender.calls = answer["calls"]
    return answer["seconds"], disturbed
