"""What people do with a model: fit, evaluate, predict, as ``keras.Model`` does, with sequences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from sostenuto.models.batches import Batches, SequenceBatches, rounded_up
from sostenuto.models.checks import check_chunk
from sostenuto.models.chunks import ChunkBatches, Chunking
from sostenuto.models.cutting import check_cuts
from sostenuto.models.freed_memory import freed_memory_kept
from sostenuto.models.lanes import LANES
from sostenuto.models.predictions import by_id, by_id_of_chunks
from sostenuto.models.preparing import Feeder, check_targets, ready, ready_to_validate
from sostenuto.models.targets import held_out
from sostenuto.sequences import Sequences


class Verbs(keras.Model):
    """``keras.Model`` trains; here data is made ready for it."""

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        chunk: int | None = None,
        carry: str = "sequence",
        chunk_targets: str = "every",
    ) -> Any:
        """Trains the model, as ``keras.Model.fit`` does.

        With glibc, memory that is freed meanwhile stays with the process for the next batch, and goes back at the end.

        Args:
            x: Sequences, anything that makes one (a list or dict of arrays, an array (B, T, F)), or a SequenceStream.
            y: targets, where ``x`` brings none: per sequence or per step, in order or as a dict by id.
            batch_size: sequences in a batch; 32 by default. The last batch may be smaller.
            epochs: as for keras.Model.
            verbose: as for keras.Model.
            callbacks: as for keras.Model.
            validation_split: the share of sequences, taken from the end, to validate on.
            validation_data: Sequences with targets, or a tuple (x, y) or (x, y, sample_weight).
            shuffle: whether sequences are shuffled in each epoch; follows ``keras.utils.set_random_seed``.
            class_weight: the weight of each class, for whole-numbered classes.
            sample_weight: a weight per sequence or per step, in order or as a dict by id.
            initial_epoch: as for keras.Model.
            steps_per_epoch: as for keras.Model.
            validation_steps: as for keras.Model.
            validation_batch_size: sequences in a batch of validation; ``batch_size`` by default.
            validation_freq: as for keras.Model.
            chunk: truncated backpropagation through time: sequences are cut into chunks of so many steps. Each row of
                the batch carries one sequence from chunk to chunk with its own state, the gradient stops at the cut,
                and a finished sequence hands its row to the next. Shuffling shuffles sequences, never their chunks.
                None runs every sequence whole.
            carry: with ``chunk``, how long a state lives: ``"sequence"`` (default) or ``"epochs"``, where a sequence
                goes on in the next epoch from the state in which it ended.
            chunk_targets: with ``chunk`` and a target per sequence, which chunks learn it: ``"every"`` (default; target
                replication, Lipton et al. 2016), or only the ``"last"``, whose gradient reaches ``chunk`` steps back.

        Returns:
            The ``History`` of Keras.

        Raises:
            DataError, ShapeError, TargetError, TokenError, ModelError: what does not fit, before anything is changed.
        """
        sequences = ready(self, x, y, sample_weight)
        check_targets(self, sequences)
        if validation_split and validation_data is None:
            sequences, validation_data = held_out(sequences, validation_split)
        if validation_data is not None:
            validation_data = ready_to_validate(self, validation_data)
        chunking = self._chunking(chunk, carry, chunk_targets)
        seed = int(np.random.randint(2**31)) if shuffle else None
        batches = self._batches("fit", sequences, batch_size, Feeder(self, class_weight), chunking, seed=seed)
        validation = None
        if validation_data is not None:
            size = validation_batch_size or batch_size
            validation = self._batches("evaluate", validation_data, size, Feeder(self), _whole(chunking))
        with freed_memory_kept():
            return super().fit(
                batches,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_data=validation,
                shuffle=False,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_freq=validation_freq,
            )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        chunk: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics over all real steps (or sequences), as ``keras.Model.evaluate`` returns them.

        Args:
            x: as for ``fit``.
            y: as for ``fit``.
            batch_size: sequences in a batch; 32 by default. The result does not depend on it.
            verbose: as for keras.Model.
            sample_weight: as for ``fit``.
            steps: as for keras.Model.
            callbacks: as for keras.Model.
            return_dict: return a dict by name.
            chunk: run so many steps at a time, each sequence with its own state. The result does not depend on it;
                less memory is needed for long sequences.
            kwargs: as for keras.Model.
        """
        if isinstance(x, Batches):  # Keras's fit evaluates what fit() above has prepared
            return super().evaluate(
                x, verbose=verbose, steps=steps, callbacks=callbacks, return_dict=return_dict, **kwargs
            )
        sequences = ready(self, x, y, sample_weight)
        check_targets(self, sequences)
        batches = self._batches("evaluate", sequences, batch_size, Feeder(self), _whole(self._chunking(chunk)))
        return super().evaluate(
            batches, verbose=verbose, steps=steps, callbacks=callbacks, return_dict=return_dict, **kwargs
        )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        chunk: int | None = None,
    ) -> Any:
        """The outputs of the model, by id.

        Args:
            x: as for ``fit``.
            batch_size: sequences in a batch; 32 by default. The result does not depend on it.
            verbose: as for keras.Model.
            steps: number of batches after which to stop.
            callbacks: as for keras.Model.
            chunk: as for ``evaluate``.

        Returns:
            For an output per sequence, ``Predictions``: a mapping from ids to arrays, and an array (S, ...) for NumPy.
            For an output per step, ``Sequences`` with the outputs as features. Both in the order of ``x``.
        """
        sequences = ready(self, x)
        chunking = _whole(self._chunking(chunk))
        batches = self._batches("predict", sequences, batch_size, Feeder(self, with_targets=False), chunking)
        number_of_batches = len(batches) if steps is None else min(steps, len(batches))
        bars = keras.callbacks.CallbackList(
            callbacks, add_progbar=verbose not in (0, "0"), verbose=1 if verbose == "auto" else verbose, epochs=1,
            steps=number_of_batches, model=self,
        )  # fmt: skip
        bars.on_predict_begin()
        outputs: list[np.ndarray] = []
        for number in range(number_of_batches):
            bars.on_predict_batch_begin(number)
            output = self._predicted(batches[number][0])
            bars.on_predict_batch_end(number, {"outputs": output})
            outputs.append(output)
        bars.on_predict_end()
        if isinstance(batches, ChunkBatches):
            return by_id_of_chunks(sequences, batches, outputs, self.output_per)
        return by_id(sequences, batches, outputs, self.output_per)

    def _predicted(self, fed: dict[str, np.ndarray]) -> np.ndarray:
        # JAX compiles every shape anew; rows of length 0 and a coarse grid of steps keep the shapes of a service few.
        rows = len(fed["lengths"])
        if keras.backend.backend() == "jax" and LANES["predict"] not in fed:
            fed = rounded_up(fed, self.declared_steps)
        return np.asarray(self.predict_on_batch(fed))[:rows]

    def _chunking(self, chunk: Any, carry: str = "sequence", chunk_targets: str = "every") -> Chunking | None:
        check_chunk(self, chunk, carry, chunk_targets)
        if chunk is None:
            return None
        check_cuts(self)
        return Chunking(int(chunk), carry == "epochs", chunk_targets == "every")

    def _batches(
        self,
        verb: str,
        sequences: Any,
        batch_size: int | None,
        feeder: Feeder,
        chunking: Chunking | None,
        *,
        seed: int | None = None,
    ) -> Any:
        blocks: Iterable[Sequences] = [sequences] if isinstance(sequences, Sequences) else sequences
        rows, declared = batch_size or 32, self.declared_steps
        if chunking is None:
            return SequenceBatches(blocks, rows, feeder, seed=seed, declared_steps=declared)
        batches = ChunkBatches(
            blocks, rows, chunking, feeder,
            seed=seed, declared_steps=declared, table=verb, outputs_per=self.output_per,
        )  # fmt: skip
        self.have_lanes(verb, batches.rows_of_table)
        return batches


def _whole(chunking: Chunking | None) -> Chunking | None:
    """The same chunks where nothing is trained: a target per sequence then belongs to its end."""
    return None if chunking is None else Chunking(chunking.steps, carry_epochs=False, every_chunk=False)
