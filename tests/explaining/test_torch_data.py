"""Programs of plain torch: what modules read, packing, losses and loops."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.torch_programs import explained

if keras.backend.backend() != "torch":
    pytest.skip("programs of plain torch", allow_module_level=True)

pytestmark = pytest.mark.backend

MISTAKES = {
    "features in the middle": (
        "nn.LSTM(3, 4, batch_first=True)(torch.randn(6, 3, 10))",
        "SO043",
        ("transpose(1, 2)", "10", "input_size=3"),
    ),
    "no axis of features": (
        "rnn = nn.LSTM(1, 4, batch_first=True)\nrnn(x[:, :, 0])",
        "SO043",
        ("unsqueeze(-1)",),
    ),
    "stacked behind both directions": (
        "one, two = nn.GRU(3, 4, bidirectional=True), nn.GRU(4, 4)\nout, _ = one(x)\ntwo(out)",
        "SO043",
        ("bidirectional", "input_size = 8"),
    ),
    "features of a cell": (
        "nn.GRUCell(5, 4)(x[:, 0])",
        "SO043",
        ("3", "input_size=5"),
    ),
    "four axes": (
        "nn.LSTM(3, 4, batch_first=True)(x[:, None])",
        "SO044",
        ("squeeze(1)", "4 axes"),
    ),
    "a sequence for a cell": (
        "nn.LSTMCell(3, 4)(x)",
        "SO044",
        ("one step", "unbind(1)"),
    ),
    "double for a cell": (
        "nn.LSTMCell(3, 4)(x[:, 0].double())",
        "SO045",
        ("float64", "float32", ".float()"),
    ),
    "double for a linear layer": (
        "nn.Linear(3, 4)(x.double())",
        "SO045",
        ("double", "float"),
    ),
    "ids without an embedding": (
        "nn.LSTM(8, 4)(torch.randint(0, 9, (6, 8)))",
        "SO045",
        ("nn.Embedding",),
    ),
    "an array": (
        "import numpy as np\nnn.LSTM(3, 4)(np.zeros((5, 6, 3)))",
        "SO045",
        ("torch.as_tensor", "float64"),
    ),
    "a linear layer for one direction": (
        "net = Net(nn.LSTM(3, 64, bidirectional=True, batch_first=True), nn.Linear(64, 1), lambda out, h: out)\nnet(x)",
        "SO046",
        ("128", "64", "bidirectional", "hidden_size"),
    ),
    "a linear layer for both": (
        "rnn, head = nn.LSTM(3, 4, bidirectional=True, batch_first=True), nn.Linear(8, 1)\n"
        "out, (h, c) = rnn(x)\nhead(h[-1])",
        "SO046",
        ("torch.cat((h[-2], h[-1]), dim=1)",),
    ),
    "a linear layer behind a row of steps": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\nout, h = rnn(x)\nhead(out.reshape(6, -1))",
        "SO046",
        ("40", "out[:, -1]"),
    ),
    "length 0": (
        "pack_padded_sequence(x[:4], torch.tensor([5, 4, 3, 0]), batch_first=True)",
        "SO047",
        ("length 0", "row 3"),
    ),
    "lengths with an axis": (
        "pack_padded_sequence(x[:4], lengths.reshape(4, 1), batch_first=True, enforce_sorted=False)",
        "SO047",
        ("flatten",),
    ),
    "lengths beyond the end": (
        "pack_padded_sequence(x[:4], torch.tensor([12, 4, 3, 1]), batch_first=True)",
        "SO047",
        ("12", "10 steps"),
    ),
    "packed along time": (
        "pack_padded_sequence(pad_sequence(ragged, batch_first=True), lengths.sort(descending=True)[0])",
        "SO048",
        ("batch_first=True", "4 lengths"),
    ),
    "unpacked along time": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "packed = pack_padded_sequence(x[:4], lengths, batch_first=True, enforce_sorted=False)\n"
        "out, _ = pad_packed_sequence(rnn(packed)[0])\nhead(out[:, -1])",
        "SO048",
        ("pad_packed_sequence(..., batch_first=True)",),
    ),
    "still packed": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "packed = pack_padded_sequence(x[:4], lengths, batch_first=True, enforce_sorted=False)\n"
        "out, _ = rnn(packed)\nhead(out)",
        "SO048",
        ("PackedSequence", "pad_packed_sequence"),
    ),
    "the last step of unpacked output": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "packed = pack_padded_sequence(x[:4], lengths, batch_first=True, enforce_sorted=False)\n"
        "out, _ = pad_packed_sequence(rnn(packed)[0], batch_first=True)\nhead(out[:, -1])",
        "SO049",
        ("zeros", "h_n[-1]"),
    ),
    "the state after padding": (
        "embed, rnn, head = nn.Embedding(5, 3), nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "out, (h, c) = rnn(embed(pad_sequence(ids, batch_first=True)))\nhead(h[-1])",
        "SO049",
        ("padding", "pack_padded_sequence", "3 of 4"),
    ),
    "padding seen in ids": (
        "tokens = torch.tensor([[3, 1, 2, 0, 0, 0], [1, 2, 4, 4, 1, 2], [2, 0, 0, 0, 0, 0], [4, 1, 1, 2, 0, 0]])\n"
        "embed, rnn, head = nn.Embedding(5, 3, padding_idx=0), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "out, h = rnn(embed(tokens))\nhead(out[:, -1])",
        "SO049",
        ("lengths 1 to 6",),
    ),
    "a mean over padding": (
        "rnn, head = nn.GRU(3, 4), nn.Linear(4, 1)\nout, h = rnn(pad_sequence(ragged))\nhead(out.mean(0))",
        "SO049",
        ("averaged",),
    ),
    "sorted, and not put back": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "sizes = torch.tensor([2, 5, 3, 4, 1, 2])\n"
        "for a, n, b in DataLoader(TensorDataset(x, sizes, y), batch_size=6):\n"
        "    n, order = torch.sort(n, descending=True)\n"
        "    _, h = rnn(pack_padded_sequence(a.index_select(0, order), n, batch_first=True))\n"
        "    F.mse_loss(head(h[-1]), b)",
        "SO050",
        ("enforce_sorted=False",),
    ),
    "classes last, by a module": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 4)\n"
        "nn.CrossEntropyLoss()(head(rnn(x)[0]), torch.zeros(6, 10).long())",
        "SO053",
        ("transpose(1, 2)", "reshape(-1, 4)"),
    ),
    "as many classes as steps": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 10)\n"
        "F.cross_entropy(head(rnn(x)[0]), torch.zeros(6, 10).long())",
        "SO053",
        ("same length", "transpose(1, 2)"),
    ),
    "an output per step, a target per sequence": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 4)\nF.cross_entropy(head(rnn(x)[0]), classes)",
        "SO053",
        ("one target per sequence", "[:, -1]"),
    ),
    "all steps in a row": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 4)\n"
        "F.cross_entropy(head(rnn(x)[0].reshape(-1, 4)), classes)",
        "SO053",
        ("60 rows", "10 for each"),
    ),
    "softmax twice": (
        "net = nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1))\nnn.CrossEntropyLoss()(net(x[:, 0]), classes)",
        "SO054",
        ("softmax", "logits"),
    ),
    "sigmoid twice": (
        "F.binary_cross_entropy_with_logits(torch.sigmoid(nn.GRU(3, 1, batch_first=True)(x)[1][-1]), y.sigmoid())",
        "SO054",
        ("sigmoid", "twice"),
    ),
    "no logarithm": (
        "F.nll_loss(F.softmax(nn.Linear(3, 4)(x[:, 0]), dim=1), classes)",
        "SO054",
        ("log_softmax",),
    ),
    "classes with an axis": (
        "F.cross_entropy(nn.Linear(3, 4)(x[:, 0]), classes[:, None])",
        "SO055",
        ("squeeze(1)",),
    ),
    "one-hot integers": (
        "F.cross_entropy(nn.Linear(3, 4)(x[:, 0]), F.one_hot(classes, 4))",
        "SO055",
        ("argmax(dim=1)",),
    ),
    "counted from 1": (
        "F.cross_entropy(nn.Linear(3, 4)(x[:, 0]), classes + 1)",
        "SO055",
        ("classes + 1 - 1", "from 0 to 3", "counted from 1"),
    ),
    "one logit": (
        "F.cross_entropy(nn.Linear(3, 1)(x[:, 0]), y)",
        "SO055",
        ("softmax over one number is 1",),
    ),
    "whole numbers for a binary loss": (
        "F.binary_cross_entropy_with_logits(nn.Linear(3, 1)(x[:, 0]), torch.ones(6, 1).long())",
        "SO055",
        (".float()",),
    ),
    "broadcast": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)\nnn.L1Loss()(head(rnn(x)[0][:, -1]), y[:, 0])",
        "SO056",
        ("(6, 6)", "(6, 1)", "unsqueeze(1)"),
    ),
    "steps against one target": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)\nnn.MSELoss()(head(rnn(x)[0]), y)",
        "SO056",
        ("10 steps", "[:, -1]"),
    ),
    "a binary loss of other shapes": (
        "nn.BCEWithLogitsLoss()(nn.Linear(3, 1)(x[:, 0]), torch.ones(6))",
        "SO056",
        ("unsqueeze(1)", "(6, 1)"),
    ),
    "logits for BCELoss": (
        "nn.BCELoss()(nn.Linear(3, 1)(9 * x[:, 0]), torch.ones(6, 1))",
        "SO057",
        ("BCEWithLogitsLoss", "between 0 and 1"),
    ),
    "padding in mse": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 3)\n"
        "batch = pad_sequence(ragged, batch_first=True)\nF.mse_loss(head(rnn(batch)[0]), batch)",
        "SO058",
        ("6 of 20", "mask"),
    ),
    "no zero_grad, Adam": (
        "rnn = nn.GRU(3, 1, batch_first=True)\nopt = torch.optim.Adam(rnn.parameters())\n"
        "for step in range(6):\n    loss = F.mse_loss(rnn(x)[1][-1], y)\n    loss.backward()\n    opt.step()",
        "SO059",
        ("zero_grad", "add up"),
    ),
    "zero_grad after backward": (
        "rnn = nn.GRU(3, 1, batch_first=True)\nopt = torch.optim.Adam(rnn.parameters())\n"
        "for step in range(4):\n    loss = F.mse_loss(rnn(x)[1][-1], y)\n    loss.backward()\n"
        "    opt.zero_grad()\n    opt.step()",
        "SO052",
        ("zero_grad() between",),
    ),
    "the head left out": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "opt = torch.optim.Adam(rnn.parameters())\nfor step in range(6):\n"
        "    loss = F.mse_loss(head(rnn(x)[1][-1]), y)\n    opt.zero_grad()\n    loss.backward()\n"
        "    opt.step()",
        "SO052",
        ("nn.Linear(4, 1)",),
    ),
    "a table beside a state": (
        "rnn = nn.GRU(10, 4, batch_first=True)\nrnn(x[:, :, 0], torch.zeros(1, 6, 4))",
        "SO044",
        ("without a batch",),
    ),
    "a state of doubles": (
        "rnn = nn.GRU(3, 4, batch_first=True)\nrnn(x, torch.zeros(1, 6, 4).double())",
        "SO045",
        ("float64",),
    ),
    "states with their axis, classes": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 4)\nF.cross_entropy(head(rnn(x)[1]), classes)",
        "SO053",
        ("h_n[-1]", "layers x directions 1"),
    ),
    "states with their axis, amounts": (
        "rnn, head = nn.GRU(3, 4, 2, batch_first=True), nn.Linear(4, 1)\nF.mse_loss(head(rnn(x)[1].squeeze(0)), y)",
        "SO056",
        ("h_n[-1]", "squeeze(0)"),
    ),
    "time first and classes last": (
        "rnn, head = nn.GRU(3, 4), nn.Linear(4, 5)\n"
        "F.cross_entropy(head(rnn(x.transpose(0, 1))[0]), torch.zeros(10, 6).long())",
        "SO053",
        ("time 10, batch 6", "permute(1, 2, 0)"),
    ),
    "a batch of one, squeezed": (
        "head = nn.Linear(3, 1)\nF.binary_cross_entropy_with_logits(head(x[:1, 0]).squeeze(), torch.ones(1))",
        "SO056",
        ("squeeze(1)",),
    ),
}


@pytest.mark.parametrize(("text", "code", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_explained(text, code, said, tmp_path):
    explained(text, code, said, tmp_path)
