"""Stores: where states rest between calls. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO901 = rule(
    "SO901",
    "This cannot be opened or read as a store",
    "A path names a SQLite file that Sostenuto made, or a new file in a folder that is there; valkey:// and redis:// "
    "name a server. A file of another program is left exactly as it is.",
    "Check the path; name a new file for a new store; do not move or delete one of several shard files, nor the file "
    "whose name ends in -wal beside a store.",
    example="""
from pathlib import Path
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
Path("notes.db").write_text("a file of another program")
model.session(store="notes.db")
""",
)

SO902 = rule(
    "SO902",
    "A store or record of a newer format",
    "It was written by a newer Sostenuto, whose format this one does not know. Nothing was changed.",
    "pip install --upgrade sostenuto.",
    needs="a file of a newer Sostenuto",
)

SO903 = rule(
    "SO903",
    "The store was written by another model",
    "States fit the weights that made them. Going on from the states of other weights would give answers that look "
    "right and are wrong.",
    "Open the store with the model that wrote it, or begin a new store for the new model.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
with model.session(store="engines.db") as live:
    live.step({"a": np.ones(3)})
other = so.SequenceModel([so.GRU(4)])
other.build(3)
other.session(store="engines.db")
""",
)

SO904 = rule(
    "SO904",
    "Somebody else changed an id first",
    "Every write names the revision of each id that it builds on. Where that is no longer the one in the store, two "
    "owners are at work (two services on one store, or an id named twice), and nothing was written.",
    "Let one process own each id; read the id again and repeat the call.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
store = so.MemoryStore()
one, two = model.session(store), model.session(store)
one.step({"a": np.ones(3)})
two.step({"a": np.ones(3)})
one.step({"a": np.ones(3)})
""",
)

SO905 = rule(
    "SO905",
    "A store cannot be written",
    "A full disk, a read-only file or folder, a lock that another process does not give back, or a value that the "
    "format cannot hold. The store is as it was before the call, unless the message says more.",
    "Make room or give the right to write, then repeat the call; the store stays open.",
    needs="a full disk or a read-only folder",
)

SO906 = rule(
    "SO906",
    "A record or store file is damaged",
    "A record ends in a checksum over all its bytes; a record that was cut, extended or altered is never used. A "
    "SQLite file that no longer holds together is reported in the same way.",
    "Put back a copy from before the damage; or forget the id and feed its history again.",
    needs="a damaged file",
)

SO907 = rule(
    "SO907",
    "The store is closed",
    "close() was called, or the with-block that opened the store has ended, or the process was forked since.",
    "Open the store again, after the fork, in the process that uses it.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.build(3)
store = so.MemoryStore()
live = model.session(store)
store.close()
live.step({"a": np.ones(3)})
""",
)

SO908 = rule(
    "SO908",
    "The server of a store does not answer",
    "No connection to the Valkey or Redis server could be made, or it was lost. A call that was under way when it "
    "was lost may have been kept or not, whole in both cases.",
    "Start the server or check host, port and password; then read the ids again and repeat the call.",
    needs="a server that does not answer",
)
