"""States that are not handed on, or too far: programs, their codes, and what has to be said."""

MISTAKES = {
    "loop same state": (
        "SO329",
        ["never carried", "out, h, c = dec(token, initial_state=[h, c])"],
        """
enc = layers.LSTM(5, return_state=True)
dec = layers.LSTM(5, return_state=True)
head = layers.Dense(3)
_, h, c = enc(x)
token = x[:, :1]
outs = []
for t in range(4):
    out, new_h, new_c = dec(token, initial_state=[h, c])
    token = head(out)[:, None]
    outs.append(token)
""",
    ),
    "loop same state gru teacher": (
        "SO329",
        ["out, state = dec("],
        """
enc = layers.GRU(5, return_state=True)
dec = layers.GRU(5, return_sequences=True, return_state=True)
_, state = enc(x)
outs = []
for t in range(6):
    out, _ = dec(x[:, t:t + 1], initial_state=state)
    outs.append(out)
""",
    ),
    "loop predict same": (
        "SO329",
        ["states = [h, c]"],
        """
i, d = keras.Input((6, 3)), keras.Input((1, 3))
_, h, c = layers.LSTM(5, return_state=True)(i)
encoder = keras.Model(i, [h, c])
sh, sc = keras.Input((5,)), keras.Input((5,))
out, h2, c2 = layers.LSTM(5, return_state=True)(d, initial_state=[sh, sc])
decoder = keras.Model([d, sh, sc], [layers.Dense(3)(out), h2, c2])
states = encoder.predict(x[:1], verbose=0)
token = np.zeros((1, 1, 3), "float32")
for step in range(4):
    token, h, c = decoder.predict([token] + states, verbose=0)
    token = token[:, None]
""",
    ),
    "loop function": (
        "SO329",
        ["out, state = decoder("],
        """
encoder = layers.GRU(5, return_state=True)
decoder = layers.GRU(5, return_state=True)
head = layers.Dense(3)
def decode(sequence):
    _, state = encoder(sequence)
    token = ops.zeros((4, 1, 3))
    words = []
    while len(words) < 5:
        out, new_state = decoder(token, initial_state=state)
        token = head(out)[:, None]
        words.append(token)
    return words
decode(x)
""",
    ),
    "loop subclass decoder": (
        "SO329",
        ["same state"],
        """
class Decoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.gru = layers.GRU(5, return_sequences=True, return_state=True)
        self.fc = layers.Dense(3)
    def call(self, token, hidden):
        out, state = self.gru(token, initial_state=hidden)
        return self.fc(out), state
encoder = layers.GRU(5, return_state=True)
decoder = Decoder()
_, hidden = encoder(x)
token = ops.zeros((4, 1, 3))
for t in range(4):
    token, state = decoder(token, hidden)
""",
    ),
    "loop cell fresh zeros": (
        "SO329",
        ["get_initial_state"],
        """
cell = layers.GRUCell(5)
outs = []
for t in range(6):
    out, _ = cell(x[:, t], cell.get_initial_state(batch_size=4))
    outs.append(out)
""",
    ),
    "unused encoder functional": (
        "SO330",
        ["never used", "gets no gradient", "initial_state=[h, c]"],
        """
a, b = keras.Input((6, 3)), keras.Input((4, 3))
_, h, c = layers.LSTM(5, return_state=True)(a)
o = layers.LSTM(5, return_sequences=True)(b)
m = keras.Model([a, b], layers.Dense(1)(o))
m.compile("adam", "mse")
m.fit([x, x[:, :4]], x[:, :4, :1], verbose=0)
""",
    ),
    "unused encoder embedding": (
        "SO330",
        ["input 'keras_tensor'", "(None, 6)", "initial_state=[h]"],
        """
a, b = keras.Input((6,)), keras.Input((4,))
emb = layers.Embedding(10, 4)
_, h = layers.GRU(5, return_state=True)(emb(a))
o = layers.GRU(5, return_sequences=True)(emb(b))
m = keras.Model([a, b], layers.Dense(10, activation="softmax")(o))
m.compile("adam", "sparse_categorical_crossentropy")
ids = rng.integers(1, 10, (4, 6))
m.fit([ids, ids[:, :4]], ids[:, 1:5], verbose=0)
""",
    ),
    "unused encoder one input": (
        "SO330",
        ["starts at zero"],
        """
a = keras.Input((6, 3))
_, h, c = layers.LSTM(5, return_state=True)(a)
o = layers.LSTM(5, return_sequences=True)(a)
m = keras.Model(a, layers.Dense(1)(o))
m.compile("adam", "mse")
m.fit(x, x[:, :, :1], verbose=0)
""",
    ),
    "unused encoder subclass": (
        "SO330",
        ["self.decoder(target, initial_state=[state_h, state_c])"],
        """
class Seq(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = layers.LSTM(5, return_state=True)
        self.decoder = layers.LSTM(5, return_sequences=True)
        self.head = layers.Dense(1)
    def call(self, inputs):
        source, target = inputs
        _, state_h, state_c = self.encoder(source)
        return self.head(self.decoder(target))
m = Seq()
m.compile("adam", "mse")
m.fit([x, x[:, :4]], x[:, :4, :1], verbose=0)
""",
    ),
    "step no state": (
        "SO335",
        ["one step at a time", "state of zero"],
        """
lstm = layers.LSTM(5)
outs = []
for t in range(6):
    outs.append(lstm(x[:, t:t + 1, :]))
print(ops.stack(outs, axis=1).shape)
""",
    ),
    "step no state return": (
        "SO335",
        ["one step at a time"],
        """
gru = layers.GRU(5, return_state=True)
outs = []
for t in range(6):
    step = ops.expand_dims(x[:, t], 1)
    out, state = gru(step)
    outs.append(out)
""",
    ),
    "step no state model": (
        "SO335",
        ["model.predict"],
        """
model = keras.Sequential([keras.Input((None, 3)), layers.LSTM(5), layers.Dense(3)])
model.compile("adam", "mse")
model.fit(x, x[:, 0], verbose=0)
value = x[:1, :1]
for t in range(5):
    value = model.predict(value, verbose=0)[:, None]
""",
    ),
    "carried to next sequence lstm": (
        "SO338",
        ["4, 5, 3 steps", "independent"],
        """
lstm = layers.LSTM(5, return_state=True)
sequences = [rng.random((1, n, 3)).astype("float32") for n in (4, 5, 3)]
h = c = ops.zeros((1, 5))
finals = []
for sequence in sequences:
    for step in np.split(sequence, sequence.shape[1], axis=1):
        out, h, c = lstm(step, initial_state=[h, c])
    finals.append(out)
""",
    ),
}
