"""How sequences of different lengths get into one array: the padding and the mask, in the names of the program."""

from __future__ import annotations

import sys

from sostenuto.diagnosis.rules.container_views import (
    count_words,
    masking_line,
    masks_padding,
    module_name,
    numpy_name,
    pad_sequences_name,
    uses_layer,
)
from sostenuto.diagnosis.rules.ragged_lengths import Lengths
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import backend

# Pads where 0 is a real step: far from what is measured anywhere.
_FAR = "-999.0"


def only_torch(place: Place | None) -> bool:
    """Whether the program trains with torch itself, without Keras."""
    return "torch" in sys.modules and not backend()


def padded(place: Place | None, source: str, lengths: Lengths | None) -> str:
    """The expression that makes one array of sequences of different lengths.

    Args:
        place: where it is needed.
        source: of the list.
        lengths: what is known of them.
    """
    if only_torch(place):
        torch = module_name(place, "torch", "torch")
        return f"{torch}.nn.utils.rnn.pad_sequence([{torch}.as_tensor(one) for one in {source}], batch_first=True)"
    if is_tokens(place, lengths):
        return f"{pad_sequences_name(place)}({source}, padding='post')"
    value = f", value={_FAR}" if lengths is not None and lengths.zeros else ""
    call = f"{pad_sequences_name(place)}({source}, padding='post', dtype='float32'{value})"
    flat = lengths is not None and lengths.widths in ([], [()])
    return f"{call}[..., {numpy_name(place)}.newaxis]" if flat else call


def mask(place: Place | None, lengths: Lengths | None) -> str:
    """The line that keeps the padding from being read as data; "" where the program has it."""
    if only_torch(place):
        return (
            "# and pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), so that the padding is "
            "not read as data"
        )
    if masks_padding(place):
        return ""
    if is_tokens(place, lengths) or (lengths is None and uses_layer(place, "Embedding")):
        return "# and Embedding(..., mask_zero=True), so that the padding is not read as data"
    value = _FAR if lengths is not None and lengths.zeros else "0.0"
    return masking_line(value)


def ragged_fix(place: Place | None, source: str, lengths: Lengths | None, line: str = "") -> str:
    """The whole advice: padding, mask, and the way without padding.

    Args:
        place: where it is needed.
        source: of the list.
        lengths: what is known of them.
        line: the user's line with the padding in it; by default the padding alone.
    """
    lines = [line or padded(place, source, lengths), mask(place, lengths)]
    if lengths is not None and lengths.tokens and lengths.zeros and is_tokens(place, lengths):
        lines.append("# 0 is among the ids: add 1 to all of them first, because 0 is what pads")
    if not only_torch(place):
        lines.append(f"# or, without any padding: sostenuto.Sequences.from_list({source}) with a SequenceModel")
    return "\n".join(one for one in lines if one)


def is_tokens(place: Place | None, lengths: Lengths | None) -> bool:
    """Whether sequences are token ids: whole numbers in a program with an Embedding."""
    return lengths is not None and lengths.tokens and uses_layer(place, "Embedding")


def lengths_words(lengths: Lengths) -> str:
    """Words how long sequences are: "3 sequences of lengths 3, 5 and 2".

    Args:
        lengths: what was measured.
    """
    width = lengths.widths[0] if lengths.widths else ()
    features = f", {width[0]} features per step" if len(width) == 1 else ""
    return f"{lengths.count} sequences of lengths {count_words(lengths.lengths)}{features}"
