"""The hidden state and the cell state of an LSTM in each other's place."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.state_views import (
    Origin,
    given_states,
    keeps_known_states,
    names_in,
    names_of_states,
    origin_of,
    own_call,
    unpacking,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.views import title

SO323 = rule(
    "SO323",
    "Hidden state and cell state of an LSTM stand in the wrong order",
    """An LSTM returns output, hidden state h, cell state c, and takes initial_state=[h, c]. Both states have the same
    shape, so nothing is raised where they are swapped: the layer goes on from a state that never was.""",
    """Unpack as output, h, c, and pass initial_state=[h, c].""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 6, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_state=True)
output, h, c = lstm(x)
again = lstm(x, initial_state=[c, h])
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 6, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_state=True)
output, h, c = lstm(x)
again = lstm(x, initial_state=[h, c])
""",
)


@SO323.on(LayerCall)
def swapped(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a cell state where the hidden state belongs, and the other way round."""
    if not keeps_known_states(event.layer) or not own_call(event):
        return None
    states = given_states(event)
    wanted = names_of_states(event.layer)
    if states is None or len(states) != len(wanted) or len(wanted) < 2:
        return None
    origins = [origin_of(one, seen) for one in states]
    # "hidden state h", "backward cell state c": the last letter tells.
    wrong = [
        one
        for one, name in zip(origins, wanted, strict=True)
        if one is not None and one.state and one.state[-1] != name[-1]
    ]
    # One alone may be meant: a cell that starts at h, the rest at zero.
    return _evidence(event, wrong[0], wanted) if len(wrong) > 1 else None


def _evidence(event: LayerCall, origin: Origin, wanted: tuple[str, ...]) -> Evidence:
    place = event.place
    found = unpacking(origin.place)
    names = names_in(found[1]) if found is not None else []
    source = place.argument("initial_state", 1) if place is not None else ""
    # Names that say the opposite of what they hold: then the unpacking is wrong, not this call.
    misnamed = len(names) == 3 and names[1].lower().endswith("c") and names[2].lower().endswith("h")
    where: Place | None = None
    if misnamed and origin.place is not None and found is not None:
        where = origin.place
        fix = f"{names[0]}, {names[2]}, {names[1]} = {origin.place.source(found[0].value)}"
        got = f"{', '.join(names)} = ...: {names[1]} gets the hidden state h, {names[2]} the cell state c"
    else:
        expression = place.expression if place is not None else ""
        parts = [one.strip() for one in source.strip("[]()").split(",")]
        turned = f"[{', '.join(reversed(parts))}]" if len(parts) == 2 else "[h, c]"
        fix = (
            with_keyword(expression, "initial_state", turned)
            if "initial_state" in expression
            else f"initial_state={turned}"
        )
        got = f"initial_state={source or '[c, h]'}: the cell state c first, the hidden state h behind it"
    return Evidence(
        title=f"{title(event.layer)} starts with hidden state and cell state swapped.",
        got=got,
        wanted=f"output, {', '.join(wanted)} = {origin.layer}; initial_state=[h, c]",
        cause=f"{origin.layer} returns output, hidden state h, cell state c, in this order, and initial_state takes "
        "[h, c]. "
        "Both have\nthe same shape, so nothing notices that they are the other way round; the layer goes on from a "
        "state "
        "that never was.",
        fix=fix,
        place=where,
        boundary=(origin.layer, title(event.layer)),
    )
