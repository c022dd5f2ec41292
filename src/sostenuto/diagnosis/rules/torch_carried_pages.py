"""Pages of the rules on states that are carried from call to call on torch."""

from sostenuto.diagnosis.catalogue import rule

_CARRIED = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
gru = nn.GRU(3, 4, batch_first=True)
data = TensorDataset(torch.randn(8, 5, 3), torch.zeros(8))
hidden = None
for x, y in DataLoader(data, batch_size=4{shuffle}):
    out, hidden = gru(x, hidden)
    hidden = hidden.detach()
"""

_CHUNKS = """
import torch
from torch import nn
gru, head = nn.GRU(1, 4, batch_first=True), nn.Linear(4, 1)
signal = torch.randn(1, 40, 1)
hidden = None
for start in range(0, 30, 10):
    out, hidden = gru(signal[:, start : start + 10], hidden){detach}
    loss = (head(out) - signal[:, start + 1 : start + 11]).pow(2).mean()
    loss.backward()
"""

_EPOCHS = """
import torch
from torch import nn
gru = nn.GRU(1, 4, batch_first=True)
signal = torch.randn(1, 40, 1)
hidden = None
for epoch in range(2):{reset}
    for start in range(0, 40, 10):
        out, hidden = gru(signal[:, start : start + 10], hidden)
        hidden = hidden.detach()
        out.mean().backward()
"""

_VALIDATION = """
import torch
from torch import nn
gru = nn.GRU(1, 4, batch_first=True)
train, valid = torch.randn(1, 40, 1), torch.randn(1, 20, 1)
hidden = None
for start in range(0, 40, 20):
    gru.train()
    out, hidden = gru(train[:, start : start + 20], hidden)
    hidden = hidden.detach()
    out.mean().backward()
    gru.eval()
    with torch.no_grad():
        out, {kept} = gru(valid, hidden)
"""

SO036 = rule(
    "SO036",
    "Hidden state and cell state of an LSTM of torch are in the wrong order",
    """nn.LSTM and nn.LSTMCell return (h, c) and take (h, c): the hidden state first, then the cell state. Both have one
    shape, so nothing is said when they are swapped. Keras has the same order.""",
    """out, (h, c) = lstm(x, (h, c)); h, c = cell(x, (h, c)).""",
    example="""
import torch
from torch import nn
encoder, decoder = nn.LSTM(3, 4), nn.LSTM(3, 4)
_, (h, c) = encoder(torch.randn(5, 2, 3))
out, _ = decoder(torch.randn(5, 2, 3), (c, h))
""",
    repaired="""
import torch
from torch import nn
encoder, decoder = nn.LSTM(3, 4), nn.LSTM(3, 4)
_, (h, c) = encoder(torch.randn(5, 2, 3))
out, _ = decoder(torch.randn(5, 2, 3), (h, c))
""",
    backend="torch",
)

SO037 = rule(
    "SO037",
    "A state is carried from batch to batch, and the batches are shuffled",
    """A state that goes from one batch into the next means that every row of the next batch goes on where the same row
    ended. A DataLoader with shuffle=True draws rows at random: the state belongs to other sequences.""",
    """Where the rows are sequences of their own, pass no state. Where they are consecutive pieces, use shuffle=False
    and lay out the batches so that row i of a batch follows row i of the one before.""",
    example=_CARRIED.format(shuffle=", shuffle=True"),
    repaired=_CARRIED.format(shuffle=""),
    backend="torch",
)

SO038 = rule(
    "SO038",
    "The state of the end of an epoch goes into the beginning of the next",
    """A training that carries the state from chunk to chunk reaches the end of the data with the state of its last
    step. The next epoch begins at the first step again, and that step does not follow the last.""",
    """Begin every epoch with hidden = None, or with zeros.""",
    example=_EPOCHS.format(reset=""),
    repaired=_EPOCHS.format(reset="\n    hidden = None"),
    backend="torch",
)

SO039 = rule(
    "SO039",
    "Validation leaves its state to training",
    """Validation in the middle of a training that carries its state goes on with that state and writes its own into the
    same variable. Training then goes on from the state of other data.""",
    """Use a variable of its own for the state of validation.""",
    example=_VALIDATION.format(kept="hidden"),
    repaired=_VALIDATION.format(kept="other"),
    backend="torch",
)

SO040 = rule(
    "SO040",
    "A state is carried into the next step together with its graph",
    """What a recurrent module returns hangs on the autograd graph of the call. A hidden state that is passed to the
    next call brings that graph along, and backward() wants to run through calls that it has been through already:
    their graph is freed. retain_graph=True does not help: the weights have changed since, and every step takes
    longer.""",
    """Detach the state between two steps: hidden = hidden.detach(), or for an LSTM
    hidden = tuple(s.detach() for s in hidden). The numbers go on, the gradients end there: truncated
    backpropagation.""",
    example=_CHUNKS.format(detach=""),
    repaired=_CHUNKS.format(detach="\n    hidden = hidden.detach()"),
    backend="torch",
)
