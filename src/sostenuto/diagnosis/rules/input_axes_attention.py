"""Attention over vectors without steps: nothing raises, and the rows of a batch attend to each other."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.input_axes_views import maker_words, origin_of, shape_of_call, with_sequences
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_keras, kinds, source_of, title
from sostenuto.diagnosis.wording import axes

SO135 = rule(
    "SO135",
    "Attention is given one vector per row, and mixes the rows of the batch",
    """Attention compares each step of the query with each step of the value: both are (batch, time, features). Of
    two tensors (batch, features) Keras takes the batch for time, without a word: each row attends to the other rows
    of its batch, and a prediction depends on what else is in the batch.""",
    """Give Attention the whole sequence: return_sequences=True on the recurrent layer before it. A single vector as
    a query is a sequence of one step: layers.Reshape((1, units))(query).""",
    example="""
import keras
layers = keras.layers
inputs = keras.Input((20, 5))
hidden = layers.LSTM(7)(inputs)
attended = layers.Attention()([hidden, hidden])
""",
    repaired="""
import keras
layers = keras.layers
inputs = keras.Input((20, 5))
hidden = layers.LSTM(7, return_sequences=True)(inputs)
attended = layers.Attention()([hidden, hidden])
""",
)


@SO135.on(LayerCall)
def rows_mixed(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for Attention or AdditiveAttention of tensors with two axes; MultiHeadAttention refuses them by itself."""
    if event.number or not is_keras(event.layer) or "Attention" not in kinds(event.layer):
        return None
    parts = event.inputs if isinstance(event.inputs, list | tuple) else []
    shapes = [shape_of_call(one) for one in parts]
    if len(parts) < 2 or shapes[0] is None or len(shapes[0]) != 2:
        return None
    origin = origin_of(parts[0], seen, event)
    # Outside of a model one may call it for a single sequence, and mean it.
    if not event.symbolic and (origin is None or not origin.is_last_output):
        return None
    before = maker_words(origin)
    query, both = shapes[0], all(shape is not None and len(shape) == 2 for shape in shapes)
    name = type(event.layer).__name__
    if both and origin is not None and origin.is_last_output:
        fix = with_sequences(source_of(origin.layer, seen), "True")
        fix += f"        # {title(origin.layer)}: the output of every step"
        steps = origin.shape[1] if origin.shape is not None and len(origin.shape) == 3 else None
        wanted = axes((query[0], steps, query[1]), "BTU")
    else:
        fix = f"query = layers.Reshape((1, {query[1]}))(query)        # one vector per row: a sequence of one step"
        wanted = axes((query[0], 1 if not both else None, query[1]), "BTU")
    return Evidence(
        title=f"{title(event.layer)} gets one vector per row, and lets the rows of a batch attend to each other.",
        got=f"{axes(query, 'BU')} from {before}: two axes, no time axis",
        wanted=f"{wanted}: three axes, a vector for every step",
        cause=f"{name} compares the steps of query and value. Without a time axis it takes the batch axis for "
        "it: what is\ncomputed for one row depends on the other rows of its batch, and nothing is said.",
        fix=fix,
        boundary=(before, title(event.layer)),
    )
