"""Exceptions that nobody watched coming: what Keras's message and the user's source still say."""

from __future__ import annotations

import ast
import re

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.layer_shapes import SO111
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, with_keyword
from sostenuto.diagnosis.wording import axes

_MESSAGE = re.compile(
    r"of layer '(?P<name>[^']+)' is incompatible with the layer: expected ndim=3, found ndim=2\. "
    r"Full shape received: \((?P<rows>\d+|None), (?P<last>\d+)\)"
)
_RECURRENT = ("LSTM", "GRU", "SimpleRNN")


@SO111.on(Failure)
def two_axes_in_the_message(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for (batch, units) in the message, and for the layer that made it in the source."""
    found = _MESSAGE.search(failure.message)
    if failure.calls or failure.place is None or found is None:
        return None
    last = int(found["last"])
    source = _without_sequences(failure.place, last)
    got = (None if found["rows"] == "None" else int(found["rows"]), last)
    below = source or f"a recurrent layer of {last} units"
    return Evidence(
        title=f"Layer '{found['name']}' needs a sequence, and gets one vector per row.",
        got=axes(got, "BU" if source else "BF"),
        wanted=axes((got[0], None, last), "BTU" if source else "BTF"),
        cause=f"A recurrent layer returns only its last output unless return_sequences=True. Here the previous layer\n"
        f"seems to be {below}."
        if source
        else "A recurrent layer reads step by step: (batch, time, features). One of the axes is missing.",
        fix=with_keyword(source or "keras.layers.LSTM(...)", "return_sequences", "True")
        + "        # the layer before"
        + ("" if source else "\nx = x[:, :, None]        # or, where it is the data that has no axis of features"),
        unsure=f"what gives the layer {got}: a recurrent layer before it, or data without an axis; "
        "nothing was watched.\n`with so.watch():` around the code, or `sostenuto explain SCRIPT`, would tell",
    )


def _without_sequences(place: Place, units: int) -> str:
    # The last recurrent layer in the source, up to the line that failed, that has these units and returns one vector.
    module = place.module()
    found: ast.Call | None = None
    for node in ast.walk(module) if module is not None else ():
        if not isinstance(node, ast.Call) or called(node) not in _RECURRENT or node.lineno > place.line + 40:
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        written = node.args[0] if node.args else keywords.get("units")
        size = place.value(written)
        if size == units and "return_sequences" not in keywords and (found is None or node.lineno >= found.lineno):
            found = node
    return place.source(found) if found is not None else ""
