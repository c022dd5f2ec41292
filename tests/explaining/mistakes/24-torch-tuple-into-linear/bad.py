# Estimate the power of a wind turbine at every minute from wind and angle.
import numpy as np
import torch
from torch import nn

torch.manual_seed(5)
rng = np.random.default_rng(5)
wind = torch.tensor(rng.normal(size=(40, 30, 2)), dtype=torch.float32)
power = wind[..., :1].clamp(min=0) ** 2


class Turbine(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        out = self.lstm(x)
        return self.head(out)


net = Turbine()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(2):
    loss = nn.functional.mse_loss(net(wind), power)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("estimates", tuple(net(wind).shape))
