"""What the program's own names say about axes: batch_size is 32 and seq_len is 10, and the tensor is (32, 10, 3)."""

from __future__ import annotations

from collections.abc import Sequence

from sostenuto.diagnosis.source import Place

_BATCH = ("batch_size", "batchsize", "BATCH_SIZE", "batch", "n_batch", "bs", "B", "N_BATCH", "BATCH")
_TIME = (
    *(
        "seq_len",
        "seq_length",
        "sequence_length",
        "SEQ_LEN",
        "SEQ_LENGTH",
        "SEQUENCE_LENGTH",
        "timesteps",
        "time_steps",
    ),
    *("n_steps", "num_steps", "TIMESTEPS", "TIME_STEPS", "steps", "window", "WINDOW", "window_size", "lookback"),
    *("look_back", "LOOKBACK", "T", "n_timesteps", "max_len", "max_length", "MAX_LEN", "length"),
)


def said_by_names(place: Place | None, shape: Sequence[int], batch_axis: int) -> str:
    """Whether the program's own variables say which axis is the batch; why, in words, or "".

    Args:
        place: of the call.
        shape: of what is read, three axes.
        batch_axis: 0 or 1, the axis that would have to be the batch.
    """
    if place is None or len(shape) != 3 or shape[0] == shape[1]:
        return ""
    batch, time = shape[batch_axis], shape[1 - batch_axis]
    batches = {name: value for name in _BATCH if type(value := place.names.get(name)) is int}
    times = {name: value for name in _TIME if type(value := place.names.get(name)) is int}
    # Both have to agree, and nothing may say the opposite.
    if set(batches.values()) != {batch} or set(times.values()) != {time}:
        return ""
    return f"{next(iter(batches))} is {batch}, and {next(iter(times))} is {time}"
