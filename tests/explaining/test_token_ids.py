"""Token ids and embeddings: out of range, negative, with fractions, one-hot, words, zero as a token."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.scripts import HOME, run_text

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()

# Where what a backend says, or does, differs from what the others do; the rest runs on one.
EVERYWHERE = {
    "id eq",
    "id own",
    "id own call",
    "id gen",
    "id functional two",
    "neg",
    "float",
    "onehot",
    "emb features",
    "zero",
    "id validation",
    "neg own",
}

BEGIN = """
import numpy as np, keras
from keras import layers
rng = np.random.default_rng(0)
x = rng.random((6, 4, 2)).astype("float32")
y = rng.random(6)
facts = rng.random((6, 3))
rag = [rng.random((k, 2)) for k in (3, 5, 2, 4, 3, 1)]
ids = rng.integers(1, 10, (6, 4))

def make(*first, features=2, layer=layers.LSTM):
    model = keras.Sequential([*(first or [keras.Input((None, features))]), layer(3), layers.Dense(1)])
    model.compile("adam", "mse")
    return model

def two():
    steps, fixed = keras.Input((4, 2), name="steps"), keras.Input((3,), name="fixed")
    both = layers.concatenate([layers.LSTM(3)(steps), fixed])
    model = keras.Model([steps, fixed], layers.Dense(1)(both))
    model.compile("adam", "mse")
    return model

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.rnn, self.dense = layers.GRU(3), layers.Dense(1)
    def call(self, inputs):
        return self.dense(self.rnn(inputs))

def own():
    model = Own()
    model.compile("adam", "mse")
    return model

def embed(size=10, layer=layers.LSTM, **options):
    return make(keras.Input((None,)), layers.Embedding(size, 3, **options), layer=layer)

model = make()
"""

MISTAKES = {
    "id eq": (
        r"""
ids[2, 1] = 10
embed().fit(ids, y, verbose=0)
""",
        "SO511",
        ["largest is 10", "input_dim is 10", "size + 1"],
    ),
    "id big predict": (
        r"""
ids[2, 1] = 17
embed(layer=layers.GRU).predict(ids, verbose=0)
""",
        "SO511",
        [],
    ),
    "id vocab": (
        r"""
word_index = {f'w{i}': i for i in range(1, 13)}
ids[2, 1] = 12
embed(10).predict(ids, verbose=0)
""",
        "SO511",
        ["len(word_index) + 1"],
    ),
    "id hash": (
        r"""
ids[:] = rng.integers(0, 10**6, ids.shape)
embed(10).predict(ids, verbose=0)
""",
        "SO511",
        ["np.unique(ids, return_inverse=True)", "Hashing"],
    ),
    "id functional two": (
        r"""
a, b = keras.Input((4,), name='words'), keras.Input((3,), name='fixed')
h = layers.concatenate([layers.SimpleRNN(3)(layers.Embedding(9, 2)(a)), b])
m = keras.Model([a, b], layers.Dense(1)(h))
m.compile('adam', 'mse')
ids[0, 0] = 9
m.fit({'words': ids, 'fixed': facts}, y, verbose=0)
""",
        "SO511",
        [],
    ),
    "id own": (
        r"""

class Words(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = layers.Embedding(input_dim=10, output_dim=3), layers.LSTM(1)
    def call(self, inputs):
        return self.rnn(self.embedding(inputs))
m = Words()
m.compile("adam", "mse")
ids[2, 1] = 10
m.fit(ids, y, verbose=0)
""",
        "SO511",
        ["input_dim=11"],
    ),
    "id own call": (
        r"""

class Words(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = layers.Embedding(input_dim=10, output_dim=3), layers.LSTM(1)
    def call(self, inputs):
        return self.rnn(self.embedding(inputs))
m = Words()
m.compile("adam", "mse")
ids[2, 1] = 10
print(m(ids).shape)
""",
        "SO511",
        [],
    ),
    "id gen": (
        r"""
ids[2, 1] = 10
def g():
    while True: yield ids, y
embed().fit(g(), steps_per_epoch=2, verbose=0)
""",
        "SO511",
        [],
    ),
    "id vectorizer": (
        r"""
texts = ['so it goes', 'what is this', 'so it is']
v = layers.TextVectorization(output_sequence_length=4)
v.adapt(texts)
ids = np.array(v(texts))
embed(5).predict(ids, verbose=0)
""",
        "SO511",
        ["v.vocabulary_size()"],
    ),
    "id torch": (
        r"""
import torch
tokens = torch.tensor(ids)
tokens[1, 2] = 10
table = torch.nn.Embedding(10, 3)
out = table(tokens)
""",
        "SO511",
        ["num_embeddings", "Embedding(11, 3)"],
    ),
    "neg": (
        r"""
ids[1, 2:] = -1
ids[2, 3] = -1
embed().fit(ids, y, verbose=0)
""",
        "SO512",
        ["-1", "row 9", "mask_zero=True"],
    ),
    "neg torch": (
        r"""
import torch
tokens = torch.tensor(ids)
tokens[1, 2] = -1
table = torch.nn.Embedding(10, 3)
out = table(tokens)
""",
        "SO512",
        ["padding_idx=0"],
    ),
    "float": (
        r"""
z = ids / 10
embed().fit(z, y, verbose=0)
""",
        "SO513",
        ["fit(ids, y", "without a word"],
    ),
    "float norm": (
        r"""
z = (ids - ids.mean()) / ids.std()
embed().predict(z, verbose=0)
""",
        "SO513",
        [],
    ),
    "float own": (
        r"""

class Words(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = layers.Embedding(input_dim=10, output_dim=3), layers.LSTM(1)
    def call(self, inputs):
        return self.rnn(self.embedding(inputs))
m = Words()
m.compile("adam", "mse")
z = ids / 10
m.fit(z, y, verbose=0)
""",
        "SO513",
        [],
    ),
    "float torch": (
        r"""
import torch
tokens = torch.tensor(ids).float()
table = torch.nn.Embedding(10, 3)
out = table(tokens)
""",
        "SO513",
        ["tokens.long()"],
    ),
    "onehot": (
        r"""
hot = np.eye(10)[ids]
embed().fit(hot, y, verbose=0)
""",
        "SO514",
        ["hot.argmax(axis=-1)"],
    ),
    "onehot unbuilt": (
        r"""
hot = np.eye(10)[ids]
m = keras.Sequential([layers.Embedding(10, 3), layers.LSTM(1)])
m.predict(hot, verbose=0)
""",
        "SO514",
        [],
    ),
    "emb features": ("embed().fit(x, y, verbose=0)", "SO514", ["2 features"]),
    "emb input": ("make(keras.Input((4, 2)), layers.Embedding(10, 3))", "SO514", []),
    "zero": (
        r"""
ids = rng.integers(0, 8, (30, 9))
embed(mask_zero=True).fit(ids, np.ones(30), verbose=0)
""",
        "SO515",
        ["mask_zero=True", "skip"],
    ),
    "zero padded": (
        r"""
s = [[0, 2, 1], [1, 0], [3]]
p = keras.utils.pad_sequences(s, padding='post')
embed(mask_zero=True).predict(p, verbose=0)
""",
        "SO515",
        ["2 of 6 ids"],
    ),
    "words padded": (
        r"""
s = [['so', 'it'], ['goes']]
p = keras.utils.pad_sequences(s, padding='post')
""",
        "SO516",
        ["start=1"],
    ),
    "texts padded": (
        r"""
s = ['so it', 'goes']
p = keras.utils.pad_sequences(s, padding='post')
""",
        "SO516",
        ["TextVectorization"],
    ),
    "words padded vocab": (
        r"""
words = {'so': 1, 'it': 2}
s = [['so', 'it'], ['so']]
p = keras.utils.pad_sequences(s, padding='post', dtype='float32')
""",
        "SO516",
        ["words[word]"],
    ),
    "id validation": (
        r"""
more = ids.copy()
more[1, 1] = 10
embed().fit(ids, y, validation_data=(more, y), verbose=0)
""",
        "SO511",
        [],
    ),
    "id loop": (
        r"""
ids[2, 1] = 10
m = embed()
for _ in range(30):
    m.train_on_batch(ids, y)
""",
        "SO511",
        [],
    ),
    "id nested": (
        r"""
encoder = keras.Sequential([layers.Embedding(10, 3), layers.Bidirectional(layers.LSTM(2))])
i = keras.Input((4,), dtype='int32')
m = keras.Model(i, layers.Dense(1)(encoder(i)))
m.compile('adam', 'mse')
ids[0, 0] = 12
m.fit(ids, y, verbose=0)
""",
        "SO511",
        [],
    ),
    "neg own": (
        r"""

class Words(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = layers.Embedding(input_dim=10, output_dim=3), layers.LSTM(1)
    def call(self, inputs):
        return self.rnn(self.embedding(inputs))
m = Words()
m.compile("adam", "mse")
ids[1, 3] = -1
m.fit(ids, y, verbose=0)
""",
        "SO512",
        [],
    ),
}

RIGHT = {
    "emb single": "embed().fit(ids[..., None], y, verbose=0)",
    "ids": r"""
embed().fit(ids, y, verbose=0)
embed().fit(ids.astype('float32'), y, verbose=0)
""",
    "ids zero pad": r"""
p = keras.utils.pad_sequences([[1, 2, 3], [4]], padding='post')
embed(mask_zero=True).predict(p, verbose=0)
""",
    "ids joined": r"""
a = keras.utils.pad_sequences([[1, 2, 3], [4], [5, 6]], padding='post')
b = keras.utils.pad_sequences([[1, 2], [4, 5, 6], [5]], padding='post')
embed(mask_zero=True).predict(np.concatenate([a, b], axis=1), verbose=0)
""",
    "zeros no mask": r"""
ids = rng.integers(0, 8, (30, 9))
embed().fit(ids, np.ones(30), verbose=0)
""",
    "neg masked": r"""
class M(keras.Model):
    def __init__(self):
        super().__init__()
        self.e, self.r = layers.Embedding(10, 3), layers.LSTM(1)
    def call(self, inputs):
        return self.r(self.e(inputs), mask=inputs >= 0)
m = M()
ids[1, 2:] = -1
m.predict(ids, verbose=0)
""",
    "neg maximum": r"""
class M(keras.Model):
    def __init__(self):
        super().__init__()
        self.e, self.r = layers.Embedding(10, 3), layers.LSTM(1)
    def call(self, inputs):
        return self.r(self.e(keras.ops.maximum(inputs, 0)))
m = M()
ids[1, 2:] = -1
m.predict(ids, verbose=0)
""",
    "floats beside ids": r"""
a, b = keras.Input((4,), name='words', dtype='int32'), keras.Input((3,), name='fixed')
h = layers.concatenate([layers.SimpleRNN(3)(layers.Embedding(10, 2)(a)), b])
m = keras.Model([a, b], layers.Dense(1)(h))
m.compile('adam', 'mse')
m.fit([ids, facts], y, verbose=0)
""",
    "torch emb": r"""
import torch
out = torch.nn.Embedding(10, 3, padding_idx=0)(torch.tensor(ids))
""",
    "texts": r"""
texts = ['so it goes', 'so what']
v = layers.TextVectorization(output_sequence_length=4)
v.adapt(texts)
embed(v.vocabulary_size(), mask_zero=True).predict(np.array(v(texts)), verbose=0)
""",
}

HERE = [name for name in MISTAKES if BACKEND == HOME or name in EVERYWHERE]


@pytest.mark.parametrize(("text", "code", "said"), [MISTAKES[name] for name in HERE], ids=HERE)
def test_the_mistake_is_found(text, code, said, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    assert report.codes == [code], f"{report}\n{errors}"
    finding = report[0]
    assert finding.where
    assert finding.got
    assert finding.wanted
    assert [one for one in said if one not in str(report)] == [], report


@pytest.mark.skipif(BACKEND != HOME, reason="the same on every backend")
@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_a_right_program_is_left_alone(text, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    assert report.codes == [], f"{report}\n{errors}"
