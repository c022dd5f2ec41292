"""Losses beside the activation of the last layer: targets out of its range, logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.rules.output_ends import end_of
from sostenuto.diagnosis.rules.output_pages import SO416, SO418
from sostenuto.diagnosis.rules.output_views import CLASSES, activation_of, head_kinds
from sostenuto.diagnosis.rules.outputs_compared import Compared, counted, on_targets
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword, without_keyword
from sostenuto.diagnosis.views import backend, is_recurrent, source_of, title

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


# --- targets out of reach --------------------------------------------------------------------------------------------


@on_targets(SO416)
def out_of_reach(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for targets that the activation of the last layer cannot reach."""
    layer, some = end_of(pair.model, seen, pair.output), counted(pair)
    if pair.loss not in VALUES or layer is None or some is None or pair.raised or not pair.fits:
        return None
    name, limits = _range(layer)
    if limits is None or (name == "softmax" and pair.output[-1] == 1):
        return None
    some = some[np.isfinite(some)].astype("float64")
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
        boundary=(title(layer), "loss"),
    )


def _range(layer: Any) -> tuple[str, tuple[float, float] | None]:
    name, names = activation_of(layer), head_kinds(layer)
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
    names = head_kinds(layer)
    if not names & {"Dense", "Activation", "Softmax"} or (pair.output[-1] == 1 and "binary" not in pair.loss):
        return None
    activation, asks = activation_of(layer), _from_logits(pair.asks)
    source = source_of(layer, seen)
    wanted = "sigmoid" if "binary" in pair.loss else "softmax"
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
