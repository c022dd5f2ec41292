"""Layers started from states that do not fit: programs, their codes, and what has to be said."""

MISTAKES = {
    "gru units": (
        "SO324",
        ["7 units", "5 wide", "layers.GRU(5)"],
        """
_, h = layers.GRU(5, return_state=True)(x)
o = layers.GRU(7)(x, initial_state=h)
""",
    ),
    "rnn units functional": (
        "SO324",
        ["layers.SimpleRNN(7)(i", "5 wide", "Dense(7)"],
        """
i = keras.Input((6, 3))
_, h = layers.SimpleRNN(5, return_state=True)(i)
o = layers.SimpleRNN(7)(i, initial_state=[h])
m = keras.Model(i, o)
m.predict(x, verbose=0)
""",
    ),
    "bidir concat units": (
        "SO324",
        ["two directions", "twice", "layers.LSTM(10)"],
        """
i = keras.Input((6, 3))
_, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(5, return_state=True))(i)
h = layers.Concatenate()([fh, bh]); c = layers.Concatenate()([fc, bc])
o = layers.LSTM(5)(i, initial_state=[h, c])
m = keras.Model(i, o)
m.predict(x, verbose=0)
""",
    ),
    "plain to bidir units": (
        "SO324",
        ["5 units", "10 wide"],
        """
i = keras.Input((6, 3))
_, h, c = layers.LSTM(10, return_state=True)(i)
o = layers.Bidirectional(layers.LSTM(5))(i, initial_state=[h, c, h, c])
m = keras.Model(i, o)
m.predict(x, verbose=0)
""",
    ),
    "attention encoder units in decoder loop": (
        "SO324",
        ["24 units", "16 wide", "self.gru(token, initial_state=hidden)"],
        """
class Decoder(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.gru = layers.GRU(units, return_sequences=True, return_state=True)
        self.fc = layers.Dense(7)
    def call(self, token, hidden):
        out, state = self.gru(token, initial_state=hidden)
        return self.fc(out), state
encoder = layers.GRU(16, return_state=True)
decoder = Decoder(24)
_, hidden = encoder(x)
for t in range(6):
    pred, hidden = decoder(x[:, t:t + 1], hidden)
""",
    ),
    "pad state int float": (
        "SO324",
        ["self.decoder(target, initial_state=[state_h, state_c])", "8 units", "5 wide"],
        """
class Seq(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = layers.LSTM(5, return_state=True)
        self.decoder = layers.LSTM(8, return_sequences=True)
        self.head = layers.Dense(1)
    def call(self, inputs):
        source, target = inputs
        _, state_h, state_c = self.encoder(source)
        return self.head(self.decoder(target, initial_state=[state_h, state_c]))
m = Seq()
m.compile("adam", "mse")
m.fit([x, x[:, :4]], x[:, :4, :1], verbose=0)
""",
    ),
    "image features as state": (
        "SO324",
        ["7 wide", "5 units"],
        """
i, feats = keras.Input((6, 3)), keras.Input((16,))
f = layers.Dense(7, activation="relu")(feats)
o = layers.LSTM(5)(i, initial_state=[f, f])
m = keras.Model([i, feats], layers.Dense(1)(o))
m.compile("adam", "mse")
m.fit([x, np.zeros((4, 16))], y, verbose=0)
""",
    ),
    "state transposed": (
        "SO324",
        ["axes of the state are swapped"],
        """
h0 = np.zeros((5, 4), 'float32')
o = layers.GRU(5)(x, initial_state=h0)
""",
    ),
    "bidir to plain 4 states": (
        "SO325",
        ["both directions", "Concatenate", "10 units"],
        """
i = keras.Input((6, 3))
_, *states = layers.Bidirectional(layers.LSTM(5, return_state=True))(i)
o = layers.LSTM(5)(i, initial_state=states)
m = keras.Model(i, o)
m.predict(x, verbose=0)
""",
    ),
    "plain to bidir 2 states": (
        "SO325",
        ["[h, c, h, c]"],
        """
i = keras.Input((6, 3))
_, h, c = layers.LSTM(5, return_state=True)(i)
o = layers.Bidirectional(layers.LSTM(5))(i, initial_state=[h, c])
m = keras.Model(i, o)
m.predict(x, verbose=0)
""",
    ),
    "gru state to lstm": (
        "SO325",
        ["has only a hidden state"],
        """
_, h = layers.GRU(5, return_state=True)(x)
o = layers.LSTM(5)(x, initial_state=h)
""",
    ),
    "lstm states to gru functional": (
        "SO325",
        ["no cell state", "initial_state=[h]"],
        """
i = keras.Input((6, 3))
_, h, c = layers.LSTM(5, return_state=True)(i)
o = layers.GRU(5)(i, initial_state=[h, c])
m = keras.Model(i, o)
m.predict(x, verbose=0)
""",
    ),
    "all three functional": (
        "SO325",
        ["leave it out"],
        """
i = keras.Input((6, 3))
z = layers.LSTM(5, return_state=True)(i)
o = layers.LSTM(5)(i, initial_state=z)
m = keras.Model(i, o)
m.predict(x, verbose=0)
""",
    ),
    "nested list": (
        "SO325",
        ["list within a list"],
        """
enc = layers.LSTM(5, return_state=True)
_, *s = enc(x)
o = layers.LSTM(5)(x, initial_state=[s])
""",
    ),
    "stack given flat": (
        "SO325",
        ["[[h_1, c_1], [h_2, c_2]]"],
        """
rnn = layers.RNN([layers.LSTMCell(5), layers.LSTMCell(4)], return_state=True)
out, s1, s2 = rnn(x)
out, s1, s2 = rnn(x, initial_state=[*s1, *s2])
""",
    ),
    "rows last batch": (
        "SO326",
        ["2 rows", "for 4", "state[:2]"],
        """
rnn = layers.GRU(5, return_state=True)
state = None
big = rng.random((10, 6, 3)).astype("float32")
for i in range(0, 10, 4):
    out, state = rnn(big[i:i + 4], initial_state=state)
""",
    ),
    "rows one broadcast lstm": (
        "SO326",
        ["one row", "repeat"],
        """
lstm = layers.LSTM(5)
o = lstm(x, initial_state=[np.zeros((1, 5), 'float32')] * 2)
print(o.shape)
""",
    ),
    "rows subclass fixed zeros": (
        "SO326",
        ["2 rows"],
        """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.rnn = layers.LSTM(5)
        self.head = layers.Dense(1)
    def call(self, inputs):
        h0 = ops.zeros((4, 5))
        return self.head(self.rnn(inputs, initial_state=[h0, h0]))
model = Net()
model.compile("adam", "mse")
big = rng.random((10, 6, 3)).astype("float32")
model.fit(big, big[:, 0, :1], batch_size=4, verbose=0)
""",
    ),
    "functional with constant state": (
        "SO326",
        ["2 rows", "for 4"],
        """
i = keras.Input((6, 3))
zero = np.zeros((4, 5), "float32")
o = layers.GRU(5)(i, initial_state=zero)
m = keras.Model(i, layers.Dense(1)(o))
m.predict(rng.random((10, 6, 3)), batch_size=4, verbose=0)
""",
    ),
    "dataset last batch state": (
        "SO326",
        ["state = [one[:2] for one in state]"],
        """
lstm = layers.LSTM(5, return_sequences=True, return_state=True)
data = rng.random((10, 6, 3)).astype("float32")
state = [ops.zeros((4, 5)), ops.zeros((4, 5))]
for start in range(0, 10, 4):
    batch = data[start:start + 4]
    out, *state = lstm(batch, initial_state=state)
""",
    ),
    "output as state gru": (
        "SO327",
        ["time axis", "return_state=True"],
        """
i = keras.Input((6, 3))
z = layers.GRU(5, return_sequences=True)(i)
o = layers.GRU(5)(i, initial_state=z)
m = keras.Model(i, o)
m.predict(x, verbose=0)
""",
    ),
    "state time axis first": (
        "SO327",
        ["PyTorch", "h0[0]"],
        """
h0 = np.zeros((1, 4, 5), 'float32')
o = layers.GRU(5)(x, initial_state=h0)
""",
    ),
    "one tensor stacked": (
        "SO327",
        ["[state[0], state[1]]"],
        """
state = np.zeros((2, 4, 5), 'float32')
o = layers.LSTM(5)(x, initial_state=state)
""",
    ),
    "state vector": (
        "SO327",
        ["(batch 4, units 5)"],
        """
h0 = np.zeros(5, 'float32')
o = layers.GRU(5)(x, initial_state=h0)
print(o.shape)
""",
    ),
    "negative pad np": (
        "SO328",
        ["-2", "h[:rows]"],
        """
def fit_state(h, rows):
    return np.concatenate([h, np.zeros((rows - len(h), h.shape[1]), "float32")])
gru = layers.GRU(5, return_state=True)
_, state = gru(x)
state = fit_state(ops.convert_to_numpy(state), 2)
""",
    ),
    "negative pad ops": (
        "SO328",
        ["-3 rows", "hidden[:small.shape[0]]"],
        """
gru = layers.GRU(5, return_state=True)
_, hidden = gru(x)
small = x[:1]
hidden = ops.concatenate([hidden, ops.zeros((small.shape[0] - hidden.shape[0], 5))], axis=0)
""",
    ),
    "graph forgot decoder input": (
        "SO331",
        ["b (None, 4, 3)", "keras.Model([a, b], o)"],
        """
a, b = keras.Input((6, 3)), keras.Input((4, 3))
_, h, c = layers.LSTM(5, return_state=True)(a)
o = layers.LSTM(5, return_sequences=True)(b, initial_state=[h, c])
m = keras.Model(a, o)
""",
    ),
    "graph inference decoder": (
        "SO331",
        ["a (None, 6, 3)", "compute the outputs anew from sh, sc"],
        """
a, b = keras.Input((6, 3)), keras.Input((4, 3))
_, h, c = layers.LSTM(5, return_state=True)(a)
dec = layers.LSTM(5, return_sequences=True, return_state=True)
o, h2, c2 = dec(b, initial_state=[h, c])
sh, sc = keras.Input((5,)), keras.Input((5,))
m = keras.Model([b] + [sh, sc], [o, h2, c2])
""",
    ),
    "graph second input": (
        "SO331",
        ["another Input"],
        """
a = keras.Input((6, 3))
o = layers.GRU(5)(a)
a = keras.Input((6, 3))
m = keras.Model(a, layers.Dense(1)(o))
""",
    ),
}
