"""Right programs that hand states on, and look like mistakes."""

RIGHT = {
    "seq2seq functional + inference": """
a, b = keras.Input((None, 3)), keras.Input((None, 3))
_, h, c = layers.LSTM(5, return_state=True)(a)
dec = layers.LSTM(5, return_sequences=True, return_state=True)
out, _, _ = dec(b, initial_state=[h, c])
head = layers.Dense(3)
m = keras.Model([a, b], head(out))
m.compile("adam", "mse")
m.fit([x, x[:, :4]], x[:, 1:5], verbose=0)
encoder = keras.Model(a, [h, c])
sh, sc = keras.Input((5,)), keras.Input((5,))
out, h2, c2 = dec(b, initial_state=[sh, sc])
decoder = keras.Model([b] + [sh, sc], [head(out)] + [h2, c2])
states_value = encoder.predict(x[:1], verbose=0)
token = np.zeros((1, 1, 3), "float32")
outs = []
while len(outs) < 4:
    token, h, c = decoder.predict([token] + states_value, verbose=0)
    outs.append(token)
    states_value = [h, c]
""",
    "bidirectional encoder": """
a, b = keras.Input((6, 3)), keras.Input((4, 3))
enc_out, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(5, return_state=True, return_sequences=True))(a)
h, c = layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])
out = layers.LSTM(10, return_sequences=True)(b, initial_state=[h, c])
att = layers.Attention()([out, enc_out])
m = keras.Model([a, b], layers.Dense(3)(layers.Concatenate()([out, att])))
m.compile("adam", "mse")
m.fit([x, x[:, :4]], x[:, 1:5], verbose=0)
""",
    "attention encoder states unused output used": """
a, b = keras.Input((6, 3)), keras.Input((4, 3))
enc_out, h, c = layers.LSTM(5, return_sequences=True, return_state=True)(a)
out = layers.LSTM(5, return_sequences=True)(b)
m = keras.Model([a, b], layers.Dense(3)(layers.Attention()([out, enc_out])))
m.compile("adam", "mse")
m.fit([x, x[:, :4]], x[:, 1:5], verbose=0)
""",
    "beam search": """
enc = layers.LSTM(5, return_state=True)
dec = layers.LSTM(5, return_state=True)
head = layers.Dense(3)
_, h, c = enc(x[:1])
beams = [(0.0, [x[:1, :1]], h, c)]
for step in range(3):
    candidates = []
    for score, tokens, h, c in beams:
        out, new_h, new_c = dec(tokens[-1], initial_state=[h, c])
        for k in range(3):
            candidates.append((score + k, tokens + [head(out)[:, None] + k], new_h, new_c))
    beams = sorted(candidates, key=lambda one: one[0])[-2:]
""",
    "scoring candidates": """
enc = layers.GRU(5, return_state=True)
dec = layers.GRU(5, return_state=True)
_, state = enc(x[:1])
scores = []
for candidate in np.split(x[:, :1], 4):
    out, _ = dec(candidate, initial_state=state)
    scores.append(float(ops.sum(out)))
""",
    "tbptt": """
lstm = layers.LSTM(5, return_state=True)
h = c = ops.zeros((4, 5))
for i in range(0, 6, 2):
    out, h, c = lstm(x[:, i:i + 2], initial_state=[h, c])
""",
    "sequences reset inside": """
gru = layers.GRU(5, return_state=True)
sequences = [rng.random((1, n, 3)).astype("float32") for n in (4, 5, 3)]
for sequence in sequences:
    state = None
    for t in range(sequence.shape[1]):
        out, state = gru(sequence[:, t:t + 1], initial_state=state)
""",
    "chunks of one long": """
gru = layers.GRU(5, return_state=True)
state = ops.zeros((1, 5))
for chunk in [rng.random((1, n, 3)).astype("float32") for n in (4, 5, 3)]:
    for t in range(chunk.shape[1]):
        out, state = gru(chunk[:, t:t + 1], initial_state=state)
""",
    "cells": """
cell = layers.LSTMCell(5)
states = cell.get_initial_state(batch_size=4)
outs = []
for t in range(6):
    out, states = cell(x[:, t], states)
    outs.append(out)
h, (h2, c) = cell(x[:, 0], states)
h, (h2, c) = cell(x[:, 1], (h2, c))
""",
    "stacked": """
rnn = layers.RNN([layers.LSTMCell(5), layers.GRUCell(4)], return_state=True)
out, s1, s2 = rnn(x)
out, *states = rnn(x, initial_state=[s1, s2])
out = rnn(x, initial_state=states)
""",
    "gru encoder lstm decoder": """
_, h = layers.GRU(5, return_state=True)(x)
o = layers.LSTM(5)(x, initial_state=[h, ops.zeros_like(h)])
o = layers.LSTM(5)(x, initial_state=[h, h])
""",
    "two rows iterated": """
lstm = layers.LSTM(5)
for row in lstm(x[:2]):
    print(row.shape)
first = lstm(x)[0]
""",
    "bidir to bidir": """
out, *states = layers.Bidirectional(layers.GRU(5, return_state=True))(x)
o = layers.Bidirectional(layers.GRU(5))(x, initial_state=states)
out, *states = layers.Bidirectional(layers.LSTM(5, return_state=True))(x)
o = layers.Bidirectional(layers.LSTM(5))(x, initial_state=states)
""",
    "shared embedding": """
a, b = keras.Input((6,)), keras.Input((4,))
emb = layers.Embedding(12, 4)
_, h = layers.GRU(5, return_state=True)(emb(a))
o = layers.GRU(5, return_sequences=True)(emb(b), initial_state=h)
m = keras.Model([a, b], layers.Dense(12, activation="softmax")(o))
m.compile("adam", "sparse_categorical_crossentropy")
ids = rng.integers(1, 10, (4, 6))
m.fit([ids, ids[:, :4]], ids[:, 1:5], verbose=0)
""",
    "siamese shared encoder": """
a, b = keras.Input((6, 3)), keras.Input((6, 3))
enc = layers.LSTM(5, return_state=True)
_, ha, _ = enc(a)
_, hb, _ = enc(b)
m = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([ha, hb])))
m.compile("adam", "mse")
m.fit([x, x], y, verbose=0)
""",
    "return_state ignored classifier": """
i = keras.Input((6, 3))
out, _, _ = layers.LSTM(5, return_state=True)(i)
m = keras.Model(i, layers.Dense(1)(out))
m.compile("adam", "mse")
m.fit(x, y, verbose=0)
""",
    "model window forecasting": """
m = keras.Sequential([keras.Input((None, 3)), layers.LSTM(5), layers.Dense(3)])
m.compile("adam", "mse")
m.fit(x, x[:, 0], verbose=0)
window = x[:1]
for t in range(4):
    value = m.predict(window, verbose=0)
    window = np.concatenate([window[:, 1:], value[:, None]], axis=1)
""",
    "stateful stepping": """
lstm = layers.LSTM(5, stateful=True)
outs = [lstm(x[:, t:t + 1]) for t in range(6)]
""",
    "independent one step inputs": """
gru = layers.GRU(5)
for row in x:
    out = gru(row[None, :1])
""",
    "mask by name": """
mask = np.ones((4, 6), bool)
o = layers.LSTM(5)(x, mask=mask)
o = layers.LSTM(5)(x, None, mask)
_, h, c = layers.LSTM(5, return_state=True)(x)
o = layers.LSTM(5)(x, [h, c], mask)
o = layers.LSTM(5)(x, initial_state=(h, c))
o = layers.LSTM(5)(x, initial_state=[ops.convert_to_numpy(h), ops.convert_to_numpy(c)])
""",
    "subclass seq2seq": """
class Seq(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = layers.LSTM(5, return_state=True)
        self.decoder = layers.LSTM(5, return_sequences=True)
        self.head = layers.Dense(1)
    def call(self, inputs):
        source, target = inputs
        _, state_h, state_c = self.encoder(source)
        return self.head(self.decoder(target, initial_state=[state_h, state_c]))
m = Seq()
m.compile("adam", "mse")
m.fit([x, x[:, :4]], x[:, :4, :1], verbose=0)
""",
    "subclass stacked, states unused but output used": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.one = layers.GRU(5, return_state=True, return_sequences=True)
        self.two = layers.GRU(5)
        self.head = layers.Dense(1)
    def call(self, inputs):
        out, state = self.one(inputs)
        return self.head(self.two(out))
m = Net()
m.compile("adam", "mse")
m.fit(x, y, verbose=0)
""",
    "own cell": """
class Cell(keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.units = self.state_size = units
        self.dense = layers.Dense(units)
    def call(self, inputs, states):
        h = ops.tanh(self.dense(ops.concatenate([inputs, states[0]], -1)))
        return h, [h]
out, state = layers.RNN(Cell(4), return_state=True)(x)
""",
    "two models one input": """
i = keras.Input((6, 3))
one = keras.Model(i, layers.Dense(1)(layers.LSTM(5)(i)))
_, h, c = layers.LSTM(5, return_state=True)(i)
two = keras.Model(i, [h, c])
one.compile("adam", "mse")
one.fit(x, y, verbose=0)
print(two.predict(x, verbose=0)[0].shape)
""",
    "decoder class carried": """
class Decoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.gru = layers.GRU(5, return_sequences=True, return_state=True)
        self.fc = layers.Dense(3)
    def call(self, token, hidden):
        out, state = self.gru(token, initial_state=hidden)
        return self.fc(out), state
decoder = Decoder()
_, hidden = layers.GRU(5, return_state=True)(x)
token = ops.zeros((4, 1, 3))
for t in range(4):
    token, hidden = decoder(token, hidden)
""",
    "repeat for all rows": """
_, h, c = layers.LSTM(5, return_state=True)(x[:1])
o = layers.LSTM(5)(x, initial_state=[ops.repeat(h, 4, axis=0), ops.repeat(c, 4, axis=0)])
""",
    "functional states as inputs outputs": """
i, h, c = keras.Input((None, 3)), keras.Input((5,)), keras.Input((5,))
out, h2, c2 = layers.LSTM(5, return_state=True)(i, initial_state=[h, c])
m = keras.Model([i, h, c], [out, h2, c2])
hh = cc = np.zeros((4, 5), "float32")
for t in range(6):
    out, hh, cc = m.predict([x[:, t:t + 1], hh, cc], verbose=0)
""",
}
