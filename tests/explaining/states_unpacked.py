"""What layers return, taken apart wrongly or not at all: programs, their codes, and what has to be said."""

MISTAKES = {
    "gru3 direct": (
        "SO321",
        ["two tensors", "3 names", "no cell state", "out, h = gru(x)"],
        """
gru = layers.GRU(5, return_state=True)
out, h, c = gru(x)
""",
    ),
    "rnn3 subclass": (
        "SO321",
        ["SimpleRNN", "out, h = self.rnn(inputs)"],
        """
class Encoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.rnn = layers.SimpleRNN(5, return_state=True)
        self.head = layers.Dense(1)
    def call(self, inputs):
        out, h, c = self.rnn(inputs)
        return self.head(h)
model = Encoder()
model.compile("adam", "mse")
model.fit(x, y, verbose=0)
""",
    ),
    "bidir lstm 3": (
        "SO321",
        ["five tensors", "backward cell state c", "out, forward_h, forward_c, backward_h, backward_c ="],
        """
i = keras.Input((6, 3))
out, h, c = layers.Bidirectional(layers.LSTM(5, return_state=True))(i)
""",
    ),
    "bidir gru 2": (
        "SO321",
        ["three tensors", "out, forward_h, backward_h = bi(x)"],
        """
bi = layers.Bidirectional(layers.GRU(5, return_state=True))
out, state = bi(x)
""",
    ),
    "torch habit": (
        "SO321",
        ["as in PyTorch", "out, h, c = lstm(x)"],
        """
lstm = layers.LSTM(5, return_state=True)
out, (h, c) = lstm(x)
""",
    ),
    "later unpack symbolic": (
        "SO321",
        ["three tensors", "= result"],
        """
i = keras.Input((6, 3))
result = layers.LSTM(5, return_state=True)(i)
out, h = result
""",
    ),
    "model encoder unpack": (
        "SO321",
        ["2 arrays", "h, c = encoder(x)"],
        """
i = keras.Input((6, 3))
out, h, c = layers.LSTM(5, return_state=True)(i)
encoder = keras.Model(i, [h, c])
out, h, c = encoder(x)
""",
    ),
    "model predict unpack": (
        "SO321",
        ["3 arrays", "output, h, c = encoder.predict"],
        """
i = keras.Input((6, 3))
out, h, c = layers.LSTM(5, return_state=True)(i)
encoder = keras.Model(i, [out, h, c])
h, c = encoder.predict(x, verbose=0)
""",
    ),
    "cell 3 names": (
        "SO321",
        ["two values"],
        """
cell = layers.LSTMCell(5)
out, h, c = cell(x[:, 0], cell.get_initial_state(batch_size=4))
""",
    ),
    "stack unpack flat": (
        "SO321",
        ["three values"],
        """
rnn = layers.RNN([layers.LSTMCell(5), layers.LSTMCell(4)], return_state=True)
out, h1, c1, h2, c2 = rnn(x)
""",
    ),
    "no state functional": (
        "SO322",
        ["return_state=True", "layers.LSTM(5, return_sequences=True, return_state=True)"],
        """
i = keras.Input((6, 3))
out, h, c = layers.LSTM(5, return_sequences=True)(i)
""",
    ),
    "no state eager 4 rows": (
        "SO322",
        ["one tensor", "along its first axis, the batch"],
        """
lstm = layers.LSTM(5)
out, h, c = lstm(x)
""",
    ),
    "no state eager 3 rows silent": (
        "SO322",
        ["(batch 3, units 5)", "each name gets one row"],
        """
lstm = layers.LSTM(5)
out, h, c = lstm(x[:3])
print(h.shape)
""",
    ),
    "no state gru 2 rows seq silent": (
        "SO322",
        ["(batch 2, time 6, units 5)"],
        """
gru = layers.GRU(5, return_sequences=True)
out, h = gru(x[:2])
print(h.shape)
""",
    ),
    "no state subclass tf.function": (
        "SO322",
        ["self.encoder(inputs)", "return_state=True"],
        """
class Encoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = layers.LSTM(5)
        self.head = layers.Dense(1)
    def call(self, inputs):
        out, h, c = self.encoder(inputs)
        return self.head(h)
model = Encoder()
model.compile("adam", "mse")
model.fit(x, y, verbose=0)
""",
    ),
    "later unpack one tensor": (
        "SO322",
        ["one tensor"],
        """
lstm = layers.LSTM(5)
result = lstm(x)
out, h, c = result
""",
    ),
    "index": (
        "SO322",
        ["[1] takes a row of it"],
        """
i = keras.Input((6, 3))
h = layers.LSTM(5)(i)[1]
m = keras.Model(i, layers.Dense(1)(h))
print(m.predict(x, verbose=0).shape)
""",
    ),
    "list into dense": (
        "SO332",
        ["3 tensors", "output, h, c = layers.LSTM(5, return_state=True)(i)", "layers.LSTM(5)"],
        """
i = keras.Input((6, 3))
z = layers.LSTM(5, return_state=True)(i)
o = layers.Dense(1)(z)
""",
    ),
    "list into dense seq": (
        "SO332",
        ["Dense", "layers.LSTM(5)"],
        """
model = keras.Sequential([keras.Input((6, 3)), layers.LSTM(5, return_state=True), layers.Dense(1)])
model.compile('adam', 'mse')
model.fit(x, y, verbose=0)
""",
    ),
    "list into gru": (
        "SO332",
        ["2 tensors"],
        """
i = keras.Input((6, 3))
z = layers.GRU(5, return_sequences=True, return_state=True)(i)
o = layers.GRU(1)(z)
""",
    ),
    "list into dropout": (
        "SO332",
        ["3 tensors", "Dense"],
        """
i = keras.Input((6, 3))
z = layers.LSTM(5, return_state=True)(i)
o = layers.Dense(1)(layers.Dropout(0.1)(z))
""",
    ),
    "list into subclass": (
        "SO332",
        ["2 tensors", "return_state=True"],
        """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.rnn = layers.GRU(5, return_state=True)
        self.head = layers.Dense(1)
    def call(self, inputs):
        return self.head(self.rnn(inputs))
model = Net()
model.compile("adam", "mse")
model.fit(x, y, verbose=0)
""",
    ),
    "list as output functional": (
        "SO332",
        ["targets for one output", "3 tensors"],
        """
i = keras.Input((6, 3))
model = keras.Model(i, layers.LSTM(1, return_state=True)(i))
model.compile('adam', 'mse')
model.fit(x, y, verbose=0)
""",
    ),
    "list slice": (
        "SO332",
        ["z[:, -1, :]"],
        """
lstm = layers.LSTM(5, return_state=True, return_sequences=True)
z = lstm(x)
last = z[:, -1, :]
""",
    ),
    "attention list": (
        "SO332",
        ["Attention"],
        """
i = keras.Input((6, 3))
z = layers.LSTM(5, return_state=True, return_sequences=True)(i)
a = layers.Attention()([z, z])
""",
    ),
}
