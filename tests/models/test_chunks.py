"""The plan of chunked training: every step once and in order, one lane a sequence, the same few shapes every epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sostenuto as so
from sostenuto.models.chunks import ChunkBatches, Chunking, plan_rounds

pytestmark = pytest.mark.plain
lengths_of = st.lists(st.integers(0, 40), min_size=1, max_size=40).map(np.array)


def walked(rounds, lanes):
    """What each sequence goes through, in order of the rounds: (round, start, length, lane, fresh, ends)."""
    chunks = {}
    for number, one in enumerate(rounds):
        assert len(set(one.lanes.tolist())) == len(one.lanes), "a lane is named once"
        for row, position in enumerate(one.positions.tolist()):
            if position < 0:
                assert (one.lengths[row], one.ends[row]) == (0, False)
                assert one.lanes[row] >= lanes, "an idle row writes to a lane that nobody reads"
                continue
            entry = (number, one.starts[row], one.lengths[row], one.lanes[row], one.fresh[row], one.ends[row])
            chunks.setdefault(position, []).append(tuple(int(part) for part in entry))
    return chunks


@given(lengths_of, st.integers(1, 9), st.integers(1, 9), st.integers(0, 3) | st.none())
def test_every_step_once_and_in_order(lengths, lanes, chunk, seed):
    lanes = min(lanes, len(lengths))
    random = None if seed is None else np.random.default_rng(seed)
    chunks = walked(plan_rounds(lengths, lanes, chunk, random), lanes)
    assert sorted(chunks) == list(range(len(lengths)))
    busy = set()
    for position, own in chunks.items():
        rounds, starts, sizes, lane, fresh, ends = (list(column) for column in zip(*own, strict=True))
        assert rounds == list(range(rounds[0], rounds[0] + len(rounds))), "no round is skipped"
        assert starts == list(range(0, chunk * len(starts), chunk))
        assert sum(sizes) == lengths[position]
        assert all(size == chunk for size in sizes[:-1])
        assert len(set(lane)) == 1
        assert fresh == [1] + [0] * (len(fresh) - 1)
        assert ends == [0] * (len(ends) - 1) + [1]
        mine = {(number, lane[0]) for number in rounds}
        assert not mine & busy, "a lane carries one sequence at a time"
        busy |= mine


@given(lengths_of, st.integers(1, 9), st.integers(1, 9))
def test_the_number_of_batches_does_not_depend_on_chance(lengths, lanes, chunk):
    lanes = min(lanes, len(lengths))
    numbers = {len(plan_rounds(lengths, lanes, chunk, np.random.default_rng(seed))) for seed in range(8)}
    assert len(numbers) == 1
    chunks = np.maximum(-(-lengths // chunk), 1)
    fewest = max(-(-chunks.sum() // lanes), chunks.max())
    assert numbers.pop() <= fewest * (4 / 3)  # Graham 1969


@given(lengths_of, st.integers(1, 9), st.integers(1, 9))
def test_at_most_two_shapes(lengths, lanes, chunk):
    lanes = min(lanes, len(lengths))
    sizes = {len(one.positions) for one in plan_rounds(lengths, lanes, chunk, np.random.default_rng(0))}
    assert sizes <= {lanes, -(-lanes // 4)}


def test_order_is_kept_without_shuffling():
    rounds = plan_rounds(np.array([2, 9, 1, 1, 1]), 2, 3, None)
    assert [one.positions.tolist() for one in rounds] == [[0, 1], [2, 1], [3, 1], [4, -1]]


def test_shuffling_moves_sequences_between_rounds():
    lengths = np.full(12, 4)
    orders = {
        tuple(position for one in plan_rounds(lengths, 3, 4, np.random.default_rng(seed)) for position in one.positions)
        for seed in range(20)
    }
    assert len(orders) == 20


def batches_of(sequences, chunking, lanes=2, **options):
    return ChunkBatches([sequences], lanes, chunking, lambda batch: ({"values": batch.values},), table="fit",
                        outputs_per="sequence", **options)  # fmt: skip


def test_batches_hold_the_steps_of_their_chunks():
    sequences = so.Sequences.from_list({"a": [1.0, 2.0, 3.0], "b": [4.0]}, targets=[[1, 2, 3], [4]])
    batches = batches_of(sequences, Chunking(2))
    first, second = batches[0][0], batches[1][0]
    assert first["values"][..., 0].tolist() == [[1, 2], [4, 0]]
    assert first["fit_lanes"].tolist() == [[0, 1], [0, 2]]  # both begin
    assert second["values"][..., 0].tolist() == [[3, 0], [0, 0]]
    assert second["fit_lanes"].tolist() == [[1, 1], [0, 3]]  # the first goes on, the other is idle
    assert (first["counted"].tolist(), second["counted"].tolist()) == ([True, True], [True, False])
    assert batches.rows_of_table == 4


def test_only_the_last_chunk_counts_if_asked():
    sequences = so.Sequences.from_list({"a": [1.0, 2.0, 3.0], "b": [4.0]})
    batches = batches_of(sequences, Chunking(2, every_chunk=False))
    assert [batches[number][0]["counted"].tolist() for number in range(2)] == [[False, True], [True, False]]


def test_each_sequence_has_a_row_where_states_outlive_epochs():
    sequences = so.Sequences.from_list({name: [1.0] * 4 for name in "abcde"})
    batches = batches_of(sequences, Chunking(2, carry_epochs=True), seed=0)
    assert batches.rows_of_table == 5 + 2
    seen = {}
    for epoch in range(3):
        batches.on_epoch_begin()
        for index in range(len(batches)):
            fed = batches[index][0]
            real = fed["fit_lanes"][batches.rounds[index][1].positions >= 0]
            positions = [position for position in batches.rounds[index][1].positions.tolist() if position >= 0]
            assert (real[:, 1] - 1).tolist() == positions
            seen[epoch, index] = (real[:, 0] == 0).tolist()
        batches.on_epoch_end()
    assert any(seen[0, 0])
    assert not any(any(flags) for (epoch, _), flags in seen.items() if epoch > 0)


def test_a_plan_that_was_not_finished_goes_on():
    sequences = so.Sequences.from_list({name: [1.0] * 4 for name in "abcdefgh"})
    batches = batches_of(sequences, Chunking(2), seed=0)
    before = [one.positions.tolist() for _, one in batches.rounds]
    batches[len(batches) - 1], batches.on_epoch_end()  # as Keras does to learn the shapes
    batches.on_epoch_begin()
    batches[0], batches.on_epoch_end()
    assert [one.positions.tolist() for _, one in batches.rounds] == before
    batches[len(batches) - 1], batches.on_epoch_end()
    assert [one.positions.tolist() for _, one in batches.rounds] != before
