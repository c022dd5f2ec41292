"""Losses beside the activation of the last layer: softmax over one unit, ranges, logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import End, LayerCall
from sostenuto.diagnosis.rules.output_ends import end_of
from sostenuto.diagnosis.rules.output_pages import SO413, SO416, SO418
from sostenuto.diagnosis.rules.output_views import CLASSES, activation_of, numbers
from sostenuto.diagnosis.rules.outputs_compared import Compared, on_targets
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword, without_keyword
from sostenuto.diagnosis.views import backend, is_recurrent, kinds, source_of, title
from sostenuto.diagnosis.wording import count

_RANGES = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, np.inf),
    "exponential": (0.0, np.inf),
}
VALUES = {
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
}


# --- softmax over one unit -------------------------------------------------------------------------------------------


@SO413.on(LayerCall)
def softmax_inside(event: LayerCall, seen: Seen) -> None:
    """Remembers Dense layers that are softmax over one unit, for the end: a model's last layer is told with its
    loss."""
    layer = event.layer
    inner = getattr(layer, "layer", layer) if "TimeDistributed" in kinds(layer) else layer
    if "Dense" in kinds(inner) and getattr(inner, "units", None) == 1 and activation_of(inner) == "softmax":
        # TimeDistributed calls the layer inside of it.
        by = event.outer.layer if event.outer is not None else None
        if "TimeDistributed" not in kinds(by):
            shape = tuple(getattr(event.inputs, "shape", ()))
            seen.notes["softmax of one"].setdefault(id(layer), (seen.history(layer).reference, shape, event.place))


@SO413.on(End)
def softmax_of_one_inside(event: End, seen: Seen) -> list[Evidence]:
    """Looks for those that are not the end of a model that was trained."""
    found = []
    for number, (reference, shape, place) in seen.notes["softmax of one"].items():
        layer = reference()
        if layer is None or number in seen.notes["softmax of one told"]:
            continue
        source = source_of(layer, seen)
        steps = f"{shape[1]} steps" if len(shape) == 3 and shape[1] is not None else "all steps"
        if len(shape) == 3:
            fix = f"{without_keyword(source, 'activation')}        # then keras.layers.Softmax(axis=1) on its output\n"
            fix += f"# weights of steps have to add up to 1 over {steps}, which is axis 1"
        else:
            fix = with_keyword(source, "activation", "'sigmoid'")
        found.append(
            Evidence(
                title=f"{title(layer)} is softmax over 1 unit, which is 1.0 for every input.",
                got=f"{source}: 1 unit" + (f", on an input of shape {shape}" if shape else ""),
                wanted="softmax over several units"
                + (f", or over {steps}: axis=1" if len(shape) == 3 else ", or sigmoid for one unit"),
                cause="softmax divides by the sum over the last axis, the units; over a single unit that is the unit "
                "itself, so the output\nis always 1.0 and its gradient zero"
                + (": every step gets the same weight." if len(shape) == 3 else ": nothing is learnt."),
                fix=fix,
                place=seen.history(layer).made or place,
                boundary=(title(layer),),
            )
        )
    return found


@on_targets(SO413)
def softmax_of_one(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for softmax over one unit at the end of a model, in training."""
    layer = end_of(pair.model, seen, pair.output)
    if layer is None or pair.output[-1] != 1 or activation_of(layer) != "softmax" or pair.raised:
        return None
    # Softmax over another axis, of weights for steps, is right.
    if getattr(layer, "axis", -1) not in (-1, len(pair.output) - 1):
        return None
    seen.notes["softmax of one told"][id(layer)] = True
    classes = numbers(pair.y)
    some = np.unique(some_rows(classes)) if classes is not None else np.array([])
    whole = bool(len(some)) and bool((some == np.round(some)).all())
    source = source_of(layer, seen)
    many = max(len(some), int(some.max()) + 1, 2) if whole else 2
    if not whole and len(some):
        fix = f"{without_keyword(source, 'activation')}        # no activation: measured values"
    elif len(some) <= 2:
        fix = with_keyword(source, "activation", "'sigmoid'") + "        # loss='binary_crossentropy'"
    else:
        fix = f"keras.layers.Dense({many}, activation='softmax')        # loss='sparse_categorical_crossentropy'"
    return Evidence(
        title=f"{title(layer)} is softmax over 1 unit, which is 1.0 for every input.",
        got=f"{source}: 1 unit" + (f", for {count(len(some), 'class', 'classes')}" if whole else ""),
        wanted="sigmoid for one unit, or softmax over one unit per class",
        cause="softmax divides by the sum over all units; over a single unit that is the unit itself, so the output is "
        "always 1.0,\nthe gradient is zero, and nothing is learnt.",
        fix=fix,
        place=pair.place if pair.call is None else None,
        boundary=(title(layer), "loss"),
    )


# --- targets out of reach --------------------------------------------------------------------------------------------


@on_targets(SO416)
def out_of_reach(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for targets that the activation of the last layer cannot reach."""
    layer, array = end_of(pair.model, seen, pair.output), numbers(pair.y)
    if pair.loss not in VALUES or layer is None or array is None or not array.size or pair.raised or not pair.fits:
        return None
    name, limits = _range(layer)
    if limits is None or (name == "softmax" and pair.output[-1] == 1):
        return None
    some = some_rows(array).astype("float64")
    some = some[np.isfinite(some)]
    low, high = limits
    slack = 1e-6 + 0.02 * (high - low if np.isfinite(high) else 0)
    beyond = int(((some < low - slack) | (some > high + slack)).sum())
    # A few of many may be outliers that the user accepts; whoever ends in an LSTM did not choose its tanh.
    if not some.size or beyond < (0.3 if is_recurrent(layer) else 0.05) * some.size:
        return None
    source = source_of(layer, seen)
    words = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and above"
    if is_recurrent(layer):
        units = pair.output[-1] or 1
        cause = f"{title(layer)} is the last layer, and its output ends in {name}: its range is {words}."
        fix = f"keras.layers.Dense({units})        # behind {title(layer)}: linear, any number"
    else:
        cause = f"{title(layer)} has activation='{name}', whose range is {words}."
        fix = f"{without_keyword(source, 'activation')}        # linear: any number"
    return Evidence(
        title=f"{beyond:,} of {some.size:,} targets lie outside of what {name} can put out.",
        got=f"targets from {some.min():.4g} to {some.max():.4g}; the output ends in {name}: {words}",
        wanted=f"an output that reaches from {some.min():.4g} to {some.max():.4g}: a linear last layer, or scaled "
        f"targets",
        cause=f"{cause} Targets beyond it cannot be reached,\nhowever long the training: the predictions stick to the "
        "limit.",
        fix=f"{fix}\n# or scale the targets into {words}, and predictions back",
        place=pair.place if pair.call is None else None,
        boundary=(title(layer), "loss"),
    )


def _range(layer: Any) -> tuple[str, tuple[float, float] | None]:
    names = kinds(layer) | kinds(getattr(layer, "layer", None))
    name = activation_of(layer)
    if is_recurrent(layer):
        # What Bidirectional adds up, and cells of the user's own, have other ranges.
        known = names & {"LSTM", "GRU", "SimpleRNN"} and "Bidirectional" not in names
        return name, (-1.0, 1.0) if known and name == "tanh" else None
    if "ReLU" in names:
        sloped = getattr(layer, "negative_slope", 0) or getattr(layer, "max_value", None)
        return "relu", None if sloped else _RANGES["relu"]
    return name, _RANGES.get(name) if names & {"Dense", "Activation", "Softmax"} else None


# --- logits ----------------------------------------------------------------------------------------------------------


@on_targets(SO418)
def logits(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for from_logits=True behind softmax or sigmoid, and for plain losses behind no activation at all."""
    layer = end_of(pair.model, seen, pair.output)
    if layer is None or pair.loss not in CLASSES or pair.raised:
        return None
    # What has a code of its own: one unit.
    names = kinds(layer) | kinds(getattr(layer, "layer", None))
    if not names & {"Dense", "Activation", "Softmax"} or (pair.output[-1] == 1 and "binary" not in pair.loss):
        return None
    activation, asks = activation_of(layer), _from_logits(pair.asks)
    source = source_of(layer, seen)
    wanted = "sigmoid" if "binary" in pair.loss else "softmax"
    place = pair.place if pair.call is None else None
    if asks and activation in ("softmax", "sigmoid"):
        # In a compiled fit, TensorFlow takes the numbers in front of the activation, with a warning.
        undone = backend() == "tensorflow" and pair.call is not None and not getattr(pair.model, "run_eagerly", False)
        return Evidence(
            title=f"{title(layer)} applies {activation}, and the loss is told that nobody did."
            if undone
            else f"{activation} is applied twice: by {title(layer)} and by the loss.",
            got=f"activation='{activation}' and a loss with from_logits=True",
            wanted=f"one of the two: no activation and from_logits=True, or activation='{activation}' and "
            "from_logits=False",
            cause=f"from_logits=True tells the loss that {activation} has not been applied yet"
            + (
                ". TensorFlow noticed, in its graph, and\nundid one of the two; run eagerly, on JAX or on PyTorch it "
                "is applied twice, and the model learns slowly."
                if undone
                else ", so it applies it to what are\nprobabilities already: the loss hardly moves, and the model "
                "learns slowly or not at all."
            ),
            fix=f"{without_keyword(source, 'activation')}        # keep from_logits=True\n# or from_logits=False",
            place=place,
            boundary=(title(layer), "loss"),
        )
    if asks is False and activation in ("", "linear") and "Softmax" not in names:
        return Evidence(
            title=f"{pair.loss} reads probabilities, and {title(layer)} puts out plain numbers.",
            got=f"{source}, without an activation, and loss {pair.loss} with from_logits=False",
            wanted=f"activation='{wanted}', or from_logits=True in the loss",
            cause=f"Without from_logits=True the loss takes the outputs for probabilities between 0 and 1. Without "
            f"{wanted} they are any\nnumbers (logits), and are cut to that range: where they are, no gradient is left.",
            fix=f"{with_keyword(source, 'activation', repr(wanted))}\n# or the loss with from_logits=True",
            place=place,
            boundary=(title(layer), "loss"),
        )
    return None


def _from_logits(loss: Any) -> bool | None:
    if isinstance(loss, str) or (callable(loss) and hasattr(loss, "__name__")):
        return False
    found = getattr(loss, "from_logits", None)
    if found is None:
        found = getattr(loss, "_fn_kwargs", {}).get("from_logits")
    return found if isinstance(found, bool) else None
