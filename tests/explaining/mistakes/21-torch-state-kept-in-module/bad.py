# Train a network on a long tune in chunks of 25 notes, with the memory kept from chunk to chunk.
import numpy as np
import torch
from torch import nn

torch.manual_seed(2)
rng = np.random.default_rng(2)
tune = torch.tensor(np.cumsum(rng.integers(0, 3, size=201)) % 12).unsqueeze(0)


class Composer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 8)
        self.gru = nn.GRU(8, 24, batch_first=True)
        self.head = nn.Linear(24, 12)
        self.state = None

    def forward(self, notes):
        out, state = self.gru(self.embed(notes), self.state)
        self.state = state
        return self.head(out)


net = Composer()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for start in range(0, 200, 25):
    scores = net(tune[:, start : start + 25])
    loss = nn.functional.cross_entropy(scores[0], tune[0, start + 1 : start + 26])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("chunks done, loss", round(loss.item(), 2))
