"""Pages of the rules on losses of torch."""

from sostenuto.diagnosis.catalogue import rule

_BEGIN = """
import torch
from torch import nn
import torch.nn.functional as F
gru, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 5)
out, h = gru(torch.randn(6, 10, 3))
"""

SO053 = rule(
    "SO053",
    "cross_entropy finds classes on another axis than they stand on",
    """cross_entropy and nll_loss read (batch, classes, time): the classes on axis 1. A linear layer behind a recurrent
    module gives (batch, time, classes). Where both axes have the same length, nothing is said, and classes and steps
    are taken for each other.""",
    """F.cross_entropy(logits.transpose(1, 2), y), or logits.reshape(-1, classes) with y.reshape(-1).""",
    example=_BEGIN + "loss = F.cross_entropy(head(out), torch.randint(0, 5, (6, 10)))\n",
    repaired=_BEGIN + "loss = F.cross_entropy(head(out).transpose(1, 2), torch.randint(0, 5, (6, 10)))\n",
    backend="torch",
)

SO054 = rule(
    "SO054",
    "A loss that expects logits is given probabilities, or the other way round",
    """cross_entropy takes logits and makes log-probabilities of them by itself; binary_cross_entropy_with_logits
    applies the sigmoid by itself. A softmax or sigmoid before that is applied twice: gradients get small, and the loss
    cannot come near 0. nll_loss takes log-probabilities.""",
    """Leave softmax and sigmoid out of what goes into the loss; apply them to predictions. F.log_softmax before
    nll_loss.""",
    example=_BEGIN + "loss = F.cross_entropy(torch.softmax(head(h[-1]), dim=1), torch.randint(0, 5, (6,)))\n",
    repaired=_BEGIN + "loss = F.cross_entropy(head(h[-1]), torch.randint(0, 5, (6,)))\n",
    backend="torch",
)

SO055 = rule(
    "SO055",
    "Targets are not what the loss reads: kind of number, shape or range",
    """cross_entropy reads the number of a class: int64, one for each row, from 0 to classes - 1; or probabilities of
    the shape of the input, as floats. binary_cross_entropy reads floats.""",
    """y.long(), y.squeeze(1), y.argmax(dim=1) for one-hot rows, y.float() for binary targets; y - 1 where classes are
    counted from 1.""",
    example=_BEGIN + "loss = F.cross_entropy(head(h[-1]), torch.zeros(6))\n",
    repaired=_BEGIN + "loss = F.cross_entropy(head(h[-1]), torch.zeros(6).long())\n",
    backend="torch",
)

SO056 = rule(
    "SO056",
    "Output and target of a loss have shapes that are broadcast, or do not fit",
    """(N, 1) against (N,) becomes (N, N): every output is compared with every target, and the model learns their mean.
    torch warns once. An output for every step, (N, T, 1), does not fit one target per sequence, (N, 1).""",
    """Give both the same shape: y.unsqueeze(1), or output.squeeze(1). One target per sequence needs the last step
    alone.""",
    example=_BEGIN + "loss = F.mse_loss(nn.Linear(4, 1)(h[-1]), torch.randn(6))\n",
    repaired=_BEGIN + "loss = F.mse_loss(nn.Linear(4, 1)(h[-1]), torch.randn(6).unsqueeze(1))\n",
    backend="torch",
)

SO057 = rule(
    "SO057",
    "binary_cross_entropy is given numbers that are no probabilities",
    """binary_cross_entropy and nn.BCELoss take probabilities between 0 and 1. What a linear layer returns is a logit,
    any number at all.""",
    """Use binary_cross_entropy_with_logits (nn.BCEWithLogitsLoss) with the logits: it is more exact than a sigmoid
    before nn.BCELoss.""",
    example=_BEGIN + "loss = F.binary_cross_entropy(10 * nn.Linear(4, 1)(h[-1]) - 20, torch.ones(6, 1))\n",
    repaired=_BEGIN + "loss = F.binary_cross_entropy_with_logits(10 * nn.Linear(4, 1)(h[-1]) - 20, torch.ones(6, 1))\n",
    backend="torch",
)

_PADDED = """
import torch
from torch import nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
ids = [torch.randint(1, 5, (n,)) for n in (3, 5, 2, 4)]
x, y = pad_sequence(ids, batch_first=True), pad_sequence(ids, batch_first=True)
embed, gru, head = nn.Embedding(5, 3, padding_idx=0), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 5)
out, h = gru(embed(x))
loss = F.cross_entropy(head(out).reshape(-1, 5), y.reshape(-1){option})
"""

SO058 = rule(
    "SO058",
    "Padding counts in the loss",
    """A loss over all steps of a padded batch has the padded steps in it. The model learns to say the padding value
    after the end of a sequence, and the loss looks better than it is: padding is easy to predict.""",
    """Pad targets with -100, which cross_entropy leaves out, or say ignore_index=0 where 0 is nothing but padding. For
    other losses take reduction='none', multiply by a mask, and divide by the number of real steps.""",
    example=_PADDED.format(option=""),
    repaired=_PADDED.format(option=", ignore_index=0"),
    backend="torch",
)

_ROWS = """
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
gru, head = nn.GRU(3, 4), nn.Linear(4, 5)
data = TensorDataset(torch.randn(6, 10, 3), torch.randint(0, 5, (6, 10)))
for x, y in DataLoader(data, batch_size=3):
    out, h = gru(x.transpose(0, 1))
    loss = F.cross_entropy(head(out).reshape(-1, 5), y{turned}.reshape(-1))
"""

SO051 = rule(
    "SO051",
    "Output and targets are put in a row in different orders",
    """An output (time, batch, classes) put in a row has all sequences of the first step first; targets (batch, time)
    have all steps of the first sequence first. Both rows have the same length, so nothing is said, and each output is
    compared with the target of another sequence and step.""",
    """Bring both into the same order of axes first: y.T.reshape(-1), or out.transpose(0, 1).reshape(-1, classes).""",
    example=_ROWS.format(turned=""),
    repaired=_ROWS.format(turned=".T"),
    backend="torch",
)
