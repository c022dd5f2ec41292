"""Pages of the rules on what recurrent and linear modules of torch read."""

from sostenuto.diagnosis.catalogue import rule

_BEGIN = "\nimport torch\nfrom torch import nn\n"

SO027 = rule(
    "SO027",
    "Two axes are read as one sequence, and their rows are samples",
    """nn.LSTM, nn.GRU and nn.RNN take two axes as a single sequence without a batch: (time, features). A batch of rows
    of a table has two axes as well, and is then read as if each row followed the row before.""",
    """Give three axes: x.unsqueeze(-1) where a row is a series of numbers, x.unsqueeze(1) where it is a single step,
    both with batch_first=True.""",
    example=_BEGIN
    + """from torch.utils.data import DataLoader, TensorDataset
lstm = nn.LSTM(5, 4)
for x, y in DataLoader(TensorDataset(torch.randn(8, 5), torch.zeros(8)), batch_size=4, shuffle=True):
    out, _ = lstm(x)
""",
    repaired=_BEGIN
    + """from torch.utils.data import DataLoader, TensorDataset
lstm = nn.LSTM(1, 4, batch_first=True)
for x, y in DataLoader(TensorDataset(torch.randn(8, 5), torch.zeros(8)), batch_size=4, shuffle=True):
    out, _ = lstm(x.unsqueeze(-1))
""",
    backend="torch",
)

SO043 = rule(
    "SO043",
    "The number of features per step is not the input_size of the module",
    """A recurrent module of torch is made for input_size features per step, the last axis of what it reads. What
    another recurrent module returns has hidden_size of them, twice that where it is bidirectional; a series of plain
    numbers needs an axis of length 1.""",
    """Set input_size to the length of the last axis, or bring the axes into order: x.unsqueeze(-1), x.transpose(1,
    2).""",
    example=_BEGIN + "lstm = nn.LSTM(8, 4, batch_first=True)\nlstm(torch.randn(6, 10, 7))\n",
    repaired=_BEGIN + "lstm = nn.LSTM(7, 4, batch_first=True)\nlstm(torch.randn(6, 10, 7))\n",
    backend="torch",
)

SO044 = rule(
    "SO044",
    "A recurrent module of torch is given another number of axes than it reads",
    """nn.LSTM, nn.GRU and nn.RNN read (time, batch, features), or (batch, time, features) with batch_first=True. Their
    cells read one step, (batch, features).""",
    """Take extra axes of length 1 away with squeeze(axis), join axes of a step with flatten(2), add a missing one with
    unsqueeze.""",
    example=_BEGIN + "lstm = nn.LSTM(3, 4, batch_first=True)\nlstm(torch.randn(6, 10, 3, 1))\n",
    repaired=_BEGIN + "lstm = nn.LSTM(3, 4, batch_first=True)\nlstm(torch.randn(6, 10, 3, 1).squeeze(3))\n",
    backend="torch",
)

SO045 = rule(
    "SO045",
    "What a module of torch reads has another dtype than its weights",
    """The weights are float32, and torch does not convert what they are multiplied with. Arrays of NumPy are float64
    unless told otherwise, and stay so as tensors. Token ids are whole numbers: they go through nn.Embedding.""",
    """x.float(), or torch.tensor(data, dtype=torch.float32) where the tensor is made; nn.Embedding for ids.""",
    example=_BEGIN + "lstm = nn.LSTM(3, 4)\nlstm(torch.zeros(10, 6, 3, dtype=torch.float64))\n",
    repaired=_BEGIN + "lstm = nn.LSTM(3, 4)\nlstm(torch.zeros(10, 6, 3, dtype=torch.float64).float())\n",
    backend="torch",
)

SO046 = rule(
    "SO046",
    "A linear layer is made for another number of units than it is given",
    """nn.Linear(in_features, out_features) multiplies the last axis. What a recurrent module returns has hidden_size
    units there, 2 x hidden_size where it is bidirectional, and time x hidden_size after all steps were put in a
    row.""",
    """nn.Linear(2 * hidden_size, ...) behind a bidirectional module, nn.Linear(hidden_size, ...) otherwise.""",
    example=_BEGIN
    + """gru, head = nn.GRU(3, 4, batch_first=True, bidirectional=True), nn.Linear(4, 1)
out, h = gru(torch.randn(6, 10, 3))
head(out)
""",
    repaired=_BEGIN
    + """gru, head = nn.GRU(3, 4, batch_first=True, bidirectional=True), nn.Linear(8, 1)
out, h = gru(torch.randn(6, 10, 3))
head(out)
""",
    backend="torch",
)
