"""Model, data and loss compared before training, by the rules that explain what goes wrong in it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from sostenuto.diagnosis import Finding, Report
from sostenuto.diagnosis.events import ModelCall, ModelCalled
from sostenuto.diagnosis.rules.stateful_runs import rows_of_state
from sostenuto.diagnosis.source import place_now
from sostenuto.diagnosis.views import is_ours, stateful_layers
from sostenuto.errors import DataTypeError, SostenutoError
from sostenuto.explaining.looked_at import looked_at
from sostenuto.explaining.watching import Watch, own_error

# Enough for shapes, dtypes and masks; all rows of the data are looked at without the model.
ROWS = 2


def check(model: Any, x: Any, y: Any = None, **options: Any) -> Report:
    """Compares a model with the data it is to be trained on: shapes, dtypes, masks, lengths, targets, loss, states.

    The model runs on two rows, in milliseconds; it is not trained, and its states stay as they are. A model that was
    not built yet is built, as ``fit`` would.

    Args:
        model: a Keras model or a SequenceModel; compiled, where the loss is to be checked.
        x: inputs, as for ``model.fit``; of a dataset the first batch is looked at, with its targets.
        y: targets, as for ``model.fit``; None checks the inputs alone.
        options: other arguments that ``model.fit`` will get: ``batch_size``, ``shuffle``, ``validation_data``, ...

    Returns:
        A ``Report``: empty, and false, where nothing looks wrong; it prints well and can be asserted on.
        ``looked_at`` says what was compared.

    Raises:
        DataTypeError: SO201, ``x`` is a generator, which would lose its first batch.

    Example:
        >>> import keras, numpy as np, sostenuto as so
        >>> model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(4, return_sequences=True)])
        >>> model.compile("adam", "mse")
        >>> assert not so.check(model, np.ones((6, 5, 2)), np.ones((6, 5, 4)))
        >>> so.check(model, np.ones((6, 5, 3))).codes
        ['SO103']
    """
    x, y = _first_batch(x, y)
    from sostenuto.models import SequenceModel

    watch = Watch()
    findings: list[Finding] = []
    rows = _rows(x, _wanted(model, options))
    if isinstance(model, SequenceModel):
        from sostenuto.models.preparing import check_targets, ready

        try:
            x = ready(model, x, y)
            if y is not None:
                check_targets(model, x)
            rows = x.take(range(min(ROWS, len(x)))) if hasattr(x, "take") else None
        except SostenutoError as error:
            findings = [own_error(error)]
    if not findings and rows is not None:
        _run(watch, model, x, y, rows, options)
    report = watch.report
    lines = looked_at(model, x, y, options, watch.flow)
    return Report([*findings, *report], failures=report.failures, flow=watch.flow, looked_at=lines)


def _run(watch: Watch, model: Any, x: Any, y: Any, rows: Any, options: Mapping[str, Any]) -> None:
    place = place_now()
    call = ModelCall(place, "fit", model, x, y, options)
    watch.start()
    try:
        with warnings.catch_warnings(), _states_kept(model):
            warnings.simplefilter("ignore")
            watch.saw(call)
            watch.verbs.append(call)
            model(rows)
    # Whatever the model makes of this data is what is asked about.
    except Exception as error:
        watch.failing_verbs.append(call)
        watch.failed(error, place)
    else:
        watch.verbs.clear()
        watch.saw(ModelCalled(place, "fit", model, x, y, options))
    finally:
        watch.verbs.clear()
        watch.stop()
    watch.ended({})


def _first_batch(x: Any, y: Any) -> tuple[Any, Any]:
    # What gives the same batches again may be asked for one.
    if inspect.isgenerator(x):
        raise DataTypeError(
            "so.check cannot look into a generator.",
            code="SO201",
            where="argument x",
            got="a generator, which gives each batch once: the first would be lost to fit",
            wanted="arrays, a dataset, or one batch",
            fix="x, y = next(my_generator()), and so.check(model, x, y)",
        )
    kinds = {kind.__name__ for kind in type(x).__mro__}
    if "PyDataset" in kinds:
        batch = x[0]
    elif kinds & {"DatasetV2", "DataLoader"}:
        batch = next(iter(x), x)
    else:
        return x, y
    if isinstance(batch, list | tuple) and len(batch) > 1:
        return batch[0], batch[1]
    return (batch[0] if isinstance(batch, list | tuple) and batch else batch), y


def _wanted(model: Any, options: Mapping[str, Any]) -> int:
    # A stateful layer of Keras takes full batches only.
    for layer in stateful_layers(model):
        rows = None if is_ours(layer) else options.get("batch_size") or rows_of_state(layer)
        if isinstance(rows, int):
            return rows
    return ROWS


def _rows(x: Any, number: int) -> Any:
    if isinstance(x, dict):
        return {name: _rows(value, number) for name, value in x.items()}
    if isinstance(x, list | tuple) and x and all(hasattr(one, "shape") for one in x):
        return [_rows(one, number) for one in x]
    if hasattr(x, "to_numpy"):
        x = x.to_numpy()
    # One number alone has no rows.
    return x[:number] if len(getattr(x, "shape", ())) else x


class _states_kept:
    """Gives stateful layers back the states they had."""

    def __init__(self, model: Any) -> None:
        from sostenuto.explaining.tracing import states_of

        self._kept = [(variable, np.asarray(variable)) for variable in states_of(model)]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        for variable, value in self._kept:
            variable.assign(value)
