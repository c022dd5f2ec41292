"""Pages of the rules on padding and packing on torch."""

from sostenuto.diagnosis.catalogue import rule

_BEGIN = """
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
x = pad_sequence([torch.randn(n, 3) for n in (3, 5, 2, 4)], batch_first=True)
lengths = torch.tensor([3, 5, 2, 4])
lstm, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)
"""

SO047 = rule(
    "SO047",
    "The lengths for packing do not fit",
    """pack_padded_sequence takes one length for each row of the batch: whole numbers from 1 to the number of steps, on
    the CPU, and sorted with the longest first unless enforce_sorted=False.""",
    """Pass enforce_sorted=False, lengths.cpu(), and leave sequences without a step out.""",
    example=_BEGIN + "packed = pack_padded_sequence(x, lengths, batch_first=True)\n",
    repaired=_BEGIN + "packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)\n",
    backend="torch",
)

SO048 = rule(
    "SO048",
    "Packing and unpacking have another order of axes than the data",
    """pack_padded_sequence and pad_packed_sequence have a batch_first of their own, False unless told otherwise,
    whatever the recurrent module was told: packed sequences have no axes, so it asks no one. The output of a module
    for packed input is packed too, and has to be unpacked before anything else reads it.""",
    """Say batch_first=True in all three places, or in none.""",
    example=_BEGIN + "packed = pack_padded_sequence(x, lengths, enforce_sorted=False)\n",
    repaired=_BEGIN + "packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)\n",
    backend="torch",
)

SO049 = rule(
    "SO049",
    "The last output of a padded sequence is taken",
    """In a padded batch only the longest sequence is real up to the last step. The last output, out[:, -1], and the
    last state of a module that was not given packed sequences belong to padding for all others. pad_packed_sequence
    puts zeros there.""",
    """Pack the batch and take h_n[-1], which is the state after the last real step; or pick
    out[torch.arange(batch), lengths - 1].""",
    example=_BEGIN + "out, _ = lstm(x)\nscores = head(out[:, -1])\n",
    repaired=_BEGIN + "out, _ = lstm(x)\nscores = head(out[torch.arange(4), lengths - 1])\n",
    backend="torch",
)

_SORTED = """
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, TensorDataset
lstm, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)
data = TensorDataset(torch.randn(8, 5, 3), torch.tensor([2, 5, 3, 4, 1, 2, 5, 4]), torch.zeros(8, 1))
for x, lengths, y in DataLoader(data, batch_size=4):
    lengths, order = lengths.sort(descending=True)
    packed = pack_padded_sequence(x[order], lengths, batch_first=True)
    _, (h, _) = lstm(packed)
    loss = nn.functional.mse_loss(head(h[-1]), {target})
"""

SO050 = rule(
    "SO050",
    "Rows were sorted by length, and the targets were not",
    """Sorting a batch by hand before packing puts its rows into another order. What the module returns is in that order
    too, so the targets have to be sorted alike, or the output put back.""",
    """pack_padded_sequence(..., enforce_sorted=False) sorts and restores by itself. By hand: y[order], or
    output[order.argsort()].""",
    example=_SORTED.format(target="y"),
    repaired=_SORTED.format(target="y[order]"),
    backend="torch",
)
