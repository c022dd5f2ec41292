"""States in the place of others, and in calls that do not take them: programs, their codes, and what has to be said."""

MISTAKES = {
    "functional c h": (
        "SO323",
        ["c gets the hidden state h", "_, h, c = layers.LSTM"],
        """
i, d = keras.Input((6, 3)), keras.Input((4, 3))
_, c, h = layers.LSTM(5, return_state=True)(i)
o = layers.LSTM(5, return_sequences=True)(d, initial_state=[h, c])
model = keras.Model([i, d], layers.Dense(1)(o))
print(model.predict([x, x[:, :4]], verbose=0).shape)
""",
    ),
    "subclass c h": (
        "SO323",
        ["state_c gets the hidden state h", "_, state_h, state_c = self.encoder(inputs)"],
        """
class Seq(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = layers.LSTM(5, return_state=True)
        self.decoder = layers.LSTM(5)
        self.head = layers.Dense(1)
    def call(self, inputs):
        _, state_c, state_h = self.encoder(inputs)
        return self.head(self.decoder(inputs, initial_state=[state_h, state_c]))
model = Seq()
model.compile("adam", "mse")
model.fit(x, y, verbose=0)
""",
    ),
    "c,h explicit": (
        "SO323",
        ["initial_state=[h, c]", "other way round"],
        """
lstm = layers.LSTM(5, return_state=True)
out, h, c = lstm(x)
out2, h2, c2 = lstm(x, initial_state=[c, h])
""",
    ),
    "cell swapped": (
        "SO323",
        ["out, (h, c) = cell"],
        """
cell = layers.LSTMCell(5)
h, c = ops.zeros((4, 5)), ops.zeros((4, 5))
for t in range(6):
    out, (c, h) = cell(x[:, t], (h, c))
print(out.shape)
""",
    ),
    "cell swapped positional": (
        "SO323",
        ["state[::-1]"],
        """
cell = layers.LSTMCell(5)
state = [ops.zeros((4, 5)), ops.zeros((4, 5))]
for t in range(6):
    out, state = cell(x[:, t], state[::-1])
print(out.shape)
""",
    ),
    "RNN cell swapped": (
        "SO323",
        ["out, h, c = rnn(x)"],
        """
rnn = layers.RNN(layers.LSTMCell(5), return_state=True)
out, c, h = rnn(x)
again = rnn(x, initial_state=[h, c])
""",
    ),
    "bidir halves": (
        "SO323",
        ["backward states first", "initial_state=[fh, fc, bh, bc]"],
        """
i, d = keras.Input((6, 3)), keras.Input((4, 3))
_, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(5, return_state=True))(i)
o = layers.Bidirectional(layers.LSTM(5))(d, initial_state=[bh, bc, fh, fc])
""",
    ),
    "bidir concat c h": (
        "SO323",
        ["hidden state and cell state swapped"],
        """
i, d = keras.Input((6, 3)), keras.Input((4, 3))
_, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(5, return_state=True))(i)
h = layers.Concatenate()([fh, bh]); c = layers.Concatenate()([fc, bc])
o = layers.LSTM(10)(d, initial_state=[c, h])
m = keras.Model([i, d], o)
print(m.predict([x, x[:, :4]], verbose=0).shape)
""",
    ),
    "bidir first two": (
        "SO323",
        ["forward hidden state h and forward cell state c", "Concatenate()([forward_h, backward_h])"],
        """
i, d = keras.Input((6, 3)), keras.Input((4, 3))
_, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(5, return_state=True))(i)
h = layers.Concatenate()([fh, fc]); c = layers.Concatenate()([bh, bc])
o = layers.LSTM(10)(d, initial_state=[h, c])
m = keras.Model([i, d], o)
print(m.predict([x, x[:, :4]], verbose=0).shape)
""",
    ),
    "output h": (
        "SO323",
        ["moved by one", "its hidden state h in the place of c"],
        """
enc = layers.LSTM(5, return_state=True)
states = enc(x)[:2]
out = layers.LSTM(5)(x, initial_state=states)
""",
    ),
    "h h": (
        "SO323",
        ["twice", "on purpose"],
        """
enc = layers.LSTM(5, return_state=True)
_, h, c = enc(x)
out = layers.LSTM(5)(x, initial_state=[h, h])
""",
    ),
    "predict swapped": (
        "SO323",
        ["h, c = encoder.predict"],
        """
i, d = keras.Input((6, 3)), keras.Input((1, 3))
_, h, c = layers.LSTM(5, return_state=True)(i)
encoder = keras.Model(i, [h, c])
sh, sc = keras.Input((5,)), keras.Input((5,))
out, h2, c2 = layers.LSTM(5, return_state=True)(d, initial_state=[sh, sc])
decoder = keras.Model([d, sh, sc], [layers.Dense(3)(out), h2, c2])
c, h = encoder.predict(x[:1], verbose=0)
token = np.zeros((1, 1, 3), "float32")
for step in range(3):
    token, h, c = decoder.predict([token, h, c], verbose=0)
    token = token[:, None]
""",
    ),
    "predict swapped in loop": (
        "SO323",
        ["states = [h, c]"],
        """
i, d = keras.Input((6, 3)), keras.Input((1, 3))
_, h, c = layers.LSTM(5, return_state=True)(i)
encoder = keras.Model(i, [h, c])
sh, sc = keras.Input((5,)), keras.Input((5,))
out, h2, c2 = layers.LSTM(5, return_state=True)(d, initial_state=[sh, sc])
decoder = keras.Model([d] + [sh, sc], [layers.Dense(3)(out)] + [h2, c2])
states = encoder.predict(x[:1], verbose=0)
token = np.zeros((1, 1, 3), "float32")
for step in range(3):
    token, h, c = decoder.predict([token] + states, verbose=0)
    states = [c, h]
    token = token[:, None]
""",
    ),
    "mask positional": (
        "SO333",
        ["mask=mask"],
        """
mask = np.ones((4, 6), bool)
o = layers.LSTM(5)(x, mask)
""",
    ),
    "mask positional gru silent": (
        "SO333",
        ["(batch 4, time 6)", "nothing is masked"],
        """
mask = np.ones((4, 6), bool)
o = layers.GRU(6)(x, mask)
print(o.shape)
""",
    ),
    "state as mask": (
        "SO333",
        ["initial_state=[h, c]"],
        """
_, h, c = layers.LSTM(5, return_state=True)(x)
o = layers.LSTM(5)(x, None, [h, c])
print(o.shape)
""",
    ),
    "states positional separately": (
        "SO333",
        ["layers.LSTM(5)(x, initial_state=[h, c])"],
        """
_, h, c = layers.LSTM(5, return_state=True)(x)
o = layers.LSTM(5)(x, h, c)
print(o.shape)
""",
    ),
    "list input": (
        "SO333",
        ["Keras 2", "initial_state=[h, c]"],
        """
i = keras.Input((6, 3))
_, h, c = layers.LSTM(5, return_state=True)(i)
o = layers.LSTM(5)([i, h, c])
""",
    ),
    "ctor": (
        "SO333",
        ["layers.LSTM(5)(x, initial_state=[h, c])"],
        """
_, h, c = layers.LSTM(5, return_state=True)(x)
lstm = layers.LSTM(5, initial_state=[h, c])
""",
    ),
    "sequential call": (
        "SO333",
        ["is ignored", "starts at zero"],
        """
_, h, c = layers.LSTM(5, return_state=True)(x)
m = keras.Sequential([layers.LSTM(5)])
o = m(x, initial_state=[h, c])
""",
    ),
    "fit initial_state": (
        "SO333",
        ["states as inputs of the model"],
        """
m = keras.Sequential([layers.LSTM(5)])
m.compile('adam', 'mse')
m.predict(x, initial_state=np.zeros((4, 5)))
""",
    ),
    "return_state in call": (
        "SO333",
        ["option of the layer"],
        """
lstm = layers.LSTM(5)
out, h, c = lstm(x, return_state=True)
""",
    ),
    "cell no states": (
        "SO334",
        ["without states", "get_initial_state(batch_size=4)"],
        """
cell = layers.LSTMCell(5)
out, s = cell(x[:, 0])
""",
    ),
    "cell one tensor": (
        "SO334",
        ["first two rows"],
        """
cell = layers.LSTMCell(5)
h = ops.zeros((4, 5))
out, s = cell(x[:, 0], h)
""",
    ),
    "cell whole result": (
        "SO334",
        ["whole result"],
        """
cell = layers.LSTMCell(5)
state = cell.get_initial_state(batch_size=4)
for t in range(6):
    state = cell(x[:, t], state)
""",
    ),
    "get_initial x": (
        "SO334",
        ["batch_size"],
        """
cell = layers.LSTMCell(5)
s = cell.get_initial_state(x)
""",
    ),
    "own cell size": (
        "SO336",
        ["state_size=8", "4 units"],
        """
class Cell(keras.layers.Layer):
    def __init__(self, units, size):
        super().__init__()
        self.units, self.state_size = units, size
        self.dense = layers.Dense(units)
    def call(self, inputs, states):
        h = self.dense(inputs) + (states[0][:, :1])
        return h, [h]
o = layers.RNN(Cell(4, 8))(x)
""",
    ),
    "own cell one": (
        "SO336",
        ["a pair"],
        """
class Cell(keras.layers.Layer):
    def __init__(self, units, size):
        super().__init__()
        self.units, self.state_size = units, size
        self.dense = layers.Dense(units)
    def call(self, inputs, states):
        h = self.dense(inputs) + (states[0][:, :1])
        return h
o = layers.RNN(Cell(4, 4))(x)
""",
    ),
    "own cell number": (
        "SO336",
        ["[4, 4]"],
        """
class Cell(keras.layers.Layer):
    def __init__(self, units, size):
        super().__init__()
        self.units, self.state_size = units, size
        self.dense = layers.Dense(units)
    def call(self, inputs, states):
        h = self.dense(inputs) + (states[0][:, :1])
        return h, [h, h]
o = layers.RNN(Cell(4, 4))(x)
""",
    ),
    "own cell none": (
        "SO336",
        ["no state_size"],
        """
class Cell(keras.layers.Layer):
    def __init__(self, units, size):
        super().__init__()
        self.units = units
        self.dense = layers.Dense(units)
    def call(self, inputs, states):
        h = self.dense(inputs) + (states[0][:, :1])
        return h, [h]
o = layers.RNN(Cell(4, 8))(x)
""",
    ),
}
