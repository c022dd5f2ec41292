"""Containers and dtypes of data: lists, tuples, dicts, generators, objects, text, sequences of different lengths."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.scripts import HOME, run_text

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()

# Where what a backend says, or does, differs from what the others do; the rest runs on one.
EVERYWHERE = {
    "list fit",
    "list own predict",
    "list lists",
    "call list",
    "call nested",
    "first only",
    "y list",
    "y tob",
    "one for two",
    "one for two predict",
    "order call",
    "keys single",
    "pair",
    "gen x only tuple",
    "tfds no y",
    "dl no y",
    "gen y list",
    "gen short",
    "keras convert",
    "obj fit",
    "obj call",
    "obj tob",
    "tfds batch",
    "dl batch",
    "y text obj2",
    "words",
    "texts obj",
    "text call",
    "none",
    "obj num",
    "ragged fit",
    "ragged ids",
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
    "list fit": (
        r"""
windows = list(x)
model.fit(windows, y, verbose=0)
""",
        "SO251",
        ["list of 6", "np.stack(windows)"],
    ),
    "list own": (
        r"""
windows = list(x)
own().fit(windows, y, verbose=0)
""",
        "SO251",
        [],
    ),
    "list predict": ("model.predict([one for one in x], verbose=0)", "SO251", []),
    "list own predict": ("own().predict(list(x), verbose=0)", "SO251", []),
    "list lists": (
        r"""
data = x.tolist()
model.fit(data, y, verbose=0)
""",
        "SO251",
        ["np.array(data, dtype='float32')"],
    ),
    "list lists predict": (
        r"""
data = x.tolist()
model.predict(data, verbose=0)
""",
        "SO251",
        [],
    ),
    "list same T": ("model.fit(list(x[:4]), y[:4], verbose=0)", "SO251", []),
    "both lists": ("model.fit(x.tolist(), y.tolist(), verbose=0)", "SO251", ["np.array(y.tolist())"]),
    "both lists2": ("model.fit(list(x), list(y), verbose=0)", "SO251", []),
    "scalars": (
        r"""
series = [.1, .2, .3]
make(features=1).predict(series, verbose=0)
""",
        "SO251",
        [],
    ),
    "validation list": (
        r"""
xv = list(x)
model.fit(x, y, validation_data=(xv, y), verbose=0)
""",
        "SO251",
        ["validation_data=(np.stack(xv), y)"],
    ),
    "train_on_batch list": ("model.train_on_batch(list(x), y)", "SO251", []),
    "tob lists": ("model.train_on_batch(x.tolist(), y)", "SO251", []),
    "call list": ("own()(list(x))", "SO251", []),
    "layer list": ("layers.Bidirectional(layers.LSTM(3))(list(x))", "SO251", []),
    "seq call list": ("model(list(x))", "SO251", []),
    "call nested": ("model(x.tolist())", "SO251", []),
    "torch tensors": (
        r"""
import torch
model.fit([torch.tensor(one) for one in x], y, verbose=0)
""",
        "SO251",
        ["torch.stack("],
    ),
    "unbuilt": (
        r"""
m = keras.Sequential([layers.GRU(3), layers.Dense(1)])
m.compile('adam','mse')
m.fit(list(x), y, verbose=0)
""",
        "SO251",
        [],
    ),
    "first only": ("print(model.predict([one[None] for one in x], verbose=0).shape)", "SO252", ["np.concatenate("]),
    "first only fit": ("model.fit([x, x], y, verbose=0)", "SO252", []),
    "y list": (
        r"""
labels = [0, 1, 0, 1, 0, 1]
model.fit(x, labels, verbose=0)
""",
        "SO253",
        ["np.array(labels)"],
    ),
    "y list list": (
        r"""
labels = [[0.], [1.], [0.], [1.], [0.], [1.]]
model.fit(x, labels, verbose=0)
""",
        "SO253",
        [],
    ),
    "y list arrays": ("model.fit(x, list(y[:, None]), verbose=0)", "SO253", []),
    "y list scalars": ("model.fit(x, list(y), verbose=0)", "SO253", []),
    "y range": ("model.fit(x, range(6), verbose=0)", "SO253", []),
    "y tob": ("model.train_on_batch(x, [0., 1., 0., 1., 0., 1.])", "SO253", []),
    "sw list": ("model.fit(x, y, sample_weight=[1., 1., 2., 1., 1., 1.], verbose=0)", "SO253", []),
    "val y list": (
        r"""
labels = [0., 1., 0., 1., 0., 1.]
model.fit(x, y, validation_data=(x, labels), verbose=0)
""",
        "SO253",
        ["validation_data=(x, np.array(labels))"],
    ),
    "one for two": ("two().fit(x, y, verbose=0)", "SO254", ["[x, facts]"]),
    "one for two predict": ("two().predict(x, verbose=0)", "SO254", []),
    "one for two call": ("two()(x)", "SO254", []),
    "three for two": ("two().fit([x, facts, facts], y, verbose=0)", "SO254", []),
    "gen flat": (
        r"""
def g():
    while True: yield x, facts, y
two().fit(g(), steps_per_epoch=2, verbose=0)
""",
        "SO254",
        ["yield (steps, fixed), targets"],
    ),
    "order": ("two().fit([facts, x], y, verbose=0)", "SO255", ["[x, facts]", "'steps': x"]),
    "order predict": (
        r"""
both = [facts, x]
two().predict(both, verbose=0)
""",
        "SO255",
        [],
    ),
    "order call": ("two()([facts, x])", "SO255", []),
    "keys": ("two().fit({'steps': x, 'facts': facts}, y, verbose=0)", "SO256", ["{'steps': x, 'fixed': facts}"]),
    "keys missing": ("two().fit({'steps': x}, y, verbose=0)", "SO256", ["{'steps': x, 'fixed': facts}"]),
    "keys single": ("model.fit({'windows': x}, y, verbose=0)", "SO256", ["model.fit(x, y, verbose=0)"]),
    "keys gen": (
        r"""
def g():
    while True: yield {'s': x, 'f': facts}, y
two().fit(g(), steps_per_epoch=2, verbose=0)
""",
        "SO256",
        [],
    ),
    "rows": ("two().fit([x, facts[:5]], y, verbose=0)", "SO257", ["6 and 5 rows"]),
    "pair": (
        r"""
data = (x, y)
model.fit(data, verbose=0)
""",
        "SO258",
        ["data[0], data[1]"],
    ),
    "pair literal": ("model.evaluate((x, y), verbose=0)", "SO258", ["model.evaluate(x, y, verbose=0)"]),
    "gen x only tuple": (
        r"""
def g():
    while True: yield (x,)
model.fit(g(), steps_per_epoch=2, verbose=0)
""",
        "SO258",
        [],
    ),
    "tfds no y": (
        r"""
import tensorflow as tf
ds = tf.data.Dataset.from_tensor_slices(x).batch(2)
model.fit(ds, verbose=0)
""",
        "SO258",
        [],
    ),
    "dl no y": (
        r"""
from torch.utils.data import DataLoader, TensorDataset
import torch
dl = DataLoader(TensorDataset(torch.tensor(x)), batch_size=2)
model.fit(dl, verbose=0)
""",
        "SO258",
        [],
    ),
    "gen list": (
        r"""
def g():
    while True: yield [x, y]
model.fit(g(), steps_per_epoch=2, verbose=0)
""",
        "SO259",
        ["yield inputs, targets"],
    ),
    "gen x": (
        r"""
def g():
    while True: yield x
model.fit(g(), steps_per_epoch=2, verbose=0)
""",
        "SO259",
        [],
    ),
    "gen function": (
        r"""
def g():
    while True: yield x, y
model.fit(g, steps_per_epoch=2, verbose=0)
""",
        "SO259",
        ["fit(g(),"],
    ),
    "zip": ("model.fit(zip(x, y), verbose=0)", "SO259", ["model.fit(x, y"]),
    "no pydataset": (
        r"""
class Data:
    def __len__(self): return 2
    def __getitem__(self, i): return x, y
model.fit(Data(), verbose=0)
""",
        "SO259",
        [],
    ),
    "gen y list": (
        r"""
def g():
    while True: yield x, [0., 1., 0., 1., 0., 1.]
model.fit(g(), steps_per_epoch=2, verbose=0)
""",
        "SO259",
        [],
    ),
    "gen short": (
        r"""
def g():
    for _ in range(4): yield x, y
model.fit(g(), epochs=3, verbose=0)
""",
        "SO260",
        ["4 batches", "epoch 2 of 3", "steps_per_epoch=4"],
    ),
    "gen short steps": (
        r"""
def g():
    for _ in range(4): yield x, y
model.fit(g(), epochs=3, steps_per_epoch=3, verbose=0)
""",
        "SO260",
        ["9 batches"],
    ),
    "endless": (
        r"""
def g():
    while True: yield x, y
def stop(*_, **__): raise KeyboardInterrupt
model.fit(g(), callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=stop)], verbose=0)
""",
        "SO269",
        [],
    ),
    "np rag": (
        "x = np.array(rag)",
        "SO261",
        ["lengths 3, 5, 2, 4", "pad_sequences(rag, padding='post', dtype='float32')", "Masking", "from_list(rag)"],
    ),
    "np asarray ids": ("x = np.asarray([[1, 2], [3]], dtype='int32')", "SO261", ["mask_zero=True"]),
    "stack": ("x = np.stack(rag)", "SO261", []),
    "vstack": (
        r"""
series = [rng.random(k) for k in (3, 4)]
x = np.vstack(series)
""",
        "SO261",
        [],
    ),
    "concat": (
        r"""
parts = [rng.random((1, k, 2)) for k in (3, 4)]
x = np.concatenate(parts)
""",
        "SO261",
        ["[one[0] for one in parts]"],
    ),
    "keras convert": ("x = keras.ops.convert_to_tensor([[1, 2], [3]])", "SO261", []),
    "obj astype": (
        r"""
o = np.array(rag, dtype=object)
x = o.astype('float32')
""",
        "SO261",
        [],
    ),
    "torch tensor": (
        r"""
import torch
x = torch.tensor([[1., 2.], [3.]])
""",
        "SO261",
        ["torch.tensor(keras.utils.pad_sequences("],
    ),
    "torch stack": (
        r"""
import torch
parts = [torch.tensor(one) for one in rag]
x = torch.stack(parts)
""",
        "SO261",
        [],
    ),
    "torch obj": (
        r"""
import torch
o = np.array(rag, dtype=object)
x = torch.tensor(o)
""",
        "SO261",
        [],
    ),
    "tf const": (
        r"""
import tensorflow as tf
x = tf.constant([[1., 2.], [3.]])
""",
        "SO261",
        [],
    ),
    "tf slices": (
        r"""
import tensorflow as tf
x = tf.data.Dataset.from_tensor_slices(rag)
""",
        "SO261",
        [],
    ),
    "tf slices pair": (
        r"""
import tensorflow as tf
x = tf.data.Dataset.from_tensor_slices((rag, y))
""",
        "SO261",
        ["(keras.utils.pad_sequences(rag", "y))"],
    ),
    "jnp": (
        r"""
import jax.numpy as jnp
x = jnp.array([[1., 2.], [3.]])
""",
        "SO261",
        [],
    ),
    "jnp stack": (
        r"""
import jax.numpy as jnp
x = jnp.stack([jnp.ones(2), jnp.ones(3)])
""",
        "SO261",
        [],
    ),
    "np comprehension": ("x = np.array([np.cumsum(one, axis=0) for one in rag])", "SO261", []),
    "np features": ("x = np.array([[[1, 2], [3, 4]], [[5, 6], [7]]])", "SO261", ["features"]),
    "np df": (
        r"""
import pandas as pd
df = pd.DataFrame({'id': [1, 1, 2], 'v': [1., 2., 3.]})
groups = [g['v'].values for _, g in df.groupby('id')]
x = np.array(groups)
""",
        "SO261",
        [],
    ),
    "obj fit": (
        r"""
o = np.array(rag, dtype=object)
model.fit(o, y, verbose=0)
""",
        "SO262",
        ["dtype=object", "pad_sequences(o,"],
    ),
    "obj predict": (
        r"""
o = np.array(rag, dtype=object)
model.predict(o, verbose=0)
""",
        "SO262",
        [],
    ),
    "obj call": (
        r"""
o = np.array(rag, dtype=object)
own()(o)
""",
        "SO262",
        [],
    ),
    "obj tob": (
        r"""
o = np.array(rag, dtype=object)
model.train_on_batch(o, y)
""",
        "SO262",
        [],
    ),
    "rag list": ("model.fit(rag, y, verbose=0)", "SO262", []),
    "rag list own": ("own().fit(rag, y, verbose=0)", "SO262", []),
    "rag lists": (
        r"""
data = [one.tolist() for one in rag]
model.fit(data, y, verbose=0)
""",
        "SO262",
        [],
    ),
    "column": (
        r"""
import pandas as pd
df = pd.DataFrame({'s': [[1, 2], [3]] * 3})
embed().fit(df['s'], y, verbose=0)
""",
        "SO262",
        ["pad_sequences(df['s'], padding='post')"],
    ),
    "column values": (
        r"""
import pandas as pd
df = pd.DataFrame({'s': [[1., 2.], [3., 4.]] * 3})
model.fit(df['s'].values, y, verbose=0)
""",
        "SO262",
        ["np.array(list(df['s'].values)"],
    ),
    "token lists": (
        r"""
sentences = [[1, 2], [3]] * 3
embed().fit(sentences, y, verbose=0)
""",
        "SO262",
        [],
    ),
    "tfds batch": (
        r"""
import tensorflow as tf
spec = (tf.TensorSpec((None, 2)), tf.TensorSpec(()))
ds = tf.data.Dataset.from_generator(lambda: zip(rag, y), output_signature=spec).batch(2)
model.fit(ds, verbose=0)
""",
        "SO263",
        ["padded_batch(2)", "3 and 5"],
    ),
    "dl batch": (
        r"""
import torch
from torch.utils.data import DataLoader
loader = DataLoader([(torch.tensor(one), 0.) for one in rag], batch_size=2)
model.fit(loader, verbose=0)
""",
        "SO263",
        ["collate_fn=padded"],
    ),
    "dl loop": (
        r"""
import torch
from torch.utils.data import DataLoader
loader = DataLoader([(torch.tensor(one), 0.) for one in rag], batch_size=2)
for a, b in loader:
    model(a)
""",
        "SO263",
        [],
    ),
    "y text": (
        r"""
labels = np.array(list('ababab'))
model.fit(x, labels, verbose=0)
""",
        "SO264",
        ["np.unique(labels, return_inverse=True)"],
    ),
    "y text obj": (
        r"""
import pandas as pd
df = pd.DataFrame({'label': list('ababab')})
model.fit(x, df['label'], verbose=0)
""",
        "SO264",
        [],
    ),
    "y text obj2": (
        r"""
labels = np.array(list('ababab'), dtype=object)
model.fit(x, labels, verbose=0)
""",
        "SO264",
        [],
    ),
    "y text list": ("model.fit(x, list('ababab'), verbose=0)", "SO264", []),
    "words": (
        r"""
sentences = np.array([['so', 'it'], ['goes', 'on']] * 3)
embed().fit(sentences, y, verbose=0)
""",
        "SO264",
        ["StringLookup"],
    ),
    "words list": (
        r"""
sentences = [['so', 'it'], ['goes', 'on']] * 3
embed().fit(sentences, y, verbose=0)
""",
        "SO264",
        [],
    ),
    "texts list": (
        r"""
texts = ['so it goes', 'so what'] * 3
embed().fit(texts, y, verbose=0)
""",
        "SO264",
        ["TextVectorization"],
    ),
    "texts arr": (
        r"""
texts = np.array(['so it goes', 'so what'] * 3)
embed().predict(texts, verbose=0)
""",
        "SO264",
        [],
    ),
    "texts obj": (
        r"""
texts = np.array(['so it goes', 'so what'] * 3, dtype=object)
embed().predict(texts, verbose=0)
""",
        "SO264",
        [],
    ),
    "df text": (
        r"""
import pandas as pd
df = pd.DataFrame({'city': list('ababab'), 'v': range(6)})
model.fit(df, y, verbose=0)
""",
        "SO264",
        ["'city'", "df.select_dtypes('number')"],
    ),
    "df values text": (
        r"""
import pandas as pd
df = pd.DataFrame({'city': list('ababab'), 'v': range(6)})
data = df.values
model.fit(data, y, verbose=0)
""",
        "SO264",
        ["'city'", "df.select_dtypes('number')"],
    ),
    "df astype": (
        r"""
import pandas as pd
df = pd.DataFrame({'city': list('ababab'), 'v': range(6)})
data = df.values.astype('float32')
""",
        "SO264",
        [],
    ),
    "dates": (
        r"""
dates = np.zeros((6, 4, 2), 'datetime64[s]')
model.fit(dates, y, verbose=0)
""",
        "SO264",
        [],
    ),
    "text call": (
        r"""
texts = np.array([['so', 'it']])
embed()(texts)
""",
        "SO264",
        [],
    ),
    "none": (
        r"""
o = x.astype(object)
o[0, 0, 0] = None
model.fit(o, y, verbose=0)
""",
        "SO265",
        ["None", "1 missing value "],
    ),
    "df none": (
        r"""
import pandas as pd
df = pd.DataFrame({'a': [1, None, 3, 4, 5, 6], 'b': [1, 2, 3, 4, 5, 6]}, dtype=object)
model.fit(df, y, verbose=0)
""",
        "SO265",
        ["in 'a'"],
    ),
    "obj num": (
        r"""
o = x.astype(object)
model.fit(o, y, verbose=0)
""",
        "SO266",
        ["o.astype('float32')"],
    ),
    "str num": (
        r"""
o = x.astype(str)
model.fit(o, y, verbose=0)
""",
        "SO266",
        [],
    ),
    "obj y": ("model.fit(x, y.astype(object), verbose=0)", "SO266", []),
    "bool obj": (
        r"""
mask = np.full((6, 4, 2), True, dtype=object)
model.predict(mask, verbose=0)
""",
        "SO266",
        [],
    ),
    "ragged fit": (
        r"""
import tensorflow as tf
r = tf.ragged.constant([one.tolist() for one in rag], ragged_rank=1)
model.fit(r, y, verbose=0)
""",
        "SO267",
        [],
    ),
    "ragged predict": (
        r"""
import tensorflow as tf
r = tf.ragged.constant([one.tolist() for one in rag], ragged_rank=1)
make(layer=layers.GRU).predict(r, verbose=0)
""",
        "SO267",
        [],
    ),
    "ragged ids": (
        r"""
import tensorflow as tf
r = tf.ragged.constant([[1, 2, 3], [4], [5, 6]])
embed().predict(r, verbose=0)
""",
        "SO267",
        [],
    ),
    "pad flat": (
        r"""
s = [3, 5, 8]
p = keras.utils.pad_sequences(s, maxlen=10)
""",
        "SO268",
        ["pad_sequences([s], maxlen=10)"],
    ),
    "pad features": (
        r"""
s = [np.ones((3, 2)), np.ones((4, 3))]
p = keras.utils.pad_sequences(s, padding='post')
""",
        "SO268",
        [],
    ),
}

RIGHT = {
    "fit": "model.fit(x, y, verbose=0)",
    "series": r"""
import pandas as pd
model.fit(x, pd.Series(y, index=range(5, 11)), verbose=0)
""",
    "one in list": r"""
model.fit([x], y, verbose=0)
model.predict([x], verbose=0)
""",
    "tuple predict": "model.predict((x,), verbose=0)",
    "two": r"""
two().fit([x, facts], y, verbose=0)
two().fit({'fixed': facts, 'steps': x}, y, verbose=0)
""",
    "extra": "two().fit({'steps': x, 'fixed': facts, 'other': y}, y, verbose=0)",
    "val list": "model.fit(x, y, validation_data=[x, y], verbose=0)",
    "ints": r"""
model.fit((x * 10).astype('int64'), y, verbose=0)
model.fit((x * 10).astype('uint8'), y, verbose=0)
model.fit(x > 0.5, y, verbose=0)
""",
    "float64": "model.fit(x.astype('float64'), y, verbose=0)",
    "gen": r"""
def g():
    while True: yield x, y
model.fit(g(), steps_per_epoch=2, epochs=2, verbose=0)
""",
    "gen once": r"""
def g():
    for _ in range(4): yield x, y
model.fit(g(), verbose=0)
model.fit(g(), epochs=2, steps_per_epoch=2, verbose=0)
""",
    "gen kept": r"""
def g():
    yield x, y
model.fit(g(), epochs=3, verbose=0)
""",
    "gen predict": r"""
def g():
    yield (x,)
model.predict(g(), verbose=0)
""",
    "merge list": "s = layers.Add()([x, x, x, x])",
    "tfds": r"""
import tensorflow as tf
model.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(2), verbose=0)
""",
    "dl": r"""
import torch
from torch.utils.data import DataLoader, TensorDataset
model.fit(DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=2), verbose=0)
""",
    "obj caught": r"""
try:
    np.array(rag)
except ValueError:
    pass
keep = np.array(rag, dtype=object)
model.fit(keras.utils.pad_sequences(keep, padding='post', dtype='float32'), y, verbose=0) if 0 else None
""",
    "list of lists stack": "model.fit(np.array(x.tolist()), np.array(y.tolist()), verbose=0)",
    "ragged tensor": r"""
import tensorflow as tf
r = tf.ragged.constant([one.tolist() for one in rag], ragged_rank=1)
m = make(keras.Input((None, 2)), layers.Masking())
m.predict(r.to_tensor(), verbose=0)
""",
    "dict single": r"""
m = keras.Sequential([keras.Input((4, 2), name='windows'), layers.LSTM(1)])
m.predict({'windows': x}, verbose=0)
""",
    "two outputs list": r"""
i = keras.Input((4, 2))
h = layers.LSTM(3)(i)
m = keras.Model(i, [layers.Dense(1)(h), layers.Dense(1)(h)])
m.compile('adam', ['mse', 'mse'])
m.fit(x, [y, y], verbose=0)
""",
    "user error": "raise ValueError('could not convert string to float: no')",
    "concat features": r"""
a = np.concatenate([x, x], axis=-1)
make(features=4).fit(a, y, verbose=0)
""",
    "event series": r"""
b = (ids > 5).astype('int32')
embed(2).fit(b, y, verbose=0)
""",
    "gen stop": r"""
def g():
    for _ in range(4): yield x, y
class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None): self.model.stop_training = True
model.fit(g(), epochs=5, callbacks=[Stop()], verbose=0)
""",
    "rows object meta": r"""
names = np.array(['a', 'b'], dtype=object)
model.fit(x, y, verbose=0)
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
