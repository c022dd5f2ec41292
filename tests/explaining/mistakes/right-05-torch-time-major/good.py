# Forecast the demand of 32 shops from twenty days of three signals.
import numpy as np
import torch
from torch import nn

torch.manual_seed(35)
rng = np.random.default_rng(35)
shops = np.cumsum(rng.normal(size=(32, 21, 3)), axis=1) / 5
days = torch.tensor(shops[:, :20], dtype=torch.float32).permute(1, 0, 2)
demand = torch.tensor(shops[:, 20, :1], dtype=torch.float32)

lstm = nn.LSTM(3, 16)
head = nn.Linear(16, 1)
optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.01)
for _ in range(2):
    h0 = torch.zeros(1, days.size(1), 16)
    c0 = torch.zeros(1, days.size(1), 16)
    out, _ = lstm(days, (h0, c0))
    loss = nn.functional.mse_loss(head(out[-1]), demand)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    alone = lstm(days[:, :1])[0][-1]
    print("a shop alone answers the same", torch.allclose(alone, lstm(days)[0][-1, :1], atol=1e-5))
