# Tell the species of birds by songs of different length.
import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

torch.manual_seed(4)
rng = np.random.default_rng(4)
species = torch.tensor(rng.integers(0, 3, size=30))
songs = [
    torch.tensor(rng.normal(loc=kind, size=(rng.integers(4, 18), 6)), dtype=torch.float32) for kind in species.tolist()
]
lengths = torch.tensor([len(song) for song in songs])
x = pad_sequence(songs, batch_first=True)

lstm = nn.LSTM(6, 20, batch_first=True)
head = nn.Linear(20, 3)
optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.01)
for _ in range(2):
    packed = pack_padded_sequence(x, lengths, batch_first=True)
    _, (hidden, _) = lstm(packed)
    loss = nn.functional.cross_entropy(head(hidden[-1]), species)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss", round(loss.item(), 2))
