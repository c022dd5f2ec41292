"""States: their number, order, shape and owner; steps of live sessions. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO301 = rule(
    "SO301",
    "The number of initial states does not fit",
    "An LSTM has two states, h then c; a GRU and a SimpleRNN have one, h; Bidirectional has those of its forward "
    "layer, then those of its backward layer.",
    "Pass a list in that order, or a dict by name.",
    example="""
import numpy as np, sostenuto as so
h = np.zeros((2, 4), "float32")
so.LSTM(4)(np.ones((2, 5, 3), "float32"), initial_state=[h])
""",
)

SO302 = rule(
    "SO302",
    "An initial state has the wrong shape",
    "Every state is (batch, units): one row for each row of the batch, never broadcast, because a state belongs to a "
    "sequence.",
    "Make one row per sequence; np.repeat says so explicitly where all rows should begin alike.",
    example="""
import numpy as np, sostenuto as so
h = np.zeros((1, 4), "float32")
so.LSTM(4)(np.ones((2, 5, 3), "float32"), initial_state=[h, h])
""",
)

SO303 = rule(
    "SO303",
    "This layer keeps no state between calls",
    "get_state, set_state and reset_state speak of the state that stateful=True keeps.",
    "Make the layer with stateful=True; or pass initial_state= and take return_state=True.",
    example="""
import numpy as np, sostenuto as so
lstm = so.LSTM(4)
lstm(np.ones((2, 5, 3), "float32"))
lstm.get_state()
""",
)

SO304 = rule(
    "SO304",
    "A state was asked for by a name or row that is not there",
    "States go by their names (LSTM: h, c; GRU and SimpleRNN: h) and rows by their numbers.",
    "layer.get_state() shows the names and the number of rows.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
live = model.session()
live.step({"a": np.ones(3)})
live.set_state("a", {"lstn": {}})
""",
)

SO311 = rule(
    "SO311",
    "This cannot be an id",
    "An id names a sequence for as long as its store lives, so it must read the same tomorrow and on another "
    "machine: text, a whole number, or a tuple of these. 17 and '17' are two ids. Floats are refused (0.1 + 0.2 is "
    "not 0.3), and so are True, None, bytes and nested tuples.",
    "Turn it into text or a whole number first: str(uuid), int(number), data.decode(), day.isoformat().",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
model.session().step({0.5: np.ones(3)})
""",
)

SO312 = rule(
    "SO312",
    "An id comes twice in one call",
    "The steps of an id follow one another. Two entries for one id in the same call do not say which of them is first.",
    "Join its steps into one array (T, features), or make two calls.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
model.session().step(["a", "a"], np.ones((2, 3)))
""",
)

SO313 = rule(
    "SO313",
    "A step comes out of order",
    "The caller numbered its steps (step=) or gave their times (at=). A number must be that of the next step, or of "
    "the last call, which is then repeated without being counted; a time must be later than the last one, or equal "
    "to it for a repeat. This one was counted before, or one before it is missing.",
    "session.steps(id) is the number of the next step. Send what is missing first; leave out what was counted; "
    "session.reset(id) begins anew.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
live = model.session()
live.step({"a": np.ones(3)}, step=0)
live.step({"a": np.ones(3)}, step=5)
""",
)

SO314 = rule(
    "SO314",
    "A repeated step brings other values",
    "Its number or time says that it was answered already, but the input is not the one that was answered then "
    "(their checksums differ), so the recorded answer would be wrong and a second count too.",
    "Repeat a call exactly as it was; number a new step with session.steps(id).",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
live = model.session()
live.step({"a": np.ones(3)}, step=0)
live.step({"a": np.zeros(3)}, step=0)
""",
)

SO315 = rule(
    "SO315",
    "A session cannot be used like this",
    "The session or a hold of it is closed, or arguments do not belong together: ids and x of different numbers, a "
    "step number or time for an id that is not in the call.",
    "session.step({id: x}) for a dict; session.step(ids, x) with one entry of x for each id.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
live = model.session()
live.close()
live.step({"a": np.ones(3)})
""",
)

SO316 = rule(
    "SO316",
    "An id is held",
    "session.hold(ids) took it into arrays, where its newest steps are; the store and the session's other calls do "
    "not know of them until they are kept.",
    "Step it through the hold, or close that first: leave its with block, or call its close().",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
live = model.session()
rows = live.hold(["a"])
live.step({"a": np.ones(3)})
""",
)

SO317 = rule(
    "SO317",
    "Two threads use one hold at once",
    "A hold steps all of its ids in place. Two steps at the same time would have no order.",
    "Give each thread a hold of its own ids, or put a lock around the calls.",
    needs="two threads at the same moment",
)
