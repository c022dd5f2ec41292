"""Right programs of plain torch, near to mistakes: they must be left alone."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.torch_programs import left_alone

if keras.backend.backend() != "torch":
    pytest.skip("programs of plain torch", allow_module_level=True)

pytestmark = pytest.mark.backend

RIGHT = {
    "batch_first, last step": (
        "net = Net(nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1), lambda out, s: out[:, -1])\n"
        "F.mse_loss(net(x), y).backward()"
    ),
    "time first, last step": (
        "net = Net(nn.LSTM(3, 4), nn.Linear(4, 1), lambda out, s: out[-1])\nnet(x.transpose(0, 1))"
    ),
    "time first, pooling": ("rnn, head = nn.GRU(3, 4), nn.Linear(4, 1)\nhead(rnn(x.transpose(0, 1))[0].mean(0))"),
    "time first, one row shown": (
        "rnn, head = nn.GRU(3, 4), nn.Linear(4, 1)\nout, h = rnn(x.transpose(0, 1))\n"
        "print(out[:, -1].shape, out[:, 0].shape)\nhead(out)"
    ),
    "time first, one sequence": (
        "rnn, head = nn.GRU(3, 4), nn.Linear(4, 1)\nout, h = rnn(x[0].unsqueeze(1))\nhead(out[:, -1])"
    ),
    "without a batch": ("rnn, head = nn.GRU(3, 4), nn.Linear(4, 1)\nout, h = rnn(x[0])\nhead(out[-1])\nhead(h[-1])"),
    "chunks of a long series in a loader": (
        "rnn, h = nn.GRU(3, 4), None\nseries = torch.randn(40, 6, 3)\n"
        "for (a,) in DataLoader(TensorDataset(series), batch_size=10):\n    out, h = rnn(a, h)\n"
        "    h = h.detach()"
    ),
    "a loader that shuffles": (
        "net = Net(nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1), lambda out, s: s[0][-1])\n"
        "opt = torch.optim.Adam(net.parameters())\nfor epoch in range(3):\n"
        "    for a, b in DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True):\n"
        "        opt.zero_grad()\n        F.mse_loss(net(a), b).backward()\n        opt.step()\nnet.eval()\n"
        "with torch.no_grad():\n    for a, b in DataLoader(TensorDataset(x, y), batch_size=4):\n"
        "        F.mse_loss(net(a), b)"
    ),
    "a loader, transposed": (
        "rnn = nn.LSTM(3, 4)\nfor a, b in DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True):\n"
        "    rnn(a.transpose(0, 1).contiguous())"
    ),
    "images as sequences": (
        "rnn = nn.LSTM(3, 4, batch_first=True)\n"
        "for a, b in DataLoader(TensorDataset(x[:, None], y), batch_size=4):\n    rnn(a.view(-1, 10, 3))\n"
        "    rnn(a.reshape(a.size(0), 10, 3))\n    rnn(a.squeeze(1))"
    ),
    "names for time first": ("batch_size, seq_len = 6, 10\nnn.LSTM(3, 4)(x.transpose(0, 1))"),
    "bidirectional, both ends": (
        "rnn, head = nn.GRU(3, 4, batch_first=True, bidirectional=True), nn.Linear(8, 1)\nout, h = rnn(x)\n"
        "head(torch.cat((out[:, -1, :4], out[:, 0, 4:]), dim=1))\nhead(torch.cat((h[-2], h[-1]), dim=1))\n"
        "head(out)[:, -1]\nhead(h.transpose(0, 1).reshape(6, -1))\nhead(out.mean(1))"
    ),
    "bidirectional, views": (
        "rnn = nn.GRU(3, 4, num_layers=2, batch_first=True, bidirectional=True)\nhead = nn.Linear(4, 1)\n"
        "out, h = rnn(x)\nlast = h.view(2, 2, 6, 4)[-1]\nhead(last[0] + last[1])\n"
        "head(out.view(6, 10, 2, 4)[:, :, 0])"
    ),
    "layers one by one": (
        "rnn, head = nn.LSTM(3, 4, num_layers=2, batch_first=True), nn.Linear(4, 1)\nout, (h, c) = rnn(x)\n"
        "head(h[0])\nhead(h[1])\nhead(h[-1])"
    ),
    "all steps": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 5)\nlogits = head(rnn(x)[0])\n"
        "target = torch.randint(0, 5, (6, 10))\nF.cross_entropy(logits.transpose(1, 2), target)\n"
        "F.cross_entropy(logits.reshape(-1, 5), target.reshape(-1))\n"
        "F.cross_entropy(logits.permute(0, 2, 1), target)"
    ),
    "as many classes as steps": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 10)\n"
        "F.cross_entropy(head(rnn(x)[0]).transpose(1, 2), torch.randint(0, 10, (6, 10)))"
    ),
    "states of every batch": (
        "rnn = nn.LSTM(3, 4, batch_first=True)\nfor a in x.split(4):\n    h0 = torch.zeros(1, a.size(0), 4)\n"
        "    rnn(a, (h0, h0))"
    ),
    "chunks": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)\n"
        "opt = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.1)\nfor epoch in range(3):\n"
        "    state = None\n    for part in x.split(5, 1):\n        out, state = rnn(part, state)\n"
        "        state = tuple(s.detach() for s in state)\n        opt.zero_grad()\n"
        "        F.mse_loss(head(out), part).backward()\n        opt.step()"
    ),
    "chunks, and validation beside": (
        "rnn = nn.GRU(3, 4, batch_first=True)\nfor epoch in range(2):\n    h = None\n"
        "    for a, b in DataLoader(TensorDataset(x, y), batch_size=3):\n        rnn.train()\n"
        "        out, h = rnn(a, h)\n        h = h.detach()\n        out.mean().backward()\n"
        "        rnn.eval()\n        with torch.no_grad():\n            other = h\n"
        "            for a, b in DataLoader(TensorDataset(x, y), batch_size=3):\n"
        "                out, other = rnn(a, other)"
    ),
    "warmed up in evaluation": (
        "rnn = nn.GRU(3, 4, batch_first=True)\nrnn.eval()\nwith torch.no_grad():\n    _, h = rnn(x[:, :5])\n"
        "rnn.train()\nrnn(x[:, 5:], h)[0].mean().backward()"
    ),
    "a cell over steps": (
        "cell, head = nn.LSTMCell(3, 4), nn.Linear(4, 1)\nfor epoch in range(3):\n"
        "    h = c = torch.zeros(6, 4)\n    for step in x.unbind(1):\n        h, c = cell(step, (h, c))\n"
        "    F.mse_loss(head(h), y).backward()"
    ),
    "encoder and decoder": (
        "encoder, decoder, head = nn.LSTM(3, 4), nn.LSTM(3, 4), nn.Linear(4, 3)\n_, state = encoder(x)\n"
        "step = x[:1]\nfor _ in range(4):\n    out, state = decoder(step, state)\n    step = head(out)\n"
        "step.mean().backward()"
    ),
    "gradients through two steps": (
        "rnn = nn.GRU(3, 4)\nout, h = rnn(x)\nout2, h = rnn(x, h)\n(out.mean() + out2.mean()).backward()"
    ),
    "two backward of one graph": (
        "rnn = nn.GRU(3, 4)\nout, h = rnn(x)\nout.mean().backward(retain_graph=True)\nout.pow(2).mean().backward()"
    ),
    "packed": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "batch = pad_sequence(ragged, batch_first=True)\n"
        "packed = pack_padded_sequence(batch, lengths, batch_first=True, enforce_sorted=False)\n"
        "out, (h, c) = rnn(packed)\nhead(h[-1])\nout, n = pad_packed_sequence(out, batch_first=True)\n"
        "head(out[torch.arange(4), n - 1])\n"
        "head(out.gather(1, (n - 1).view(-1, 1, 1).expand(-1, 1, 4)).squeeze(1))"
    ),
    "packed along time": (
        "rnn, head = nn.GRU(3, 4), nn.Linear(4, 1)\n"
        "packed = pack_padded_sequence(pad_sequence(ragged), lengths, enforce_sorted=False)\n"
        "out, h = rnn(packed)\nhead(h[-1])\nout, n = pad_packed_sequence(out)\nhead(out)"
    ),
    "sorted and put back": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "sizes = torch.tensor([2, 5, 3, 4, 1, 2])\n"
        "for a, n, b in DataLoader(TensorDataset(x, sizes, y), batch_size=6):\n"
        "    n, order = torch.sort(n, descending=True)\n"
        "    _, h = rnn(pack_padded_sequence(a[order], n, batch_first=True))\n"
        "    F.mse_loss(head(h[-1][order.argsort()]), b)\n    F.mse_loss(head(h[-1]), b[order])"
    ),
    "lengths all alike": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "out, h = rnn(pad_sequence([torch.randn(5, 3) for _ in range(4)], batch_first=True))\nhead(out[:, -1])"
    ),
    "padded in front": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "out, h = rnn(pad_sequence(ragged, batch_first=True, padding_side='left'))\nhead(out[:, -1])"
    ),
    "zeros in the data": (
        "rain = torch.tensor([[0, 2, 0, 1, 0], [1, 0, 0, 0, 2], [0, 0, 3, 0, 0], [0, 1, 0, 0, 0.0]])[..., None]\n"
        "rnn, head = nn.GRU(1, 4, batch_first=True), nn.Linear(4, 1)\nhead(rnn(rain)[0][:, -1])"
    ),
    "padding left out of the loss": (
        "embed, rnn, head = nn.Embedding(5, 3), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 5)\n"
        "batch, target = pad_sequence(ids, batch_first=True), pad_sequence(ids, batch_first=True, padding_value=-100)\n"
        "logits = head(rnn(embed(batch))[0])\nF.cross_entropy(logits.transpose(1, 2), target)\n"
        "F.cross_entropy(logits.reshape(-1, 5), batch.reshape(-1), ignore_index=0)\nmask = batch != 0\n"
        "F.cross_entropy(logits[mask], batch[mask])\n"
        "(F.cross_entropy(logits.transpose(1, 2), batch, reduction='none') * mask).sum() / mask.sum()"
    ),
    "a mask in mse": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 3)\n"
        "batch = pad_sequence(ragged, batch_first=True)\n"
        "mask = (torch.arange(5)[None] < lengths[:, None])[..., None]\nsaid = head(rnn(batch)[0])\n"
        "F.mse_loss(said * mask, batch)\n((said - batch) ** 2 * mask).sum() / mask.sum()"
    ),
    "losses": (
        "logits = nn.Linear(3, 4)(x[:, 0])\nF.cross_entropy(logits, classes)\n"
        "F.cross_entropy(logits, torch.softmax(torch.randn(6, 4), 1))\n"
        "F.nll_loss(F.log_softmax(logits, 1), classes)\nF.cross_entropy(F.log_softmax(logits, 1), classes)\n"
        "one = nn.Linear(3, 1)(x[:, 0])\nF.binary_cross_entropy(torch.sigmoid(one), torch.ones(6, 1))\n"
        "F.binary_cross_entropy_with_logits(one, torch.ones(6, 1))\nF.mse_loss(one, y)\n"
        "F.mse_loss(one.squeeze(1), y[:, 0])\nF.mse_loss(one.mean(), torch.tensor(0.0))\n"
        "F.l1_loss(one, torch.zeros(1))"
    ),
    "gradients that are meant to add up": (
        "rnn = nn.GRU(3, 1, batch_first=True)\nopt = torch.optim.Adam(rnn.parameters())\n"
        "for step in range(12):\n    F.mse_loss(rnn(x)[1][-1], y).backward()\n    if step % 2:\n"
        "        opt.step()\n        opt.zero_grad()"
    ),
    "gradients set to None by hand": (
        "rnn = nn.GRU(3, 1, batch_first=True)\nopt = torch.optim.Adam(rnn.parameters())\n"
        "for step in range(6):\n    for one in rnn.parameters():\n        one.grad = None\n"
        "    F.mse_loss(rnn(x)[1][-1], y).backward()\n    opt.step()"
    ),
    "two optimizers": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "opts = [torch.optim.Adam(rnn.parameters()), torch.optim.SGD(head.parameters(), lr=0.1)]\n"
        "for step in range(6):\n    loss = F.mse_loss(head(rnn(x)[1][-1]), y)\n    for opt in opts:\n"
        "        opt.zero_grad()\n    loss.backward()\n    for opt in opts:\n        opt.step()"
    ),
    "a frozen part": (
        "rnn, head = nn.GRU(3, 4, batch_first=True).requires_grad_(False), nn.Linear(4, 1)\n"
        "opt = torch.optim.Adam(head.parameters())\nfor step in range(6):\n"
        "    loss = F.mse_loss(head(rnn(x)[1][-1]), y)\n    opt.zero_grad()\n    loss.backward()\n"
        "    opt.step()"
    ),
    "a scheduler and clipping": (
        "rnn = nn.GRU(3, 1, batch_first=True)\nopt = torch.optim.Adam(rnn.parameters())\n"
        "plan = torch.optim.lr_scheduler.StepLR(opt, 2)\nfor step in range(6):\n    opt.zero_grad()\n"
        "    F.mse_loss(rnn(x)[1][-1], y).backward()\n    nn.utils.clip_grad_norm_(rnn.parameters(), 1.0)\n"
        "    opt.step()\n    plan.step()"
    ),
    "attention over outputs": (
        "rnn = nn.GRU(3, 4, batch_first=True)\nattend = nn.MultiheadAttention(4, 2, batch_first=True)\n"
        "out, h = rnn(x)\nmixed, _ = attend(h[-1].unsqueeze(1), out, out)\nnn.Linear(4, 1)(mixed.squeeze(1))"
    ),
    "convolution before": (
        "conv, rnn = nn.Conv1d(3, 8, 3, padding=1), nn.GRU(8, 4, batch_first=True)\n"
        "rnn(conv(x.transpose(1, 2)).transpose(1, 2))[0][:, -1]"
    ),
    "a GRU of two layers": (
        "out, h = nn.GRU(3, 4, num_layers=2, batch_first=True)(x)\nout, (h, c) = nn.LSTM(3, 4)(x)\n"
        "first, second = h_n if (h_n := nn.GRU(3, 4, num_layers=2)(x)[1]) is not None else (None, None)"
    ),
    "autocast": (
        "rnn, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)\n"
        "with torch.autocast('cpu', dtype=torch.bfloat16):\n    loss = F.mse_loss(head(rnn(x)[0][:, -1]), y)\n"
        "loss.backward()"
    ),
    "two networks against each other": (
        "one, two = nn.GRU(3, 1, batch_first=True), nn.GRU(1, 1, batch_first=True)\n"
        "opts = [torch.optim.Adam(one.parameters()), torch.optim.Adam(two.parameters())]\n"
        "for step in range(8):\n    fake = one(x)[0]\n    opts[1].zero_grad()\n"
        "    (two(fake.detach())[0].mean() - two(x[:, :, :1])[0].mean()).backward()\n    opts[1].step()\n"
        "    opts[0].zero_grad()\n    two(fake)[0].mean().neg().backward()\n    opts[0].step()"
    ),
    "compiled": (
        "rnn, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)\nhead(rnn(x)[0][:, -1])\n"
        "@torch.jit.script\ndef scaled(a, b):\n"
        "    return torch.softmax(torch.relu(a).reshape(-1, 3), 1) + F.mse_loss(a, b)\n"
        "scaled(x, x)\nhead(rnn(x)[0][:, -1])\n"
        "@torch.compile(backend='eager', fullgraph=True)\ndef mixed(a):\n"
        "    return torch.cat((a, a)).transpose(0, 1)[1:]\n"
        "mixed(x)"
    ),
    "pickled with a function": (
        "import io\nnet = Net(nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1), torch.relu)\n"
        "net.rest = F.relu, torch.sigmoid\ntorch.save(net, io.BytesIO())"
    ),
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_a_right_program_is_left_alone(text, tmp_path):
    left_alone(text, tmp_path)
