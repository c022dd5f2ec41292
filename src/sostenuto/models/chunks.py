"""Sequences cut into chunks for truncated backpropagation through time; each row of a batch carries one sequence.

Truncated backpropagation: Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of
recurrent network trajectories". Why lanes, and what they cost: design/0011.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.models.batches import Batches
from sostenuto.models.lanes import LANES, lanes_of_rows
from sostenuto.sequences import Sequences
from sostenuto.sequences.batching import pieces
from sostenuto.sequences.targets import Per

# Few lanes are left when the last long sequences run out. A smaller batch then saves work, but is compiled anew on JAX.
FEWER_ROWS = 4
ROUNDS_WORTH_A_SHAPE = 12


@dataclass(frozen=True)
class Round:
    """One batch of chunks.

    Attributes:
        positions: the sequence of each row (B,); -1 where a row is only there to keep the shape.
        starts: where its chunk begins (B,).
        lengths: the steps of its chunk (B,).
        lanes: the row of the table that holds its state (B,), each at most once.
        fresh: whether it starts from the initial state instead (B,).
        ends: whether it is the last chunk of its sequence (B,).
    """

    positions: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    lanes: np.ndarray
    fresh: np.ndarray
    ends: np.ndarray


def plan_rounds(lengths: np.ndarray, lanes: int, chunk: int, random: np.random.Generator | None) -> list[Round]:
    """Lays sequences into lanes, one after the other, and cuts them into chunks.

    A sequence keeps its lane from its first chunk to its last; then the lane takes the next sequence. Only its last
    chunk is shorter than the others.

    Args:
        lengths: lengths of the sequences (S,); one without steps still has a chunk, of 0 steps.
        lanes: the number of lanes.
        chunk: steps of a chunk.
        random: shuffles sequences; None lets lanes take them in order. The number of batches is the same every time.

    Returns:
        The batches. A row stays with its lane as long as all lanes are in use.

    Example:
        >>> rounds = plan_rounds(np.array([5, 2, 3]), lanes=2, chunk=2, random=None)
        >>> [(one.positions.tolist(), one.starts.tolist(), one.lengths.tolist()) for one in rounds]
        [([0, 1], [0, 0], [2, 2]), ([0, 2], [2, 0], [2, 2]), ([0, 2], [4, 2], [1, 1])]
    """
    chunks = np.maximum(-(-lengths // chunk), 1)
    begin, lane_of = _in_order(chunks, lanes) if random is None else _shuffled(chunks, lanes, random)
    sequence = np.repeat(np.arange(len(lengths)), chunks)
    number = np.arange(len(sequence)) - np.repeat(np.cumsum(chunks) - chunks, chunks)
    when = begin[sequence] + number
    by_round = np.lexsort((lane_of[sequence], when))
    sequence, number, when = sequence[by_round], number[by_round], when[by_round]
    in_use = np.bincount(when)
    rows = np.full(len(in_use), lanes)
    if len(in_use) >= ROUNDS_WORTH_A_SHAPE:
        smaller = -(-lanes // FEWER_ROWS)
        rows[in_use <= smaller] = smaller
    ends = np.cumsum(rows)
    place = np.arange(len(when)) + (ends - rows - (np.cumsum(in_use) - in_use))[when]

    def laid(column: np.ndarray, filler: Any) -> np.ndarray:
        every = np.empty(int(rows.sum()), column.dtype)
        every[:] = filler
        every[place] = column
        return every

    left = lengths[sequence] - number * chunk
    # Rows that only keep the shape come last and hold their states, those of lanes nobody reads.
    spare = lanes + np.arange(int(rows.sum())) - np.repeat(ends - rows + in_use, rows)
    columns = (
        laid(sequence, -1),
        laid(number * chunk, 0),
        laid(np.minimum(left, chunk), 0),
        laid(lane_of[sequence], spare),
        laid(number == 0, True),
        laid(left <= chunk, False),
    )
    return [Round(*(column[first:last] for column in columns)) for first, last in itertools.pairwise([0, *ends])]


def _in_order(chunks: np.ndarray, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """When each sequence begins (S,), and in which lane (S,): each goes to the lane that is free first."""
    begin, lane_of = np.zeros(len(chunks), np.int64), np.zeros(len(chunks), np.int64)
    free = [(0, lane) for lane in range(lanes)]
    for position, number in enumerate(chunks.tolist()):
        begin[position], lane_of[position] = heapq.heappop(free)
        heapq.heappush(free, (int(begin[position]) + number, int(lane_of[position])))
    return begin, lane_of


def _shuffled(chunks: np.ndarray, lanes: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same with chance: the longest are shared out first, then each lane shuffles what it got.

    Keras wants the same number of batches in every epoch, and that of plain lists in a random order varies; sharing out
    the longest first (Graham 1969) gives one number for all orders among equals, and close to the fewest.
    """
    shuffled = random.permutation(len(chunks))
    longest_first = shuffled[np.argsort(-chunks[shuffled], kind="stable")]
    lane_of = np.zeros(len(chunks), np.int64)
    _, lane_of[longest_first] = _in_order(chunks[longest_first], lanes)
    by_lane = np.lexsort((random.permutation(len(chunks)), lane_of))
    ends = np.cumsum(chunks[by_lane])
    lane = lane_of[by_lane]
    before = np.concatenate([[0], ends])[np.searchsorted(lane, lane)]
    begin = np.zeros(len(chunks), np.int64)
    begin[by_lane] = ends - chunks[by_lane] - before
    return begin, lane_of


@dataclass(frozen=True)
class Chunking:
    """How sequences are cut.

    Attributes:
        steps: steps of a chunk.
        carry_epochs: let a sequence go on in the next epoch where it ended.
        every_chunk: let each chunk of a sequence count in losses per sequence, not its last one only.
    """

    steps: int
    carry_epochs: bool = False
    every_chunk: bool = True


class ChunkBatches(Batches):
    """Batches of chunks for ``keras.Model.fit``: what ``SequenceBatches`` gives, and for each row its lane.

    The batches of an epoch only make sense in their order: each row goes on from the state its lane was left in.

    Args:
        blocks: one or more collections, gone through in order; a stream is gone through anew in each epoch.
        lanes: sequences that are carried side by side.
        chunking: how sequences are cut.
        prepare: turns a ``Batch`` into what the model is fed.
        seed: shuffles sequences within a block, anew in each epoch, never the chunks of one; None keeps their order.
        declared_steps: the number of steps that the model fixes; chosen from the lengths by default.
        table: the name of the model's table that keeps the states: "fit", "evaluate" or "predict".
        outputs_per: "step" or "sequence". Of a chunk's outputs per sequence it must be said which count; those per step
            count where a step is real.
    """

    def __init__(
        self,
        blocks: Iterable[Sequences],
        lanes: int,
        chunking: Chunking,
        prepare: Any,
        *,
        seed: int | None = None,
        declared_steps: int | None = None,
        table: str,
        outputs_per: Per,
    ) -> None:
        super().__init__(blocks)
        self._prepare = prepare
        self._random = None if seed is None else np.random.default_rng(seed)
        self._lengths = [block.lengths for block in blocks]
        most = max((len(lengths) for lengths in self._lengths), default=0)
        self.lanes = max(min(lanes, most), 1)
        longest = max((int(lengths.max(initial=0)) for lengths in self._lengths), default=0)
        self._chunking = chunking
        self.steps = declared_steps or max(min(chunking.steps, longest), 1)
        self._table, self._outputs_per = table, outputs_per
        self._offsets = np.cumsum([0, *(len(lengths) for lengths in self._lengths)])
        self._epochs = 0
        self._begun, self._given = False, -1
        self._make_plan()

    @property
    def rows_of_table(self) -> int:
        """Rows of the table that our states take: one a sequence if they outlive an epoch, and those of idle rows."""
        return (int(self._offsets[-1]) if self._chunking.carry_epochs else self.lanes) + self.lanes

    def _make_plan(self) -> None:
        self._rounds: list[tuple[int, Round]] = []
        for number, lengths in enumerate(self._lengths):
            rounds = plan_rounds(lengths, self.lanes, self._chunking.steps, self._random)
            self._rounds += [(number, one) for one in rounds]
        self._lay_lanes()
        self._rewind()

    def _lay_lanes(self) -> None:
        """Where the states of each batch are read and written, for the whole epoch at once."""
        rounds = [one for _, one in self._rounds]
        ends = np.cumsum([len(one.lanes) for one in rounds])
        lanes, fresh = _joined(one.lanes for one in rounds), _joined(one.fresh for one in rounds)
        if self._chunking.carry_epochs:
            block = np.repeat([number for number, _ in self._rounds], np.diff(ends, prepend=0))
            positions = _joined(one.positions for one in rounds)
            idle = positions < 0
            lanes = np.where(idle, self._offsets[-1] + lanes - self.lanes, positions + self._offsets[block])
            fresh = fresh & (self._epochs == 0)
        self._lanes = np.split(lanes_of_rows(lanes, fresh), ends[:-1])

    @property
    def rounds(self) -> list[tuple[int, Round]]:
        """The plan of this epoch, each batch with the number of its block."""
        return self._rounds

    def __len__(self) -> int:
        return len(self._rounds)

    def __getitem__(self, index: int) -> Any:
        number, one = self._rounds[index]
        self._given = index
        batch = pieces(self._block_number(number), np.maximum(one.positions, 0), one.starts, one.lengths, self.steps)
        fed, *rest = self._prepare(batch)
        fed = {**fed, LANES[self._table]: self._lanes[index]}
        if self._outputs_per == "sequence":
            fed["counted"] = one.positions >= 0 if self._chunking.every_chunk else one.ends
        return (fed, *rest)

    def on_epoch_begin(self) -> None:
        """Notes that batches given from now on are trained on; Keras looks at some beforehand, and ends that too."""
        if not self._begun:
            self._begun, self._given = True, -1

    def on_epoch_end(self) -> None:
        """Shuffles anew, if the epoch went to the end: with steps_per_epoch the next one goes on where this stopped."""
        if self._begun and self._given == len(self._rounds) - 1:
            self._epochs += 1
            if self._random is not None:
                self._make_plan()
            else:
                self._lay_lanes()


def _joined(parts: Iterable[np.ndarray]) -> np.ndarray:
    listed = list(parts)
    return np.concatenate(listed) if listed else np.zeros(0, np.int64)
