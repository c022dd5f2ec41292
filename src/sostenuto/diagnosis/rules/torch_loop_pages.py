"""Pages of the rules on training loops of torch."""

from sostenuto.diagnosis.catalogue import rule

_LOOP = """
import torch
from torch import nn
gru, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)
other = nn.Linear(4, 1)
optimizer = torch.optim.SGD([*gru.parameters(), *head.parameters()], lr=0.1)
x, y = torch.randn(6, 10, 3), torch.randn(6, 1)
for step in range(6):
    out, h = gru(x)
    loss = nn.functional.mse_loss(head(h[-1]), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

SO029 = rule(
    "SO029",
    "dropout= of a recurrent module with one layer does nothing",
    """dropout= of nn.LSTM, nn.GRU and nn.RNN drops units of the output of every layer but the last. With num_layers=1
    there is none. torch warns when the module is made.""",
    """Put nn.Dropout behind the module, or give it two layers.""",
    example="""
from torch import nn
lstm = nn.LSTM(3, 4, batch_first=True, dropout=0.2)
""",
    repaired="""
from torch import nn
lstm = nn.LSTM(3, 4, num_layers=2, batch_first=True, dropout=0.2)
""",
    backend="torch",
)

_EVALUATION = """
import torch
from torch import nn
model = nn.ModuleDict({{"gru": nn.GRU(3, 4, batch_first=True), "drop": nn.Dropout(0.5), "head": nn.Linear(4, 1)}})
def predict(x):
    return model["head"](model["drop"](model["gru"](x)[1][-1]))
predict(torch.randn(6, 10, 3)).mean().backward()
{evaluation}
with torch.no_grad():
    for batch in range(3):
        predict(torch.randn(6, 10, 3))
"""

SO030 = rule(
    "SO030",
    "Dropout is at work at evaluation: eval() was not called",
    """Modules of torch are in training mode until model.eval() is called. torch.no_grad() does not change that:
    dropout goes on, batch normalisation goes on learning from the data of the evaluation.""",
    """model.eval() before evaluation, model.train() before training goes on.""",
    example=_EVALUATION.format(evaluation=""),
    repaired=_EVALUATION.format(evaluation="model.eval()"),
    backend="torch",
)

SO052 = rule(
    "SO052",
    "The optimizer changes nothing: its parameters have no gradients",
    """optimizer.step() changes the parameters it was made with, where they have gradients. It does nothing where it
    was made for another model, where zero_grad() comes after backward(), and where detach() cuts the graph.""",
    """Make the optimizer after the model, from model.parameters(), and keep the order zero_grad(), backward(),
    step().""",
    example=_LOOP.replace("[*gru.parameters(), *head.parameters()]", "other.parameters()"),
    repaired=_LOOP,
    backend="torch",
)

SO059 = rule(
    "SO059",
    "Gradients add up from step to step: zero_grad() is missing",
    """backward() adds to the gradients that are there, so that several backward() can make one step. Unless they are
    set to zero after each step, every step repeats all earlier ones.""",
    """optimizer.zero_grad() once in every step, before backward().""",
    example=_LOOP.replace("    optimizer.zero_grad()\n", ""),
    repaired=_LOOP,
    backend="torch",
)
