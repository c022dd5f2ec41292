# Tag each word of a sentence with one of five kinds of words.
import numpy as np
import torch
from torch import nn

torch.manual_seed(3)
rng = np.random.default_rng(3)
sentences = torch.tensor(rng.integers(0, 40, size=(64, 12)))
tags = sentences % 5


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 10)
        self.lstm = nn.LSTM(10, 16, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, 5)

    def forward(self, words):
        out, _ = self.lstm(self.embed(words))
        return self.head(out)


net = Tagger()
loss_of = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for start in range(0, 64, 16):
    scores = net(sentences[start : start + 16])
    loss = loss_of(scores.transpose(1, 2), tags[start : start + 16])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss", round(loss.item(), 2))
