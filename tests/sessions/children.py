"""What the crash test runs in a process of its own: forks children that step a session on a SQLite file until killed.

Importing Keras and torch takes seconds, so one process does it once and forks a child for each line it reads: the path
of the store and a seed. A child reports its process number, then each call before it, and a checksum of its answer
after it; the server reports that the child ended.
"""

from __future__ import annotations

import json
import os
import random
import sys
import zlib
from typing import Any

import numpy as np

IDS = ["a", "b", 7, 8, "e", "f"]


def build() -> Any:
    """The model: the same weights in every process."""
    import keras

    import sostenuto as so

    keras.utils.set_random_seed(3)
    model = so.SequenceModel([so.LSTM(8, return_sequences=True), so.GRU(5, return_sequences=True)], name="m")
    model.build(3)
    return model


def values(id: Any, first: int, steps: int) -> np.ndarray:
    """The steps (T, F) of an id from ``first`` on."""
    places = np.arange(3 * first, 3 * (first + steps), dtype="float32")
    return np.sin(places * (IDS.index(id) + 1)).reshape(-1, 3)


def perform(session: Any, call: list, numbered: bool = False) -> int:
    """Makes a call, [verb, arguments]; returns a checksum of what was answered."""
    verb, arguments = call
    if verb == "step":
        numbers = {"step": {id: first for id, first, _ in arguments}} if numbered else {}
        said = session.step({id: values(id, first, steps) for id, first, steps in arguments}, **numbers)
        return zlib.crc32(b"".join(answer.tobytes() for answer in said.values()))
    getattr(session, verb)(*arguments)
    return 0


def any_call(session: Any, rng: random.Random) -> list:
    """The next call of a program: mostly steps."""
    known = [id for id in IDS if id in session]
    ids = rng.sample(IDS, rng.choice([1, 2, 6]))
    kind = rng.random()
    if kind < 0.85 or not known:
        return [
            "step", [[id, session.steps(id) if id in known else 0, rng.choice([1, 1, 1, 3])] for id in ids]
        ]  # fmt: skip
    if kind < 0.9:
        return ["reset", [ids]]
    if kind < 0.95:
        return ["forget", [ids]]
    return ["copy", [rng.choice(known), rng.choice(IDS)]]


def say(*parts: object) -> None:
    os.write(1, (json.dumps(parts) + "\n").encode())


def step_for_ever(model: Any, path: str, seed: int) -> None:
    rng = random.Random(seed)
    session = model.session(path, hot=rng.choice([0, 3, 100]))
    say("ready", os.getpid())
    while True:
        call = any_call(session, rng)
        say("begin", call)
        say("done", perform(session, call))


def serve() -> None:
    import torch

    torch.set_num_threads(1)  # threads of a parent are missing in its children
    model = build()
    say("serving")
    for line in sys.stdin:
        path, seed = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                step_for_ever(model, path, seed)
            finally:
                os._exit(1)
        os.waitpid(child, 0)
        say("ended")


if __name__ == "__main__":
    serve()
