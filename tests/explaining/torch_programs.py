"""The beginning of small programs of torch, and what is asked of the report on them."""

from __future__ import annotations

from pathlib import Path

from tests.explaining.scripts import run_text

BEGIN = """
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
torch.manual_seed(0)
x, y = torch.randn(6, 10, 3), torch.randn(6, 1)
classes = torch.arange(6) % 4
lengths = torch.tensor([3, 5, 2, 4])
ragged = [torch.randn(n, 3) for n in (3, 5, 2, 4)]
ids = [torch.randint(1, 5, (n,)) for n in (3, 5, 2, 4)]

class Net(nn.Module):
    def __init__(self, rnn, head, last):
        super().__init__()
        self.rnn, self.drop, self.head, self.last = rnn, nn.Dropout(0.1), head, last
    def forward(self, x):
        out, state = self.rnn(x)
        return self.head(self.drop(torch.relu(self.last(out, state))))

"""


def explained(text: str, code: str, said: tuple[str, ...], folder: Path) -> None:
    """Asserts that a program gives one finding, of a code, with some words in it."""
    report, _, errors = run_text(BEGIN + text, folder)
    assert report.codes == [code], f"{report}\n{errors}"
    for one in said:
        assert one in str(report), report
    assert report[0].kind == ("error" if report.exit else "silent")


def left_alone(text: str, folder: Path) -> None:
    """Asserts that a program runs, and that nothing is said about it."""
    report, _, errors = run_text(BEGIN + text, folder)
    assert report.exit == 0, errors
    assert report.codes == [], report
