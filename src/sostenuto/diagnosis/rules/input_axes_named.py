"""Axes that the user's own names for their sizes tell: n_steps = 50 and n_channels = 4 beside data of (120, 4, 50)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import ModelCalled
from sostenuto.diagnosis.rules.axes import SO102
from sostenuto.diagnosis.rules.container_calls import Given, written
from sostenuto.diagnosis.rules.container_views import is_container
from sostenuto.diagnosis.rules.data_axes import pairs
from sostenuto.diagnosis.rules.data_axes_pages import SO126
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import first_layers, is_ours, is_recurrent, kinds, title
from sostenuto.diagnosis.wording import axes

_NAMES = {
    "T": re.compile(
        r"^(n_?|num_?|no_?)?(time_?)?steps?$|time_?steps?|^(n_?|num_?)times?$|seq(uence)?_?len|window|look_?back", re.I
    ),
    "F": re.compile(r"^(n_?|num_?)?(features?|channels?|sensors?|variables|attributes)$|feature_dim|input_dim$", re.I),
    "B": re.compile(r"^(n_?|num_?)(samples?|sequences?|series|rows|examples|patients|users|machines|windows)$", re.I),
}

# Smaller sizes are equal to others too easily.
_LEAST = 2


def sizes_named(place: Place) -> dict[str, dict[int, str]]:
    """The whole numbers among the user's variables whose names say which axis they are the size of.

    Args:
        place: in the user's code.

    Returns:
        For "T", "F" and "B" the sizes with their names.
    """
    found: dict[str, dict[int, str]] = {letter: {} for letter in _NAMES}
    for name in list(place.names):
        for letter, pattern in _NAMES.items():
            if not pattern.search(name):
                continue
            value = place.names.get(name)
            if type(value) is int and value >= _LEAST:
                found[letter].setdefault(value, name)
    return found


def _says(named: dict[str, dict[int, str]], letter: str, axis: int, shape: tuple[int, ...]) -> str:
    # The name that says so, where it says it of no other axis, and nothing else is said of this one.
    name = named[letter].get(shape[axis], "")
    elsewhere = any(size in named[letter] for number, size in enumerate(shape) if number != axis)
    others = any(shape[axis] in named[other] for other in named if other != letter)
    return "" if elsewhere or others else name


@SO102.on(ModelCalled)
def features_named_first(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for data (batch, features, time), by the names of its sizes, that a recurrent layer reads as it is."""
    for given, got, source in _read_by_recurrent(event):
        assert given.place is not None
        named = sizes_named(given.place)
        steps, features = _says(named, "T", 2, got), _says(named, "F", 1, got)
        if not steps or not features:
            continue
        reader = title(first_layers(given.model)[0])
        yield Evidence(
            title=f"{source} has features before time, and {reader} reads time first.",
            got=f"{source} {got}: {features}={got[1]} and then {steps}={got[2]}, read as {axes(got, 'BTF')}",
            wanted=f"{axes((got[0], got[2], got[1]), 'BTF')}: {steps}={got[2]} in the middle, {features}={got[1]} last",
            cause=f"Keras reads (batch, time, features). By the names of its sizes {source} has them in the "
            f"other order:\n{reader} runs over {got[1]} steps, which are features, and takes {got[2]} timesteps for "
            "features. Swapped axes\nfit a model that was declared with them swapped, so nothing raises.",
            fix=f"{given.call(x=f'{source}.transpose(0, 2, 1)')}        # and keras.Input(shape=({got[2]}, {got[1]}))",
            unsure="whether the axes were exchanged on purpose",
            boundary=(source[:40], reader),
        )


@SO126.on(ModelCalled)
def time_named_first(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for data (time, batch, features), by the names of its sizes, that a recurrent layer reads as it is."""
    for given, got, source in _read_by_recurrent(event):
        assert given.place is not None
        named = sizes_named(given.place)
        steps, samples = _says(named, "T", 0, got), _says(named, "B", 1, got)
        if not steps or not samples:
            continue
        reader = title(first_layers(given.model)[0])
        yield Evidence(
            title=f"{source} has time in front, and Keras takes it for the batch.",
            got=f"{source} {got}: {steps}={got[0]} and then {samples}={got[1]}, read as {axes(got, 'BTF')}",
            wanted=f"{axes((got[1], got[0], got[2]), 'BTF')}: {samples}={got[1]} in front",
            cause=f"The first axis is the batch, always. By the names of its sizes {source} is time-major, "
            f"(time, batch,\nfeatures): {reader} runs over {samples}, from one to the next, and nothing raises.",
            fix=given.call(x=f"{source}.swapaxes(0, 1)") + "        # and the targets in the same order",
            unsure="whether the axes were exchanged on purpose",
            boundary=(source[:40], reader),
        )


def _read_by_recurrent(event: ModelCalled) -> Iterator[tuple[Given, tuple[int, ...], str]]:
    if event.verb != "fit" or event.within is not None or is_ours(event.model) or event.place is None:
        return
    if not is_container(event.x):
        return
    layers = [layer for layer in first_layers(event.model) if not kinds(layer) & {"Masking", "InputLayer"}]
    if len(layers) != 1 or not is_recurrent(layers[0]):
        return
    given = Given(event.model, event.x, event.y, event.place, written(event, "x"), event)
    for _, got, source, _ in pairs(given):
        if len(got) == 3 and None not in got and len(set(got)) == 3:
            yield given, tuple(int(size) for size in got if size is not None), source
