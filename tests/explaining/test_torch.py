"""Programs of plain torch: axes, what is taken from recurrent modules, states, tuples."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.torch_programs import explained

if keras.backend.backend() != "torch":
    pytest.skip("programs of plain torch", allow_module_level=True)

pytestmark = pytest.mark.backend

MISTAKES = {
    "batch_first forgotten, GRU": (
        "net = Net(nn.GRU(3, 4), nn.Linear(4, 1), lambda out, h: out[:, -1, :])\nF.mse_loss(net(x), y).backward()",
        "SO021",
        ("batch_first=True", "(time 6, batch 10, features 3)", "nn.GRU(3, 4, batch_first=True)"),
    ),
    "batch_first forgotten, a loader that shuffles": (
        "rnn, head = nn.RNN(3, 4), nn.Linear(4, 1)\n"
        "for a, b in DataLoader(TensorDataset(x, y), batch_size=3, shuffle=True):\n    out, h = rnn(a)\n"
        "    head(out)",
        "SO021",
        ("nn.RNN(3, 4, batch_first=True)", "shuffles"),
    ),
    "batch_first forgotten, one target per row": (
        "rnn = nn.LSTM(3, 4, num_layers=2)\nfor a, b in DataLoader(TensorDataset(x, y), batch_size=3):\n"
        "    out, (h, c) = rnn(a.float())",
        "SO021",
        ("one target for each row",),
    ),
    "batch_first forgotten, pooling": (
        "rnn, head = nn.LSTM(3, 4), nn.Linear(4, 1)\nout, _ = rnn(x)\nhead(out.mean(dim=1))",
        "SO021",
        ("pools the 10 sequences",),
    ),
    "batch_first forgotten, flattened": (
        "rnn, head = nn.LSTM(3, 4), nn.Linear(40, 1)\nout, _ = rnn(x)\nhead(out.reshape(x.size(0), -1))",
        "SO021",
        ("6 rows",),
    ),
    "batch_first forgotten, by names": (
        "batch_size, seq_len = 6, 10\nrnn, head = nn.LSTM(3, 4), nn.Linear(4, 2)\nhead(rnn(x)[0])",
        "SO021",
        ("batch_size is 6, and seq_len is 10",),
    ),
    "batch_first forgotten, a state for each row": (
        "rnn = nn.LSTM(3, 4)\nh0 = torch.zeros(1, x.size(0), 4)\nrnn(x, (h0, h0))",
        "SO021",
        ("batch_first=True",),
    ),
    "batch_first forgotten, the loss": (
        "rnn, head = nn.LSTM(3, 4), nn.Linear(4, 4)\nout, (h, c) = rnn(x)\nF.cross_entropy(head(h[-1]), classes)",
        "SO021",
        ("10 rows", "6 rows"),
    ),
    "batch_first forgotten, padded": (
        "rnn = nn.GRU(3, 4)\nout, h = rnn(pad_sequence(ragged, batch_first=True))",
        "SO021",
        ("batch_first=True",),
    ),
    "batch_first forgotten, ids": (
        "embed, rnn = nn.Embedding(5, 3), nn.GRU(3, 4)\nout, h = rnn(embed(pad_sequence(ids, batch_first=True)))",
        "SO021",
        ("nn.GRU(3, 4, batch_first=True)",),
    ),
    "time first for batch_first": (
        "rnn = nn.LSTM(3, 4, batch_first=True)\nrnn(pad_sequence(ragged))",
        "SO022",
        ("pad_sequence", "batch_first=True", "(time 5, batch 4, features 3)"),
    ),
    "time first, ids": (
        "embed, drop, rnn = nn.Embedding(5, 3), nn.Dropout(0.1), nn.RNN(3, 4, batch_first=True)\n"
        "rnn(drop(embed(pad_sequence(ids))))",
        "SO022",
        ("pad_sequence(..., batch_first=True)",),
    ),
    "transposed and batch_first": (
        "rnn = nn.GRU(3, 4, batch_first=True)\n"
        "for a, b in DataLoader(TensorDataset(x, y), batch_size=3, shuffle=True):\n    rnn(a.permute(1, 0, 2))",
        "SO022",
        ("two axes were swapped", "nn.GRU(3, 4)"),
    ),
    "the last row": (
        "net = Net(nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1), lambda out, h: out[-1])\nnet(x)",
        "SO023",
        ("out[:, -1]", "6 sequences"),
    ),
    "the last row, which the loss refuses": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 4)\nout, h = rnn(x)\n"
        "nn.CrossEntropyLoss()(head(out[-1]), classes)",
        "SO023",
        ("out[:, -1]",),
    ),
    "transposed, and the last row": (
        "rnn, head = nn.GRU(3, 4), nn.Linear(4, 1)\nout, h = rnn(x.transpose(0, 1))\nhead(out[:, -1])",
        "SO023",
        ("out[-1]", "batch_first is False"),
    ),
    "pooled rows": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\nout, h = rnn(x)\nhead(torch.mean(out, 0))",
        "SO023",
        ("pooled",),
    ),
    "bidirectional last step": (
        "net = Net(nn.GRU(3, 4, batch_first=True, bidirectional=True), nn.Linear(8, 1), lambda out, h: out[:, -1, :])\n"
        "net(x)",
        "SO024",
        ("1 step of 10", "torch.cat", "bidirectional"),
    ),
    "bidirectional last step, time first": (
        "rnn, head = nn.LSTM(3, 4, bidirectional=True), nn.Linear(8, 1)\nhead(rnn(x.transpose(0, 1))[0][-1])",
        "SO024",
        ("backward half",),
    ),
    "states viewed": (
        "rnn, head = nn.LSTM(3, 4, num_layers=2, batch_first=True), nn.Linear(8, 1)\nout, (h_n, c) = rnn(x)\n"
        "head(h_n.reshape(-1, 8).view(6, -1) if False else h_n.view(6, 8))",
        "SO025",
        ("transpose(0, 1)", "layers x directions"),
    ),
    "axes swapped by view": (
        "rnn = nn.GRU(3, 4)\nfor a, b in DataLoader(TensorDataset(x, y), batch_size=6):\n    rnn(a.view(10, -1, 3))",
        "SO026",
        ("permute(1, 0, 2)",),
    ),
    "a table as one sequence": (
        "rnn = nn.GRU(10, 4)\nfor a, b in DataLoader(TensorDataset(x[:, :, 0], y), 3, shuffle=True):\n    rnn(a)",
        "SO027",
        ("(time 3, features 10)", "unsqueeze"),
    ),
    "the backward state alone": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True, bidirectional=True), nn.Linear(4, 1)\n"
        "out, (h, c) = rnn(x)\nhead(h[-1])",
        "SO028",
        ("backward", "torch.cat((h[-2], h[-1]), dim=1)"),
    ),
    "the first layer's state": (
        "rnn, head = nn.GRU(3, 4, num_layers=2, batch_first=True), nn.Linear(4, 1)\nout, h = rnn(x)\nhead(h[0])",
        "SO028",
        ("layer 1 of 2", "h[-1]"),
    ),
    "a short last batch, GRU": (
        "rnn = nn.GRU(3, 4, num_layers=2, batch_first=True)\nh0 = torch.zeros(2, 4, 4)\n"
        "for (a,) in DataLoader(TensorDataset(x), batch_size=4):\n    rnn(a, h0)",
        "SO031",
        ("last batch of 2", "h0 = torch.zeros(2, a.size(0), 4)", "drop_last"),
    ),
    "a short last batch, init_hidden": (
        "class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.lstm = nn.LSTM(3, 4, batch_first=True)\n    def init_hidden(self, size):\n"
        "        return torch.zeros(1, size, 4), torch.zeros(1, size, 4)\n"
        "    def forward(self, inputs, hidden):\n        return self.lstm(inputs, hidden)\nmodel = Model()\n"
        "hidden = model.init_hidden(4)\nfor start in (0, 4):\n"
        "    out, hidden = model(x[start:start + 4], hidden)",
        "SO031",
        ("batch 4", "batch 2", "last"),
    ),
    "a short last batch, a cell": (
        "cell = nn.LSTMCell(3, 4)\nh, c = torch.zeros(4, 4), torch.zeros(4, 4)\nfor a in x.split(4):\n"
        "    for step in a.unbind(1):\n        h, c = cell(step, (h, c))",
        "SO031",
        ("batch 4", "batch 2"),
    ),
    "another batch size at prediction": (
        "rnn = nn.LSTM(3, 4, batch_first=True)\nh0 = c0 = torch.zeros(1, 6, 4)\nrnn(x, (h0, c0))\nrnn(x[:1], (h0, c0))",
        "SO031",
        ("batch 6", "1 row"),
    ),
    "directions missing": (
        "rnn = nn.GRU(3, 4, batch_first=True, bidirectional=True)\nrnn(x, torch.zeros(1, 6, 4))",
        "SO032",
        ("bidirectional", "1 layer x 2 directions"),
    ),
    "states with the batch in front": (
        "rnn = nn.GRU(3, 4, num_layers=2, batch_first=True)\nrnn(x, torch.zeros(6, 2, 4))",
        "SO033",
        ("batch_first", "(layers x directions 2, batch 6, units 4)"),
    ),
    "states without their first axis": (
        "rnn = nn.LSTM(3, 4, batch_first=True)\nh0 = torch.zeros(6, 4)\nrnn(x, (h0, h0))",
        "SO033",
        ("unsqueeze(0)",),
    ),
    "decoder of another size": (
        "encoder, decoder = nn.LSTM(3, 4), nn.LSTM(3, 5)\n_, state = encoder(x)\ndecoder(x, state)",
        "SO034",
        ("units 4", "units 5", "nn.LSTM(3, 4)"),
    ),
    "one state for a cell": (
        "nn.LSTMCell(3, 4)(x[:, 0], torch.zeros(6, 4))",
        "SO035",
        ("(h_0, c_0)",),
    ),
    "two states for a GRU": (
        "h0 = torch.zeros(1, 6, 4)\nnn.GRU(3, 4, batch_first=True)(x, (h0, h0))",
        "SO035",
        ("nn.GRU has one state", "(x, h0)"),
    ),
    "cell, swapped": (
        "cell = nn.LSTMCell(3, 4)\nh = c = torch.zeros(6, 4)\nh, c = cell(x[:, 0], (h, c))\ncell(x[:, 1], (c, h))",
        "SO036",
        ("(h, c)", "cell state"),
    ),
    "unpacked in the order c, h": (
        "rnn = nn.LSTM(3, 4, batch_first=True)\nout, (c_n, h_n) = rnn(x)",
        "SO036",
        ("out, (h_n, c_n) = rnn(x)",),
    ),
    "shuffled and carried, LSTM": (
        "rnn = nn.LSTM(3, 4, batch_first=True)\nstate = None\n"
        "for a, b in DataLoader(TensorDataset(x, y), batch_size=3, shuffle=True):\n"
        "    out, state = rnn(a, state)\n    state = tuple(s.detach() for s in state)",
        "SO037",
        ("shuffle=False",),
    ),
    "from epoch to epoch, a loader": (
        "rnn = nn.GRU(3, 4, batch_first=True)\nh = None\nfor epoch in range(2):\n"
        "    for a, b in DataLoader(TensorDataset(x, y), batch_size=3):\n        out, h = rnn(a, h)\n"
        "        h = h.detach()",
        "SO038",
        ("epoch",),
    ),
    "the graph of a cell": (
        "cell, head = nn.GRUCell(3, 4), nn.Linear(4, 1)\nh = torch.zeros(6, 4)\nfor step in x.unbind(1):\n"
        "    h = cell(step, h)\n    F.mse_loss(head(h), y).backward()",
        "SO040",
        ("h = h.detach()", "graph"),
    ),
    "the graph, retained": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "opt = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.1)\nstate = None\n"
        "for part in x.split(5, 1):\n    out, state = rnn(part, state)\n"
        "    loss = F.mse_loss(head(out[:, -1]), y)\n    opt.zero_grad()\n"
        "    loss.backward(retain_graph=True)\n    opt.step()",
        "SO040",
        ("detach", "tuple(s.detach() for s in state)"),
    ),
    "the graph, a state of the model": (
        "class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.lstm, self.head, self.hidden = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1), None\n"
        "    def forward(self, inputs):\n        out, self.hidden = self.lstm(inputs, self.hidden)\n"
        "        return self.head(out[:, -1])\nmodel = Model()\nfor part in x.split(5, 1):\n"
        "    F.mse_loss(model(part), y).backward()",
        "SO040",
        ("self.hidden", "detach"),
    ),
    "Sequential with dropout": (
        "nn.Sequential(nn.GRU(3, 4), nn.Dropout(0.1), nn.Linear(4, 1))(x)",
        "SO041",
        ("nn.Sequential", "nn.Dropout", "(output, h_n)"),
    ),
    "Sequential of two": (
        "nn.Sequential(nn.LSTM(3, 4), nn.LSTM(4, 4))(x)",
        "SO041",
        ("tuple", "nn.LSTM"),
    ),
    "the tuple indexed": (
        "out = nn.LSTM(3, 4)(x)\nlast = out[:, -1]",
        "SO041",
        ("tuple", "out, (h, c)"),
    ),
    "the tuple, a function": (
        "rnn = nn.GRU(3, 4)\nF.relu(rnn(x))",
        "SO041",
        ("tuple", "(output, h_n)"),
    ),
    "the tuple, a method": (
        "rnn = nn.GRU(3, 4)\nout = rnn(x)\nout.view(6, -1)",
        "SO041",
        ("tuple",),
    ),
    "three of two": (
        "rnn = nn.LSTM(3, 4)\nout, h, c = rnn(x)",
        "SO042",
        ("out, (h, c) = rnn(x)",),
    ),
    "a cell state of a GRU": (
        "rnn = nn.GRU(3, 4)\nout, (h, c) = rnn(x)",
        "SO042",
        ("no cell state", "out, h = rnn(x)"),
    ),
    "output of a cell": (
        "cell = nn.LSTMCell(3, 4)\nout, (h, c) = cell(x[:, 0])",
        "SO042",
        ("h, c = cell(x[:, 0])",),
    ),
    "batch_first forgotten, a loader in order": (
        "rnn, head = nn.GRU(3, 4), nn.Linear(4, 3)\n"
        "for a, b in DataLoader(TensorDataset(x, x), 3):\n    F.mse_loss(head(rnn(a)[0]), b)",
        "SO021",
        ("unsure", "no state is carried"),
    ),
    "an encoder in both directions": (
        "encoder, decoder = nn.GRU(3, 4, bidirectional=True), nn.GRU(3, 4)\n_, h = encoder(x)\ndecoder(x, h)",
        "SO032",
        ("1 x 2 = 2", "torch.cat((h[-2], h[-1]), dim=1)"),
    ),
    "a state written in the call": (
        "rnn = nn.GRU(3, 4, batch_first=True)\nrnn(input=x, hx=torch.zeros(1, 5, 4))",
        "SO031",
        ("torch.zeros(1, x.size(0), 4)        # for torch.zeros(1, 5, 4)",),
    ),
    "packed, and the tuple": (
        "rnn = nn.GRU(3, 4, batch_first=True)\npacked = pack_padded_sequence(x[:4], lengths, True, False)\n"
        "pad_packed_sequence(rnn(packed), batch_first=True)",
        "SO041",
        ("out, h = rnn(packed)",),
    ),
}


@pytest.mark.parametrize(("text", "code", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_explained(text, code, said, tmp_path):
    explained(text, code, said, tmp_path)
