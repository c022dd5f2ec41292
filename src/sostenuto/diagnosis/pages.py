"""A page for every code: what the error means and the usual ways out.

SO1xx batch -> layer, SO2xx raw input -> Sequences, SO3xx state, SO4xx targets and weights, SO5xx tokens, SO6xx model,
SO7xx what is installed, SO8xx model folders of the command line, SO9xx stores.
"""

from __future__ import annotations

from dataclasses import dataclass

from sostenuto.diagnosis.wording import nearest


@dataclass(frozen=True)
class Page:
    """What ``sostenuto explain CODE`` prints."""

    code: str
    title: str
    meaning: str
    fix: str

    def __str__(self) -> str:
        return f"{self.code}  {self.title}\n\n{self.meaning}\n\nWhat to do\n{self.fix}"


_TEXTS = {
    "SO101": (
        "A layer got something else than (batch, time, features)",
        "A recurrent layer reads three axes: rows of a batch, steps in time, features of a step. One number\n"
        "per step is still one feature: (batch, time, 1). One sequence alone is still a batch of one: (1,\n"
        "time, features).",
        "Add the missing axis with x[None] (batch) or x[..., None] (features), or hand ragged data to\n"
        "SequenceModel, which makes batches itself.",
    ),
    "SO102": (
        "The axes of time and features look swapped",
        "The number of features does not fit, but the number of steps does: many archives keep (case,\nchannel, time).",
        "Transpose with x.swapaxes(1, 2), or read the data with layout='channels_first'.",
    ),
    "SO103": (
        "The number of features per step does not fit",
        "The weights of a layer are made for the number of features it first saw; another number cannot be\n"
        "multiplied with them.",
        "Pass the features that the model was built with, in that order, or build a new model for the new\nones.",
    ),
    "SO104": (
        "A layer got values that are no numbers",
        "Recurrent layers multiply their input with weights, so every step must be a vector of numbers in one\ntensor.",
        "Turn text into token ids and put an Embedding first; hand a list of sequences to SequenceModel or to\n"
        "Sequences.from_list instead of to the layer.",
    ),
    "SO105": (
        "A mask or lengths do not fit the batch",
        "A mask says for every row and step whether it is real: (batch, time). Lengths say for every row how\n"
        "many steps are real: (batch,), each between 0 and the number of steps.",
        "Sequences.to_padded() returns values, lengths and mask that fit each other.",
    ),
    "SO106": (
        "A model was declared for one batch size and got another",
        "A stateful layer takes any batch size, but the Input of this Functional model declares one\n"
        "(batch_size= or batch_shape=), and what is declared binds, as it does in Keras.",
        "Leave the batch size out of keras.Input. For a model that is already there: so.convert(model) and\n"
        "so.SequenceModel(model) take any batch size.",
    ),
    "SO107": (
        "Arrays that the native kernel cannot run",
        "It reads float32 numbers in the memory of the CPU, and arrays that agree on rows, steps, features\nand units.",
        "Compare the shapes that the message lists.",
    ),
    "SO201": (
        "This kind of object cannot be read as sequences",
        "Sequences are made of numbers in steps: lists or dicts of arrays, nested lists, long tables, padded\n"
        "arrays, Arrow list columns.",
        "Use Sequences.from_list, from_table, from_padded or from_arrow, whichever fits what you have.",
    ),
    "SO202": (
        "A sequence does not have the axes (time, features)",
        "Each sequence is a table of steps by features; a plain series of numbers counts as one feature.",
        "Reshape each sequence to (time, features); say layout='channels_first' for (features, time).",
    ),
    "SO203": (
        "Sequences disagree about the number of features",
        "All sequences of a collection are read by the same weights, so each step must have the same\nfeatures.",
        "Look at the sequence named; a transposed array and a missing column are the usual causes.",
    ),
    "SO204": (
        "A value is no number",
        "Strings, dates, None and mixed columns have no place in a tensor; nothing is guessed or dropped for\nyou.",
        "Encode categories as integers (token ids), dates as differences, and leave out columns that carry\nnames.",
    ),
    "SO205": (
        "Missing or infinite values",
        "A NaN inside a series is missing data, not padding. One NaN turns every later state of its sequence,\n"
        "the loss and soon all weights into NaN.",
        "Fill or drop them before (a table's interpolate or forward fill, by id). Sequences(...,\n"
        "missing='keep') takes them as they are.",
    ),
    "SO206": (
        "Two sequences have the same id",
        "State and results belong to an id, so it must name one sequence.",
        "Make ids unique; in a long table give every column that together names a sequence: id=['patient',\n'visit'].",
    ),
    "SO207": (
        "Two rows of a table have the same id and time",
        "Within a sequence the time puts steps in order; two rows at one time have no order.",
        "Remove the duplicates or aggregate them; or name a further id column if they belong to different\nsequences.",
    ),
    "SO208": (
        "A table lacks a column",
        "Columns are looked up by their exact name.",
        "Use one of the near names listed, or rename the column.",
    ),
    "SO209": (
        "A file of data is not there",
        "The path was looked up as written, relative to the current folder.",
        "Check the spelling and the current folder.",
    ),
    "SO210": (
        "There is no sequence in this data",
        "Training, prediction and statistics need at least one sequence.",
        "Check the filter or the path that led here.",
    ),
    "SO211": (
        "Offsets or lengths do not describe the values",
        "Offsets start at 0, never fall and end at the number of steps; lengths lie between 0 and the padded\nlength.",
        "Let Sequences.from_list or from_padded compute them.",
    ),
    "SO212": (
        "An id that this collection does not hold",
        "Results and sequences are looked up by id, with its type: 7 is not '7'.",
        "sequences.ids lists them.",
    ),
    "SO213": (
        "This file is no table Sostenuto can read",
        "Tables are read from Parquet (.parquet), CSV (.csv, .csv.gz) and Arrow/Feather (.arrow, .feather)\nfiles.",
        "Convert the file, or read it with pandas or polars and pass the table.",
    ),
    "SO214": (
        "An option is not one of those on offer",
        "The option named is spelt differently or does not exist.",
        "Use one of those listed.",
    ),
    "SO301": (
        "The number of initial states does not fit",
        "An LSTM has two states, h then c; a GRU and a SimpleRNN have one, h; Bidirectional has those of its\n"
        "forward layer, then those of its backward layer.",
        "Pass a list in that order, or a dict by name.",
    ),
    "SO302": (
        "An initial state has the wrong shape",
        "Every state is (batch, units): one row for each row of the batch, never broadcast, because a state\n"
        "belongs to a sequence.",
        "Make one row per sequence; np.repeat says so explicitly where all rows should begin alike.",
    ),
    "SO303": (
        "This layer keeps no state between calls",
        "get_state, set_state and reset_state speak of the state that stateful=True keeps.",
        "Make the layer with stateful=True; or pass initial_state= and take return_state=True.",
    ),
    "SO304": (
        "A state was asked for by a name or row that is not there",
        "States go by their names (LSTM: h, c; GRU and SimpleRNN: h) and rows by their numbers.",
        "layer.get_state() shows the names and the number of rows.",
    ),
    "SO311": (
        "This cannot be an id",
        "An id names a sequence for as long as its store lives, so it must read the same tomorrow and on\n"
        "another machine: text, a whole number, or a tuple of these. 17 and '17' are two ids. Floats are\n"
        "refused (0.1 + 0.2 is not 0.3), and so are True, None, bytes and nested tuples.",
        "Turn it into text or a whole number first: str(uuid), int(number), data.decode(),\nday.isoformat().",
    ),
    "SO312": (
        "An id comes twice in one call",
        "The steps of an id follow one another. Two entries for one id in the same call do not say which\n"
        "of them is first.",
        "Join its steps into one array (T, features), or make two calls.",
    ),
    "SO313": (
        "A step comes out of order",
        "The caller numbered its steps (step=) or gave their times (at=). A number must be that of the next\n"
        "step, or of the last call, which is then repeated without being counted; a time must be later than\n"
        "the last one, or equal to it for a repeat. This one was counted before, or one before it is missing.",
        "session.steps(id) is the number of the next step. Send what is missing first; leave out what was\n"
        "counted; session.reset(id) begins anew.",
    ),
    "SO314": (
        "A repeated step brings other values",
        "Its number or time says that it was answered already, but the input is not the one that was answered\n"
        "then (their checksums differ), so the recorded answer would be wrong and a second count too.",
        "Repeat a call exactly as it was; number a new step with session.steps(id).",
    ),
    "SO315": (
        "A session cannot be used like this",
        "The session or a hold of it is closed, or arguments do not belong together: ids and x of different\n"
        "numbers, a step number or time for an id that is not in the call.",
        "session.step({id: x}) for a dict; session.step(ids, x) with one entry of x for each id.",
    ),
    "SO316": (
        "An id is held",
        "session.hold(ids) took it into arrays, where its newest steps are; the store and the session's other\n"
        "calls do not know of them until they are kept.",
        "Step it through the hold, or close that first: leave its with block, or call its close().",
    ),
    "SO317": (
        "Two threads use one hold at once",
        "A hold steps all of its ids in place. Two steps at the same time would have no order.",
        "Give each thread a hold of its own ids, or put a lock around the calls.",
    ),
    "SO401": (
        "Targets do not fit the sequences",
        "Targets are given per sequence (one entry for each) or per step (one entry for each step of each\nsequence).",
        "Check that targets come in the same order, or by the same ids, and are cut to the same lengths.",
    ),
    "SO402": (
        "Targets do not fit the model's output",
        "A layer with return_sequences=True gives an output per step and wants a target per step; without it\n"
        "there is one output per sequence. Nothing is broadcast for you.",
        "Change return_sequences of the last recurrent layer, or give the other kind of target.",
    ),
    "SO403": (
        "Training needs targets",
        "fit and evaluate compare outputs with targets, and these sequences have none.",
        "Pass y=, or make the Sequences with targets= (from_table: target='column').",
    ),
    "SO404": (
        "Weights do not fit the sequences",
        "Sample weights are one number per sequence or one per step, none below zero; class weights need\n"
        "whole-numbered classes.",
        "Check their number and order.",
    ),
    "SO501": (
        "Token ids are whole numbers",
        "An Embedding looks rows up by number; fractions would be cut off.",
        "Keep token ids as integers from the start; standardise only real-valued features.",
    ),
    "SO502": (
        "A token id lies outside the vocabulary",
        "An Embedding with input_dim=n knows the ids 0 .. n-1. The JAX backend clamps others silently,\n"
        "TensorFlow on a GPU gives zeros; both are wrong results.",
        "Make input_dim the largest id + 1, or map rare tokens to one 'unknown' id.",
    ),
    "SO601": (
        "These layers do not make a model of sequences",
        "SequenceModel takes a list of layers, a keras.Sequential or a Functional keras.Model.",
        "Look at the layer named.",
    ),
    "SO602": (
        "A layer mixes steps and knows no mask",
        "Padding would reach the result of real steps, so a sequence would no longer give the same answer\n"
        "alone as in a batch.",
        "Use padding='causal' with strides=1 in a Conv1D; give a layer of yours supports_masking = True and a\n"
        "call that honours mask=; or move it behind the layer that reduces time.",
    ),
    "SO603": (
        "The model must be compiled first",
        "fit and evaluate need a loss and an optimizer.",
        "model.compile('adam', 'mse') or the like.",
    ),
    "SO604": (
        "An option that this layer cannot serve",
        "Sostenuto runs the recurrence with its own kernels. cuDNN is not among them, and an unrolled loop\n"
        "needs the number of steps when the model is built.",
        "Leave use_cudnn at 'auto'; leave unroll at False, or declare the number of steps in keras.Input.",
    ),
    "SO605": (
        "The model was declared for another number of steps",
        "A keras.Input with a number of steps fixes the time axis: shorter sequences are padded to it, longer\n"
        "ones do not fit.",
        "Declare keras.Input((None, features)); or cut the sequences first, with chunk or window.",
    ),
    "SO606": (
        "A setting of carried states means nothing",
        "chunk, carry, chunk_targets and initial_state say how states travel from step to step, from chunk to\n"
        "chunk and from epoch to epoch.",
        "Take one of the values that the message names.",
    ),
    "SO607": (
        "A model cannot run sequences in pieces",
        "fit(chunk=...) and sessions run a sequence piece by piece and carry the states of recurrent layers\n"
        "from one to the next. A layer that reads backwards needs what is yet to come; a convolution, an\n"
        "attention or a pooling over time would have to remember the steps before the cut.",
        "Run sequences whole, or use recurrent layers that read forwards, with layers that work step by step\n"
        "between them.",
    ),
    "SO608": (
        "The model is not built",
        "A session runs the weights of a model, and there are none before it knows how many features a step\nhas.",
        "model.build(features); or fit the model, or load one that was fitted.",
    ),
    "SO609": (
        "The native kernel cannot be differentiated like this",
        "It computes gradients in reverse mode, once: no derivatives of gradients, none in forward mode.",
        "Set SOSTENUTO_NATIVE=0; the portable kernel can be differentiated in any way, any number of times.",
    ),
    "SO610": (
        "The weights are with a training that is under way",
        "On JAX, Keras's fit takes the values out of a model's variables and keeps them until the epoch ends. A\n"
        "SequenceModel that is fitted itself gives them to its sessions and to predict; one whose layers are\n"
        "trained as part of another model cannot.",
        "Call jax_state_sync() of the model that is being fitted, in the callback, before the session; or use\n"
        "on_epoch_end.",
    ),
    "SO701": (
        "No backend for Keras is installed",
        "Keras 3 does its sums with TensorFlow, JAX or PyTorch; none of them was found, or not the one that\n"
        "KERAS_BACKEND names.",
        "pip install 'sostenuto[jax]' (or [tensorflow], or [torch]).",
    ),
    "SO702": (
        "matplotlib is not installed",
        "Pictures are drawn with matplotlib, which Sostenuto does not bring along; everything else works\nwithout it.",
        "pip install 'sostenuto[pictures]'.",
    ),
    "SO703": (
        "An optional package is not installed",
        "A ValkeyStore speaks to its server with the package valkey, and states in bfloat16 are read with\n"
        "ml_dtypes; Sostenuto brings along neither.",
        "pip install 'sostenuto[valkey]', or pip install ml_dtypes.",
    ),
    "SO704": (
        "The environment asks the native kernels for what cannot be",
        "SOSTENUTO_NATIVE is 0 or 1, SOSTENUTO_THREADS a whole number from 1 to 1024, and SOSTENUTO_TARGET\n"
        "avx512, avx2 or generic: one that the processor has.",
        "Set it so, or unset it.",
    ),
    "SO801": (
        "There is no model of Sostenuto to read",
        "A model folder holds model.keras (the network) and sostenuto.json (how a table becomes what the\n"
        "network reads); 'sostenuto fit' writes both, whole or not at all.",
        "Check the path; name the folder, not a file in it; train again if a file was lost.",
    ),
    "SO802": (
        "A result cannot be written",
        "Nothing is overwritten that Sostenuto has not written itself, and a folder must allow writing.",
        "Name another place with --out.",
    ),
    "SO803": (
        "A row of a stream cannot be taken",
        "A row needs an id, the time (where the model was trained with one), later than that of the row of this\n"
        "id before it, and a finite number for every feature. All rows before the one named were answered and\n"
        "are kept; none after it was touched.",
        "Correct the row and run the command again: rows that were done before are told by their time and\n"
        "skipped (without a time: with --resume). Or pass --skip-bad to leave such rows out.",
    ),
    "SO804": (
        "An id on the command line may mean two ids",
        "17 and '17' are two ids, a number and a text; a store may hold both, and a command line knows text only.",
        "Pass --keys and write ids as JSON: 17 for the number, '\"17\"' for the text, '[\"lyon\",3]' for a tuple.",
    ),
    "SO805": (
        "States cannot be exported to, or imported from, a file",
        "'sostenuto state export' writes files that hold the states of a store, which model made them, and all\n"
        "that is needed to go on from them; 'import' reads these and no others, and leaves ids alone that are\n"
        "there already.",
        "Import what was exported; pass --replace to put the file's states in place of those there.",
    ),
    "SO901": (
        "This cannot be opened or read as a store",
        "A path names a SQLite file that Sostenuto made, or a new file in a folder that is there; valkey://\n"
        "and redis:// name a server. A file of another program is left exactly as it is.",
        "Check the path; name a new file for a new store; do not move or delete one of several shard files,\n"
        "nor the file whose name ends in -wal beside a store.",
    ),
    "SO902": (
        "A store or record of a newer format",
        "It was written by a newer Sostenuto, whose format this one does not know. Nothing was changed.",
        "pip install --upgrade sostenuto.",
    ),
    "SO903": (
        "The store was written by another model",
        "States fit the weights that made them. Going on from the states of other weights would give\n"
        "answers that look right and are wrong.",
        "Open the store with the model that wrote it, or begin a new store for the new model.",
    ),
    "SO904": (
        "Somebody else changed an id first",
        "Every write names the revision of each id that it builds on. Where that is no longer the one in the\n"
        "store, two owners are at work (two services on one store, or an id named twice), and nothing was\n"
        "written.",
        "Let one process own each id; read the id again and repeat the call.",
    ),
    "SO905": (
        "A store cannot be written",
        "A full disk, a read-only file or folder, a lock that another process does not give back, or a value\n"
        "that the format cannot hold. The store is as it was before the call, unless the message says more.",
        "Make room or give the right to write, then repeat the call; the store stays open.",
    ),
    "SO906": (
        "A record or store file is damaged",
        "A record ends in a checksum over all its bytes; a record that was cut, extended or altered is never\n"
        "used. A SQLite file that no longer holds together is reported in the same way.",
        "Put back a copy from before the damage; or forget the id and feed its history again.",
    ),
    "SO907": (
        "The store is closed",
        "close() was called, or the with-block that opened the store has ended, or the process was forked\nsince.",
        "Open the store again, after the fork, in the process that uses it.",
    ),
    "SO908": (
        "The server of a store does not answer",
        "No connection to the Valkey or Redis server could be made, or it was lost. A call that was under\n"
        "way when it was lost may have been kept or not, whole in both cases.",
        "Start the server or check host, port and password; then read the ids again and repeat the call.",
    ),
}

PAGES = {code: Page(code, *text) for code, text in _TEXTS.items()}


def page(code: str) -> Page:
    """The page of a code.

    Raises:
        KeyError: there is no such code; the message names near ones.

    Example:
        >>> page("so103").title
        'The number of features per step does not fit'
    """
    found = PAGES.get(code.upper())
    if found is None:
        near = nearest(code, PAGES)
        raise KeyError(f"there is no page {code!r}" + (f"; near ones: {', '.join(near)}" if near else ""))
    return found
