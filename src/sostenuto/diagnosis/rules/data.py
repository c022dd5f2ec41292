"""Raw input becomes sequences: containers, columns, lengths, padding. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO201 = rule(
    "SO201",
    "This kind of object cannot be read as sequences",
    "Sequences are made of numbers in steps: lists or dicts of arrays, nested lists, long tables, padded arrays, "
    "Arrow list columns.",
    "Use Sequences.from_list, from_table, from_padded or from_arrow, whichever fits what you have.",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list(42)
""",
)

SO202 = rule(
    "SO202",
    "A sequence does not have the axes (time, features)",
    "Each sequence is a table of steps by features; a plain series of numbers counts as one feature.",
    "Reshape each sequence to (time, features); say layout='channels_first' for (features, time).",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list([np.zeros((5, 2, 2))])
""",
)

SO203 = rule(
    "SO203",
    "Sequences disagree about the number of features",
    "All sequences of a collection are read by the same weights, so each step must have the same features.",
    "Look at the sequence named; a transposed array and a missing column are the usual causes.",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list([np.zeros((5, 2)), np.zeros((4, 3))])
""",
)

SO204 = rule(
    "SO204",
    "A value is no number",
    "Strings, dates, None and mixed columns have no place in a tensor; nothing is guessed or dropped for you.",
    "Encode categories as integers (token ids), dates as differences, and leave out columns that carry names.",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list([[1.0, 2.0], ["low"]])
""",
)

SO205 = rule(
    "SO205",
    "Missing or infinite values",
    "A NaN inside a series is missing data, not padding. One NaN turns every later state of its sequence, the loss "
    "and soon all weights into NaN.",
    "Fill or drop them before (a table's interpolate or forward fill, by id). Sequences(..., missing='keep') takes "
    "them as they are.",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list({"a": [0.5, np.nan, 0.7]})
""",
)

SO206 = rule(
    "SO206",
    "Two sequences have the same id",
    "State and results belong to an id, so it must name one sequence.",
    "Make ids unique; in a long table give every column that together names a sequence: id=['patient', 'visit'].",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list([[1.0, 2.0], [3.0]], ids=["a", "a"])
""",
)

SO207 = rule(
    "SO207",
    "Two rows of a table have the same id and time",
    "Within a sequence the time puts steps in order; two rows at one time have no order.",
    "Remove the duplicates or aggregate them; or name a further id column if they belong to different sequences.",
    example="""
import pandas as pd, sostenuto as so
table = pd.DataFrame({"unit": ["a", "a"], "cycle": [1, 1], "speed": [0.5, 0.7]})
so.Sequences.from_table(table, id="unit", time="cycle", features=["speed"])
""",
)

SO208 = rule(
    "SO208",
    "A table lacks a column",
    "Columns are looked up by their exact name.",
    "Use one of the near names listed, or rename the column.",
    example="""
import pandas as pd, sostenuto as so
table = pd.DataFrame({"unit": ["a", "a"], "cycle": [1, 2], "speed": [0.5, 0.7]})
so.Sequences.from_table(table, id="unit", time="cycle", features=["sped"])
""",
)

SO209 = rule(
    "SO209",
    "A file of data is not there",
    "The path was looked up as written, relative to the current folder.",
    "Check the spelling and the current folder.",
    example="""
import sostenuto as so
so.Sequences.from_table("engins.parquet", id="unit", features=["speed"])
""",
)

SO210 = rule(
    "SO210",
    "There is no sequence in this data",
    "Training, prediction and statistics need at least one sequence.",
    "Check the filter or the path that led here.",
    example="""
import numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(2)])
model.predict([])
""",
)

SO211 = rule(
    "SO211",
    "Offsets or lengths do not describe the values",
    "Offsets start at 0, never fall and end at the number of steps; lengths lie between 0 and the padded length.",
    "Let Sequences.from_list or from_padded compute them.",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_padded(np.zeros((2, 5, 1)), lengths=[5, 6])
""",
)

SO212 = rule(
    "SO212",
    "An id that this collection does not hold",
    "Results and sequences are looked up by id, with its type: 7 is not '7'.",
    "sequences.ids lists them.",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list({"engine-17": [1.0, 2.0]})["engine-18"]
""",
)

SO213 = rule(
    "SO213",
    "This file is no table Sostenuto can read",
    "Tables are read from Parquet (.parquet), CSV (.csv, .csv.gz) and Arrow/Feather (.arrow, .feather) files.",
    "Convert the file, or read it with pandas or polars and pass the table.",
    example="""
from pathlib import Path
import sostenuto as so
Path("engines.txt").write_text("nothing of a table")
so.Sequences.from_table("engines.txt", id="unit", features=["speed"])
""",
)

SO214 = rule(
    "SO214",
    "An option is not one of those on offer",
    "The option named is spelt differently or does not exist.",
    "Use one of those listed.",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list([np.zeros((2, 5))], layout="channel_first")
""",
)
