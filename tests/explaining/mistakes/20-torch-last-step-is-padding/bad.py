# Guess from a patient's visits, few or many, whether the patient comes back.
import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

torch.manual_seed(1)
rng = np.random.default_rng(1)
comes_back = rng.integers(0, 2, size=48)
visits = [rng.normal(loc=back - 0.5, size=(rng.integers(2, 15), 4)) for back in comes_back]
x = pad_sequence([torch.tensor(v, dtype=torch.float32) for v in visits], batch_first=True)
y = torch.tensor(comes_back, dtype=torch.float32)
lengths = torch.tensor([len(v) for v in visits])


class Clinic(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 12, batch_first=True)
        self.head = nn.Linear(12, 1)

    def forward(self, x, lengths):
        out, _ = self.lstm(x)
        last = out[:, -1]
        return self.head(last).squeeze(1)


net = Clinic()
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for _ in range(2):
    loss = nn.functional.binary_cross_entropy_with_logits(net(x, lengths), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("visits", lengths[:6].tolist(), "answers", tuple(net(x, lengths).shape))
