"""Every error that Sostenuto raises.

::

    SostenutoError
    ├── DataError(ValueError)              raw input -> Sequences
    │   ├── DataTypeError(TypeError)
    │   ├── ColumnError(KeyError)
    │   ├── DataFileError(FileNotFoundError)
    │   └── TargetError
    ├── UnknownIdError(KeyError)           an id that the collection does not hold
    ├── ShapeError(ValueError)             batch -> layer
    ├── StateError(ValueError)             state -> layer
    ├── TokenError(ValueError)             token ids -> embedding
    ├── ModelError(ValueError)             layers -> model
    ├── SessionError(ValueError)           a call -> session
    ├── IdError(TypeError)                 an object -> an id
    ├── StoreError(OSError)                states -> store and back
    │   └── ConflictError                  somebody else wrote first
    └── BackendError(ImportError)          model -> backend

Each is also the built-in error that people already catch, so ``except ValueError`` goes on working.
"""

from __future__ import annotations


class SostenutoError(Exception):
    """Base of all errors of Sostenuto: what happened, where, what was got, what was wanted, how to fix it.

    Args:
        what: one sentence that says what could not be done.
        code: the stable code of this kind of error, for instance ``"SO103"``.
        where: the place: a sequence, a step, a column, a layer.
        got: what was found there, with numbers.
        wanted: what was expected there, with numbers and their origin.
        fix: what to do about it.

    The arguments stay readable as attributes.

    Example:
        >>> from sostenuto.errors import ShapeError
        >>> error = ShapeError("LSTM 'a' cannot read this batch.", code="SO103", got="5 features", wanted="8 features")
        >>> error.code
        'SO103'
        >>> print(error)
        LSTM 'a' cannot read this batch.
          got     5 features
          wanted  8 features
          more    sostenuto explain SO103
    """

    # Keras rewraps an exception that passes a layer's __call__ unless it bears this mark; ours is already explained.
    _keras_call_info_injected = True

    def __init__(
        self,
        what: str,
        *,
        code: str = "",
        where: str = "",
        got: str = "",
        wanted: str = "",
        fix: str = "",
    ) -> None:
        self.what = what
        self.code = code
        self.where = where
        self.got = got
        self.wanted = wanted
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what]
        more = f"sostenuto explain {self.code}" if self.code else ""
        named = [("where", self.where), ("got", self.got), ("wanted", self.wanted), ("fix", self.fix), ("more", more)]
        for name, text in named:
            if text:
                first, *rest = text.splitlines()
                lines.append(f"  {name:<8}{first}")
                lines.extend(f"          {line}" for line in rest)
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        fields = {name: getattr(self, name) for name in ("code", "where", "got", "wanted", "fix")}
        return _rebuild, (type(self), self.what, fields)


def _rebuild(kind: type[SostenutoError], what: str, fields: dict[str, str]) -> SostenutoError:
    return kind(what, **fields)


class DataError(SostenutoError, ValueError):
    """Raw input cannot be read as sequences."""


class DataTypeError(DataError, TypeError):
    """Raw input is of a kind that holds no numbers in steps."""


class ColumnError(DataError, KeyError):
    """A table lacks a column, or a column cannot serve its purpose."""


class DataFileError(DataError, FileNotFoundError):
    """A file of data is not there."""


class TargetError(DataError):
    """Targets or weights do not fit their sequences, or not the model."""


class UnknownIdError(SostenutoError, KeyError):
    """An id was asked for that the collection does not hold."""


class ShapeError(SostenutoError, ValueError):
    """A layer or model cannot read a batch of this shape or dtype."""


class StateError(SostenutoError, ValueError):
    """States of the wrong number, order, shape or name."""


class TokenError(SostenutoError, ValueError):
    """Token ids that an embedding cannot look up."""


class ModelError(SostenutoError, ValueError):
    """Layers that cannot be made into a model of sequences."""


class SessionError(SostenutoError, ValueError):
    """A call that a session cannot mean: an id twice, a step out of order, arguments that do not belong together."""


class IdError(SostenutoError, TypeError):
    """An object that cannot be the id of a sequence in a store."""


class StoreError(SostenutoError, OSError):
    """A store cannot be opened, read or written."""


class ConflictError(StoreError):
    """An id was changed by somebody else since it was read, and nothing was written."""


class BackendError(SostenutoError, ImportError):
    """No backend of Keras is installed, or not the one asked for."""
